use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    name: &'static str,
}

fn main() {}
