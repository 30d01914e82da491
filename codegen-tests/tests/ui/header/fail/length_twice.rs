use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(length(of = packet))]
    one: u16,
    #[header(length(of = payload))]
    two: u16,
}

fn main() {}
