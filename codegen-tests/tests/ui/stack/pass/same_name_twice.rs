use opte_headers::*;

stack_parser! {
    pub fn parse_sample -> Sample = Ethernet Ipv6 Udp Geneve inner_ethernet: Ethernet;
}

fn main() {}
