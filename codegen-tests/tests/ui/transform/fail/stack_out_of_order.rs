//! A header that cannot follow the one before it.

use opte_headers::{Ethernet, Tcp, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Ethernet, Tcp]>();
}
