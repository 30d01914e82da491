//! A pair of headers is not a stack.

use opte_headers::{Ethernet, Ipv4, Transform};

fn main() {
    let _ = Transform::on::<(Ethernet, Ipv4)>();
}
