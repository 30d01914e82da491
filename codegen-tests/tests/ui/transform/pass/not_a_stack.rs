// The macro writes the stack.

use opte_headers::{Ethernet, Ipv4, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Ethernet, Ipv4]>();
}
