//! Where later fragments go: where their first one went.

use std::collections::VecDeque;
use std::net::IpAddr;

use opte_headers::frame::Parsed;

use crate::nat::Location;

/// The packets whose first fragment was seen last, and who they are for.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    packets: VecDeque<(Packet, Location)>,
}

/// What the fragments of one packet have in common (RFC 791, section 3.2; RFC 8200, section 4.5).
type Packet = (IpAddr, IpAddr, u8, u32);

/// Packets that are remembered.
const ROOM: usize = 1024;

impl Fragments {
    /// Sends what follows this first fragment to `guest`.
    pub(crate) fn follow(&mut self, first: &Parsed, guest: Location) {
        self.packets.push_front((packet(first), guest));
        self.packets.truncate(ROOM);
    }

    /// Who a later fragment is for; nobody whose first one was not seen or is long gone.
    pub(crate) fn find(&self, later: &Parsed) -> Option<Location> {
        let packet = packet(later);
        let mut known = self.packets.iter();
        known
            .find(|(known, _)| *known == packet)
            .map(|(_, guest)| *guest)
    }
}

fn packet(parsed: &Parsed) -> Packet {
    let key = &parsed.key;
    (
        key.source_ip(),
        key.destination_ip(),
        key.protocol,
        parsed.fragment_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use opte_headers::{MacAddr, Vni};

    fn fragment(id: u32) -> Parsed {
        let mut parsed = Parsed::default();
        parsed.fragment_id = id;
        parsed
    }

    fn guest(vni: u32) -> Location {
        Location {
            host: std::net::Ipv6Addr::LOCALHOST,
            vni: Vni::new(vni).unwrap(),
            mac: MacAddr::BROADCAST,
        }
    }

    #[test]
    fn later_fragments_go_where_the_first_one_went() {
        let mut fragments = Fragments::default();
        fragments.follow(&fragment(1), guest(10));
        fragments.follow(&fragment(2), guest(20));
        assert_eq!(fragments.find(&fragment(1)), Some(guest(10)));
        assert_eq!(fragments.find(&fragment(2)), Some(guest(20)));
        assert_eq!(fragments.find(&fragment(3)), None);
    }

    #[test]
    fn no_more_packets_are_remembered_than_there_is_room_for() {
        let mut fragments = Fragments::default();
        let many = ROOM as u32 + 1;
        (0..many).for_each(|id| fragments.follow(&fragment(id), guest(10)));
        assert_eq!(fragments.find(&fragment(0)), None);
        assert_eq!(fragments.find(&fragment(1)), Some(guest(10)));
    }
}
