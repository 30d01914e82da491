use arbitrary_int::prelude::*;
use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(defualt = 4)]
    version: u4,
    #[header(checksum(header))]
    checksum: u8,
    #[header(next)]
    one: u8,
    #[header(next)]
    two: u8,
}

fn main() {}
