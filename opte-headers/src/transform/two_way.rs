//! A transformation and its way back.

use core::fmt;

use super::{EndsWith, Reverse, Stack, Transform};
use crate::program::{Program, ProgramError};

/// A transformation and its way back: what an action keeps for a flow whose packets it transforms in both directions.
///
/// ```
/// use core::net::{Ipv4Addr, Ipv6Addr};
/// use opte_headers::transform::{Restore, Set, Transform, TwoWay};
/// use opte_headers::{Ethernet, Geneve, Ipv4, Ipv6, Udp, Vni, ipv4, stack};
///
/// let tunnel = Transform::on::<stack![Ethernet, Ipv4]>()
///     .push(Geneve { vni: Vni::new(99).unwrap(), ..Geneve::default() })
///     .push(Udp::default())
///     .push(Ipv6::default())
///     .push(Ethernet::default());
/// let tunnel = TwoWay::of(tunnel, |back| back).unwrap();
/// assert_eq!(tunnel.there().head_room(), 70);
/// assert_eq!(tunnel.back().to_string(), "pop 4");
///
/// // What a set overwrites has to be named.
/// let translated = Transform::on::<stack![Ethernet, Ipv4]>().set::<ipv4::Source>(Ipv4Addr::new(198, 51, 100, 7));
/// let private = Ipv4Addr::new(10, 0, 0, 5);
/// assert!(TwoWay::of(translated, |back| back).is_err());
/// assert!(TwoWay::of(translated, |back| back.restore::<ipv4::Source>(private)).is_ok());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TwoWay {
    there: Program,
    back: Program,
}

impl TwoWay {
    /// The transformation with its reverse, to which `restore` names what was overwritten. Where there is no reverse, because
    /// headers are gone that were not pushed, this does not compile.
    ///
    /// # Errors
    ///
    /// As [`Transform::try_compile`] and [`Reverse::compile`].
    pub fn of<In: Stack, Out, Place>(
        transform: Transform<In, Out>,
        restore: impl FnOnce(Reverse<Out, In>) -> Reverse<Out, In>,
    ) -> Result<Self, ProgramError>
    where
        Out: Stack + EndsWith<In, Place>,
    {
        Ok(Self {
            back: restore(transform.reverse()).compile()?,
            there: transform.try_compile()?,
        })
    }

    /// The transformation.
    #[must_use]
    pub const fn there(&self) -> &Program {
        &self.there
    }

    /// Its reverse.
    #[must_use]
    pub const fn back(&self) -> &Program {
        &self.back
    }
}

impl fmt::Debug for TwoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoWay")
            .field("there", &self.there)
            .field("back", &self.back)
            .finish()
    }
}
