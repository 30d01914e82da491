use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(next)]
    kind: u8,
    #[header(next)]
    other: u8,
}

fn main() {}
