//! A set of a field whose header was popped.

use opte_headers::{Ethernet, Ipv4, MacAddr, Set, Tcp, Transform, ethernet, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let _ = Transform::on::<Guest>()
        .pop::<Ethernet>()
        .set::<ethernet::Source>(mac);
}
