// A value of the field's type.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, stack, tcp};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().set::<tcp::Source>(7_000u16);
}
