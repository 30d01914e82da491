use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    name: [u8; 16],
}

fn main() {}
