use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    length: u8,
    #[header(bytes(len = length))]
    body: u32,
}

fn main() {}
