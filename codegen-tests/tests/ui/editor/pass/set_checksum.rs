// A port can be set.

use opte_headers::frame::{Editor, Parsed};
use opte_headers::udp;

fn main() {
    let mut frame = [0; 60];
    let _ = Editor::new(&mut frame, &Parsed::default()).set::<udp::Source>(0);
}
