use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    a: u16,
}

fn main() {}
