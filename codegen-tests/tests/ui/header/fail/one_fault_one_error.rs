use opte_headers::{Field, Header};

#[derive(Header)]
pub struct Sample {
    #[header(reservd)]
    version: u8,
    port: u16,
}

pub fn port(bytes: &[u8]) -> u16 {
    Sample::parse(bytes).map_or(0, |(view, _)| view.port() + sample::Port::BITS as u16)
}

fn main() {}
