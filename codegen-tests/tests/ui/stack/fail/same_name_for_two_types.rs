use opte_headers::*;

stack_parser! {
    pub fn parse_sample -> Sample = Ethernet (ip: Ipv4 | ip: Ipv6);
}

fn main() {}
