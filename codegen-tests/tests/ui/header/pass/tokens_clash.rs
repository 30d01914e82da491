use opte_headers::Header;

#[derive(Header)]
pub struct Sample {
    flow_label: u16,
    flow_label2: u16,
}

fn main() {}
