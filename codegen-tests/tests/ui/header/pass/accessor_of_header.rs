use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    length: u16,
}

fn main() {}
