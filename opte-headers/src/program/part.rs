//! Parts of programs.

use super::rewrite::{Bits, SumPlace, Window};
use super::{Program, Rewrite};

impl Program {
    /// What the program does to a packet that lacks the headers from position `from` on: what it writes to them, and their
    /// checksums, are left out. Headers come off and go on as before.
    ///
    /// With `from` behind the IP header this is what becomes of a later fragment, which has no transport header: the first
    /// fragment has the checksum, and it alone is mended for all of them.
    ///
    /// ```
    /// use core::net::Ipv4Addr;
    /// use opte_headers::{Ethernet, Ipv4, Transform, Udp, ipv4, stack, transform::Set, udp};
    ///
    /// let address = Ipv4Addr::new(198, 51, 100, 7);
    /// let whole = Transform::on::<stack![Ethernet, Ipv4, Udp]>()
    ///     .set::<ipv4::Source>(address)
    ///     .set::<udp::Source>(1025)
    ///     .compile();
    /// let of_address = Transform::on::<stack![Ethernet, Ipv4]>().set::<ipv4::Source>(address).compile();
    /// assert_eq!(whole.before_header(2), of_address);
    /// assert!(whole.before_header(1).is_identity());
    /// ```
    #[must_use]
    pub fn before_header(&self, from: u8) -> Self {
        Self::new(self.prefix, self.rewrite.before_header(from))
    }
}

impl Rewrite {
    fn before_header(&self, from: u8) -> Self {
        let mut part = Self::EMPTY;
        let mut places = [None; Self::PLACES];
        for (place, moved) in self.places().iter().zip(&mut places) {
            if place.header < from
                && let Some(slot) = part.places.get_mut(usize::from(part.place_count))
            {
                *slot = *place;
                *moved = Some(part.place_count);
                part.place_count += 1;
            }
        }
        let moved = |cover: u8| {
            places.iter().enumerate().fold(0, |all, (old, new)| {
                let bits = cover >> old & 0x11;
                new.map_or(all, |new| all | bits << new)
            })
        };
        for place in &mut part.places {
            let around = moved(place.flags & 0xf0);
            *place = SumPlace {
                flags: place.flags & 0x0f | around & 0xf0,
                ..*place
            };
        }
        for (window, data) in self.windows().filter(|(window, _)| window.header < from) {
            let at = usize::from(part.window_count);
            if let (Some(slot), Some(bytes)) = (part.windows.get_mut(at), part.data.get_mut(at)) {
                *slot = Window {
                    cover: moved(window.cover),
                    ..*window
                };
                *bytes = *data;
                part.window_count += 1;
            }
        }
        for bits in self.bits().iter().filter(|bits| bits.header < from) {
            if let Some(slot) = part.bits.get_mut(usize::from(part.bits_count)) {
                *slot = Bits {
                    cover: moved(bits.cover),
                    ..*bits
                };
                part.bits_count += 1;
            }
        }
        part.settle();
        part
    }
}
