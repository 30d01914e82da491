use opte_headers::Header;

#[derive(Header)]
#[header(reserved)]
pub struct Sample {
    version: u8,
}

fn main() {}
