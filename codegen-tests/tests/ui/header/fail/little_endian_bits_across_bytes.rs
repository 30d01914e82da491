use arbitrary_int::prelude::*;
use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    version: u4,
    #[header(le)]
    length: u12,
}

fn main() {}
