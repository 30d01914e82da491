use arbitrary_int::prelude::*;
use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    version: u4,
    length: u3,
    port: u16,
}

fn main() {}
