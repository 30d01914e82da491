//! What a CRC covers is read only.

use opte_headers::{Ethernet, Ipv4, Sctp, Set, Transform, sctp, stack};

fn main() {
    let _ = Transform::on::<stack![Ethernet, Ipv4, Sctp]>().set::<sctp::Source>(80);
}
