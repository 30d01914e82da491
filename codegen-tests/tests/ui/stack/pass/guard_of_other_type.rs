use opte_headers::*;

fn is_ours(bytes: &[u8], _: &Parsed) -> bool {
    bytes.is_empty()
}

stack_parser! {
    pub fn parse_sample = Ethernet Ipv4 if is_ours;
}

fn main() {}
