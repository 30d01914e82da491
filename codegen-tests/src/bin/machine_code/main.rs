//! Functions on headers, derived and written by hand, for `tests/machine_code.rs` to look at what the compiler made of them.

#![allow(unreachable_pub)]

mod by_hand;
mod derived;
mod fields;

use std::hint::black_box;

macro_rules! keep {
    ($($protocol:ident $Fields:ident)*) => {$(
        keep!(by_hand $protocol $Fields);
        keep!(derived $protocol $Fields);
    )*};
    ($who:ident $protocol:ident $Fields:ident) => {{
        use $who::$protocol::{measured_get, measured_parse, measured_set, values, view, view_mut};
        let mut bytes = black_box([0_u8; 64]);
        let mut out = fields::$Fields::default();
        // Called by address, so that they keep their arguments.
        black_box(black_box(measured_parse as fn(&[u8]) -> _)(&bytes));
        black_box(measured_get as fn(_, _))(&view(&bytes), &mut out);
        black_box(measured_set as fn(_, _))(&mut view_mut(&mut bytes), &values());
        black_box((out, bytes));
    }};
}

/// So that nothing is left out for not being called; it is not run.
fn main() {
    keep!(udp Udp tcp Tcp ipv4 Ipv4 ipv6 Ipv6 geneve Geneve);
    black_box(by_hand::checksum::measured_update as fn(u16, u16, u16) -> _)(1, 2, 3);
    black_box(derived::checksum::measured_update as fn(u16, u16, u16) -> _)(1, 2, 3);
}
