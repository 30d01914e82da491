use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    #[header(key = sorce_port)]
    port: u16,
}

fn main() {}
