use opte_headers::Header;

#[derive(Header)]
pub union Sample {
    a: u16,
}

fn main() {}
