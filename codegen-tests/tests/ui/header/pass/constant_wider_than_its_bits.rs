use arbitrary_int::prelude::*;
use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(const = 15)]
    version: u4,
    length: u4,
}

fn main() {}
