use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(default = 4)]
    version: u8,
}

fn main() {}
