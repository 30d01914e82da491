use opte_headers::*;

stack_parser! {
    pub fn parse_sample -> Sample = Ethernet Ipv6 Udp Geneve Ethernet;
}

fn main() {}
