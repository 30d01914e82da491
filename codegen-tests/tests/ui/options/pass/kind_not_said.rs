use opte_headers::OptionSet;
use opte_headers::options::{KindLength, RawOption};

#[derive(Debug, OptionSet)]
#[options(framing = KindLength)]
pub enum Sample<'a> {
    #[option(2)]
    Size(u16),
    #[option(unknown)]
    Unknown(RawOption<'a, u8>),
}

fn main() {}
