use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(checksum(header))]
    one: u16,
    two: u16,
}

fn main() {}
