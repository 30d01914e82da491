// IPv4 carries TCP, and Ethernet carries IPv4.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Tcp]>()
        .push(Ipv4::default())
        .push(Ethernet::default());
}
