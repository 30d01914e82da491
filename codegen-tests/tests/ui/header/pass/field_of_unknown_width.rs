use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    count: u64,
}

pub fn count(sample: &Sample) -> u64 {
    sample.count()
}

fn main() {}
