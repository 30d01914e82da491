//! ARP has no field that tells what follows.

use opte_headers::{Arp, Ipv4, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Ipv4]>().push(Arp::default());
}
