// A field that is in use can.

use opte_headers::{Ethernet, Geneve, Set, Transform, Vni, geneve, stack};

fn main() {
    let _ = Transform::on::<stack![Geneve, Ethernet]>().set::<geneve::Vni>(Vni::default());
}
