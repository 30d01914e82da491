use opte_headers::Header;

#[derive(Header)]
pub struct One {
    a: u8,
}

#[derive(Header)]
pub struct Two {
    a: u8,
}

#[derive(Header)]
#[header(carries(One = 1, Two = 1))]
pub struct Sample {
    #[header(next)]
    kind: u8,
}

fn main() {}
