// A field that varies can.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, ipv4, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().set::<ipv4::Dscp>(arbitrary_int::u6::new(46));
}
