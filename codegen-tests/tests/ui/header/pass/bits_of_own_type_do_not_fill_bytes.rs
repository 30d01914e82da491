use arbitrary_int::prelude::*;
use opte_headers::Header;

#[derive(Clone, Copy, Debug)]
pub struct Kind(u4);
opte_headers::field_value!(Kind as u4: Kind, |kind: &Kind| kind.0);

#[derive(Header)]
pub struct Sample {
    kind: Kind,
    length: u4,
}

fn main() {}
