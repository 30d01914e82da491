use arbitrary_int::prelude::*;
use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(bits = 4)]
    version: u8,
    length: u4,
    body: u8,
}

fn main() {}
