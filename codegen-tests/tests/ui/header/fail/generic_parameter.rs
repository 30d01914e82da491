use opte_headers::Header;

#[derive(Header)]
pub struct Sample<T> {
    a: T,
}

fn main() {}
