use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    port: u16,
    port_set: u16,
}

fn main() {}
