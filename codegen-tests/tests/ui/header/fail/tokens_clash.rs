use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    flow_label: u16,
    flow__label: u16,
}

fn main() {}
