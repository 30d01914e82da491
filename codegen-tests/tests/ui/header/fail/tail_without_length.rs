use opte_headers::{Header, TailBytes};

#[derive(Header)]
pub struct Sample {
    length: u8,
    #[header(bytes)]
    body: TailBytes<64>,
}

fn main() {}
