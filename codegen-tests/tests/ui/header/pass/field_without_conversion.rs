use opte_headers::{Header, field_value};

#[derive(Clone, Copy, Debug)]
pub struct Reading(u8);

field_value!(Reading as u8: Reading, |reading: &Reading| reading.0);

#[derive(Header)]
pub struct Sample {
    #[header(bits = 8)]
    reading: Reading,
    port: u16,
}

pub fn port(bytes: &[u8]) -> u16 {
    Sample::parse(bytes).map_or(0, |(view, _)| view.port())
}

fn main() {}
