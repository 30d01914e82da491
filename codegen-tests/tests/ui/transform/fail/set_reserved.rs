//! A reserved field cannot be set.

use opte_headers::{Ethernet, Geneve, Set, Transform, geneve, stack};

fn main() {
    let _ = Transform::on::<stack![Geneve, Ethernet]>().set::<geneve::Reserved2>(1);
}
