use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(key = source_port)]
    port: u16,
}

fn main() {}
