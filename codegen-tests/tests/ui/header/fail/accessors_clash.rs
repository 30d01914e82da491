use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    port: u16,
    set_port: u16,
}

fn main() {}
