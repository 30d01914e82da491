use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(le)]
    version: u16,
}

fn main() {}
