// A header that another one follows can be popped.

use opte_headers::{Ipv4, Tcp, Transform, stack};

fn main() {
    let _ = Transform::on::<stack![Ipv4, Tcp]>().pop::<Ipv4>();
}
