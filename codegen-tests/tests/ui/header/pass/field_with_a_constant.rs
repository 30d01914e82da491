use opte_headers::Header;

#[derive(Clone, Copy, Debug, Header)]
#[header(field)]
pub struct Inner {
    #[header(default = 1)]
    pub version: u8,
}

fn main() {}
