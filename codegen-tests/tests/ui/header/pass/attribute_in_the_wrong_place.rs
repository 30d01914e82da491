use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(reserved)]
    version: u8,
}

fn main() {}
