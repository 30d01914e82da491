use opte_headers::Header;

#[derive(Header)]
#[header(carries(Sample = 7))]
pub struct Parent {
    #[header(next)]
    kind: u8,
}

#[derive(Header)]
pub struct Sample {
    source: u16,
}

fn main() {}
