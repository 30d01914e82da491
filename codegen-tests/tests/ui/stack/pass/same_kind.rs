use opte_headers::frame::Stacked;
use opte_headers::*;

#[derive(Header)]
#[header(follows(Udp = 1))]
pub struct First {
    pub number: u8,
}

#[derive(Header)]
#[header(follows(Udp = 2))]
pub struct Second {
    pub number: u8,
}

impl Stacked for First {}

impl Stacked for Second {
    const KIND: HeaderKind = HeaderKind::own("Second");
}

stack_parser! {
    pub fn parse_sample = Ethernet Ipv4 Udp (First | Second);
}

fn main() {}
