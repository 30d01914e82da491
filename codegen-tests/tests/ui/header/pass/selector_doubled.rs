use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(next)]
    kind: u8,
    other: u8,
}

fn main() {}
