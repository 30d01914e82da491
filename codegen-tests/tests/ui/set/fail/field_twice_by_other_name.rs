//! One field by two names.

use core::net::Ipv4Addr;
use opte_headers::{Ethernet, Ipv4, Transform, ipv4, set, stack};

type From = ipv4::Source;

fn main() {
    let _ = set!(
        Transform::on::<stack![Ethernet, Ipv4]>(),
        ipv4::Source = Ipv4Addr::LOCALHOST,
        From = Ipv4Addr::BROADCAST,
    );
}
