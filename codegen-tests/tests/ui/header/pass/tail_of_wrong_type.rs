use opte_headers::{Header, TailBytes};

#[derive(Header)]
pub struct Sample {
    length: u8,
    #[header(bytes(len = length))]
    body: TailBytes<255>,
}

fn main() {}
