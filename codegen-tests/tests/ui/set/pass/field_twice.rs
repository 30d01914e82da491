// Two fields.

use core::net::Ipv4Addr;
use opte_headers::{Ethernet, Ipv4, Transform, ipv4, set, stack};

fn main() {
    let _ = set!(
        Transform::on::<stack![Ethernet, Ipv4]>(),
        ipv4::Source = Ipv4Addr::LOCALHOST,
        ipv4::Destination = Ipv4Addr::BROADCAST,
    );
}
