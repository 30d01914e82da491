use opte_headers::{Header, Tail};

pub struct Words(Vec<u8>);

impl Tail for Words {
    type Ref<'a> = &'a [u8];
    const CAPACITY: usize = usize::MAX;

    fn empty() -> Self {
        Self(Vec::new())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn view(bytes: &[u8]) -> &[u8] {
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.to_vec()))
    }
}

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
