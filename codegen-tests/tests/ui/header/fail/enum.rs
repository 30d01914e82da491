use opte_headers::Header;

#[derive(Header)]
pub enum Sample {
    A(u16),
}

fn main() {}
