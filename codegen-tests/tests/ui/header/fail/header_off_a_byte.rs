use opte_headers::Header;
use arbitrary_int::prelude::*;

#[derive(Clone, Copy, Debug, Header)]
#[header(field)]
pub struct Inner {
    pub value: u16,
}

#[derive(Header)]
pub struct Sample {
    pub kind: u4,
    pub inner: Inner,
    pub rest: u4,
}

fn main() {}
