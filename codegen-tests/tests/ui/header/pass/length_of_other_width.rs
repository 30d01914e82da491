use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(length(of = packet))]
    length: u16,
}

fn main() {}
