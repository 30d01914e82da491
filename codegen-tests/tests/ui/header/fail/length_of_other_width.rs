use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(length(of = packet))]
    length: u8,
}

fn main() {}
