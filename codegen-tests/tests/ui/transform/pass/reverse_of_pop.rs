// What was pushed is popped on the way back.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let encapsulation = Transform::on::<stack![Ipv4, Tcp]>().push(Ethernet::default());
    let _ = encapsulation.reverse();
    let _ = Transform::on::<Guest>().reverse();
}
