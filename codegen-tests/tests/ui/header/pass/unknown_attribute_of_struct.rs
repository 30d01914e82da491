use opte_headers::Header;

#[derive(Header)]
#[header(follows(opte_headers::Udp = 7))]
pub struct Sample {
    version: u8,
}

fn main() {}
