// Each header can follow the one before it.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Ethernet, Ipv4, Tcp]>();
}
