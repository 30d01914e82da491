use opte_headers::Header;

#[derive(Header)]
#[header(len = 8)]
pub struct Sample {
    source: u16,
    destination: u16,
}

fn main() {}
