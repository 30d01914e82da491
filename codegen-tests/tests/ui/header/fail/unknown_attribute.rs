use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(defualt = 4)]
    version: u8,
}

fn main() {}
