//! TCP cannot carry Geneve.

use opte_headers::{Ethernet, Geneve, Ipv4, Tcp, Transform, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>()
        .push(Geneve::default())
        .push(Tcp::default());
}
