use opte_headers::*;

stack_parser! {
    #[header(head = parse_head)]
    pub fn parse_sample = Ethernet Ipv4;
}

fn main() {}
