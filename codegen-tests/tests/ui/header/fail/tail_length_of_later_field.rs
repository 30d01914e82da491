use opte_headers::{Header, TailBytes};

#[derive(Header)]
pub struct Sample {
    kind: u8,
    #[header(bytes(len = body))]
    body: TailBytes<64>,
}

fn main() {}
