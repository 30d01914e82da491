// Other fields of the header can be set.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, stack, tcp};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().set::<tcp::Window>(1024);
}
