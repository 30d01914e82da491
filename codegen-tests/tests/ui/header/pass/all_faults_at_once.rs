use arbitrary_int::prelude::*;
use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(default = 4)]
    version: u4,
    length: u4,
    #[header(checksum(header))]
    checksum: u16,
    #[header(next)]
    one: u8,
    two: u8,
}

fn main() {}
