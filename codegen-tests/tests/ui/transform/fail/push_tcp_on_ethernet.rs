//! Ethernet cannot carry TCP.

use opte_headers::{Ethernet, Tcp, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Tcp]>().push(Ethernet::default());
}
