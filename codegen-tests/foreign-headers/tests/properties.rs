//! Every header: any bytes are parsed or refused by its name and never more; what is parsed is emitted again, byte for byte.

#![allow(missing_docs)]

use foreign_headers::bfd::Bfd;
use foreign_headers::engine::Engine;
use foreign_headers::l2tpv3::L2tpv3;
use foreign_headers::mpls::Mpls;
use foreign_headers::nsh::Nsh;
use foreign_headers::pppoe::{Pppoe, PppoeDiscovery, PppoeTag};
use foreign_headers::quic::{QuicLong, QuicSource};
use foreign_headers::vrrp::Vrrp;
use opte_headers::{Cause, Header};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a view becomes: the struct, if it holds so much.
macro_rules! owned {
    ($view:ident fixed) => {
        Some($view.to_owned())
    };
    ($view:ident tail) => {
        $view.to_owned().ok()
    };
}

macro_rules! headers {
    ($($name:ident: $header:ty, $kind:ident, [$($at:literal & $mask:literal | $value:literal),*];)*) => {$(
        proptest! {
            #[test]
            fn $name(mut bytes in vec(any::<u8>(), 0..300), plausible: bool) {
                if plausible {
                    // What must have one value has it.
                    bytes.resize(bytes.len().max(32), 0);
                    $(bytes[$at] = bytes[$at] & $mask | $value;)*
                }
                match <$header>::parse(&bytes) {
                    Ok((view, rest)) => {
                        let len = bytes.len() - rest.len();
                        prop_assert_eq!(view.len(), len);
                        // All getters, and the text of every field.
                        let text = view.to_string();
                        if let Some(owned) = owned!(view $kind) {
                            prop_assert_eq!(owned.to_string(), text);
                            prop_assert_eq!(owned.len(), len);
                            let mut out = vec![0xa5; len];
                            prop_assert_eq!(owned.emit(&mut out), Ok(len));
                            prop_assert_eq!(&out, &bytes[..len]);
                            prop_assert!(owned.emit(&mut out[..len - 1]).is_err());
                        }
                        for end in 0..len {
                            let cause = <$header>::parse(&bytes[..end]).map(drop).unwrap_err().cause;
                            let truncated = matches!(cause, Cause::Truncated { .. });
                            prop_assert!(truncated);
                        }
                    }
                    Err(error) => prop_assert_eq!(error.header, <$header>::NAME),
                }
            }
        }
    )*};
}

headers! {
    bfd: Bfd, tail, [0 & 0x1f | 0x20, 3 & 0x3f | 24];
    engine: Engine, fixed, [1 & 0 | 4, 2 & 0 | 0xf0, 4 & 0 | 8];
    l2tpv3: L2tpv3, fixed, [1 & 0xf0 | 3];
    mpls: Mpls, fixed, [];
    nsh: Nsh, tail, [0 & 0x3f | 0, 1 & 0xc3 | 8];
    pppoe: Pppoe, fixed, [0 & 0 | 0x11, 1 & 0 | 0];
    pppoe_discovery: PppoeDiscovery, tail, [0 & 0 | 0x11, 4 & 0 | 0, 5 & 0x7f | 0];
    quic_long: QuicLong, tail, [0 & 0x7f | 0x80];
    quic_source: QuicSource, tail, [];
    vrrp: Vrrp, tail, [0 & 0 | 0x31, 3 & 0x3f | 0];
}

/// Bytes are taken for tags or refused, and what is taken is written again.
#[test]
fn tags_of_any_bytes() {
    proptest!(|(bytes in vec(0..8u8, 0..60))| {
        let list = opte_headers::options::OptionList::<PppoeTag<'static>>::new(&bytes);
        let good: Vec<_> = list.iter().filter_map(Result::ok).collect();
        let again = opte_headers::Options::<PppoeTag<'static>, 128>::of(&good).unwrap();
        prop_assert!(again.list().iter().map(Result::unwrap).eq(good));
    });
}
