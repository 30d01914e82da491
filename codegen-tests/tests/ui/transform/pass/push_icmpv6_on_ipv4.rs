// IPv6 carries ICMPv6.

use opte_headers::{Icmpv6, Ipv6, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Icmpv6]>().push(Ipv6::default());
}
