//! A pop of the only header.

use opte_headers::{Tcp, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Tcp]>().pop::<Tcp>();
}
