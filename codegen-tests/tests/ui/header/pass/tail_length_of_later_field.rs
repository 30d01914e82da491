use opte_headers::{Header, TailBytes};

#[derive(Header)]
pub struct Sample {
    kind: u8,
    #[header(bytes(len = kind))]
    body: TailBytes<64>,
}

fn main() {}
