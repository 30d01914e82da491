// Set, then popped.

use opte_headers::{Ethernet, Ipv4, MacAddr, Set, Tcp, Transform, ethernet, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let _ = Transform::on::<Guest>()
        .set::<ethernet::Source>(mac)
        .pop::<Ethernet>();
}
