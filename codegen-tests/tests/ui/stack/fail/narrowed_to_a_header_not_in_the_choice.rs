use opte_headers::frame::ParsedStack;
use opte_headers::*;

stack_parser! {
    pub fn parse_sample -> Sample = Ethernet (Ipv4 | Ipv6);
}

fn main() {
    if let Ok(sample) = parse_sample(&[]) {
        let _ = sample.narrow::<Arp>(&[]);
    }
}
