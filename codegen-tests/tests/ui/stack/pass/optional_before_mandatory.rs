use opte_headers::*;

stack_parser! {
    pub fn sample = Ethernet [Vlan] Ipv4;
}

fn main() {}
