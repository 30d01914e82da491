use opte_headers::Header;

#[derive(Header)]
pub struct Parent {
    #[header(next)]
    kind: u8,
}

#[derive(Header)]
#[header(follows(Parent = 1))]
pub struct Sample {
    source: u16,
}

fn main() {}
