//! IPv4 cannot carry ICMPv6.

use opte_headers::{Icmpv6, Ipv4, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Icmpv6]>().push(Ipv4::default());
}
