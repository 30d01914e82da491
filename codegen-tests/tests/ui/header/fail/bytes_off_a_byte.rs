use opte_headers::Header;
use arbitrary_int::prelude::*;

#[derive(Header)]
pub struct Sample {
    pub kind: u4,
    pub address: [u8; 4],
    pub rest: u4,
}

fn main() {}
