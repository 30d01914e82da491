use opte_headers::Header;

#[derive(Clone, Copy, Debug)]
pub struct Kind(u16);
opte_headers::field_value!(Kind as u16: Kind, |kind: &Kind| kind.0);

#[derive(Header)]
pub struct Sample {
    #[header(bits = 8)]
    kind: Kind,
}

fn main() {}
