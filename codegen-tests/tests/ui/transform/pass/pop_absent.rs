// The header that the stack has in front can be popped.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().pop::<Ethernet>();
}
