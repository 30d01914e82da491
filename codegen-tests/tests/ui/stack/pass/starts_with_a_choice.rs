use opte_headers::*;

stack_parser! {
    pub fn sample = Ethernet (Ipv4 | Ipv6);
}

fn main() {}
