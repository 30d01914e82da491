use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    count: usize,
}

pub fn count(sample: &Sample) -> usize {
    sample.count()
}

fn main() {}
