// Ethernet tells it by its Ethertype.

use opte_headers::{Ethernet, Ipv4, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Ipv4]>().push(Ethernet::default());
}
