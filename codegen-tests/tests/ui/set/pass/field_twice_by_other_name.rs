// Two fields, one by a name of its own.

use core::net::Ipv4Addr;
use opte_headers::{Ethernet, Ipv4, Transform, ipv4, set, stack};

type To = ipv4::Destination;

fn main() {
    let _ = set!(
        Transform::on::<stack![Ethernet, Ipv4]>(),
        ipv4::Source = Ipv4Addr::LOCALHOST,
        To = Ipv4Addr::BROADCAST,
    );
}
