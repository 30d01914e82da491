use opte_headers::Header;

pub struct Words;

#[derive(Header)]
pub struct Sample {
    length: u8,
    #[header(bytes(len = length))]
    words: Words,
}

pub fn words(bytes: &[u8]) -> usize {
    Sample::parse(bytes).map_or(0, |(view, _)| view.tail().len())
}

fn main() {}
