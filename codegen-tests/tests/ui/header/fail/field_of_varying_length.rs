use opte_headers::{Header, TailBytes};

#[derive(Clone, Copy, Debug, Header)]
#[header(field)]
pub struct Inner {
    pub size: u8,
    #[header(bytes(len = size))]
    pub body: TailBytes<255>,
}

fn main() {}
