//! Headers that opte-headers does not have, as a stranger would derive them: from its documentation alone.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]

pub mod bfd;
pub mod engine;
pub mod l2tpv3;
pub mod mpls;
pub mod nsh;
pub mod pppoe;
pub mod quic;
pub mod vrrp;
