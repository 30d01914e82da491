use opte_headers::Header;

#[derive(Header)]
pub struct Sample(u16, u16);

fn main() {}
