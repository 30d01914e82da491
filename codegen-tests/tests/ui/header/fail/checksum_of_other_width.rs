use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(checksum(header))]
    checksum: u32,
}

fn main() {}
