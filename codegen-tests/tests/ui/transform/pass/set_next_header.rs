// Other fields of the header can be set.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, ipv4, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().set::<ipv4::Ttl>(63);
}
