// What an Internet checksum covers can be set.

use opte_headers::{Ethernet, Ipv4, Set, Transform, Udp, stack, udp};

fn main() {
    let _ = Transform::on::<stack![Ethernet, Ipv4, Udp]>().set::<udp::Source>(80);
}
