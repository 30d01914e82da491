use opte_headers::Header;

#[derive(Header)]
pub struct Parent {
    #[header(next)]
    kind: u8,
}

#[derive(Header)]
#[header(follows(Parent = opte_headers::Ethertype::IPV4))]
pub struct Sample {
    source: u16,
}

fn main() {}
