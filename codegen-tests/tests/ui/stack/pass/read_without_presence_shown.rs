use opte_headers::*;

stack_parser! {
    pub fn parse_sample -> Sample = Ethernet (Ipv4 | Ipv6);
}

fn main() {
    if let Ok(sample) = parse_sample(&[]) {
        if let Some(headers) = sample.headers(&[]) {
            let _ = (headers.ethernet.source(), headers.ipv4.map(|ipv4| ipv4.ttl()));
        }
    }
}
