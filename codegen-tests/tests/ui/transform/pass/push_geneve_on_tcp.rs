// UDP carries Geneve.

use opte_headers::{Ethernet, Geneve, Ipv4, Tcp, Transform, Udp, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>()
        .push(Geneve::default())
        .push(Udp::default());
}
