use opte_headers::Header;

#[derive(Clone, Copy, Debug, Header)]
#[header(field)]
pub struct Inner {
    pub size: u8,
    pub body: [u8; 3],
}

fn main() {}
