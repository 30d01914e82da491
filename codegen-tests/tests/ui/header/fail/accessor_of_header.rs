use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    len: u16,
}

fn main() {}
