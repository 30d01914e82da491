// State is kept for both directions; what was pushed is popped on the way back.

use opte_headers::transform::TwoWay;
use opte_headers::{Ethernet, Geneve, Ipv6, Transform, Udp, stack};

fn main() {
    let encapsulated = Transform::on::<stack![Ipv6, Udp, Geneve, Ethernet]>().push(Ethernet::default());
    let _ = TwoWay::of(encapsulated, |back| back);
}
