use opte_headers::*;

stack_parser! {
    pub fn parse_sample -> Sample = Ethernet (v4: Ipv4 | v6: Ipv6);
}

fn main() {}
