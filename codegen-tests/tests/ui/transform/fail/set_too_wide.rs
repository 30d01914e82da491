//! A value of another type than the field's.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, stack, tcp};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().set::<tcp::Source>(70_000u32);
}
