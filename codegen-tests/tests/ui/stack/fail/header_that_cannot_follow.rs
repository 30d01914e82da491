use opte_headers::*;

stack_parser! {
    pub fn sample = Ethernet Tcp;
}

fn main() {}
