// A VLAN tag and an Ethernet header have 18 bytes; the driver keeps 18.

use opte_headers::{Ethernet, Ipv4, Transform, Vlan, stack};

const HEAD_ROOM: usize = 18;

fn main() {
    let tag = Transform::on::<stack![Ipv4]>().push(Vlan::default()).push(Ethernet::default());
    let _ = tag.compile_within::<HEAD_ROOM>();
}
