// The second takes what the first gives.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, Udp, stack, udp};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let first = Transform::on::<stack![Ethernet, Ipv4, Udp]>().pop::<Ethernet>();
    let second = Transform::on::<stack![Ipv4, Udp]>().set::<udp::Source>(53);
    let _ = first.then(second);
}
