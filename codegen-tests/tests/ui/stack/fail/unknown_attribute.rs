use opte_headers::*;

stack_parser! {
    #[header(tail = parse_tail)]
    pub fn parse_sample = Ethernet Ipv4;
}

fn main() {}
