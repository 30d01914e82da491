//! State is kept for both directions; the headers that were popped are not known for the way back.

use opte_headers::transform::TwoWay;
use opte_headers::{Ethernet, Geneve, Ipv6, Transform, Udp, stack};

fn main() {
    let decapsulated = Transform::on::<stack![Ethernet, Ipv6, Udp, Geneve, Ethernet]>().pop::<Ethernet>();
    let _ = TwoWay::of(decapsulated, |back| back);
}
