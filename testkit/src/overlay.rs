//! The whole lab at work: drivers running, guests on the net.

use crate::plan::{self, ALICE, BOB, CAROL, MALLORY, Place};
use crate::{Binaries, Guest, Result, Topology};

/// A topology with its drivers, its boundary and its four guests, programmed and addressed.
#[derive(Debug)]
pub struct Overlay {
    /// On the first host.
    pub alice: Guest,
    /// On the first host.
    pub bob: Guest,
    /// On the second host.
    pub carol: Guest,
    /// On the first host, of another VPC, with Carol's addresses.
    pub mallory: Guest,
    /// What they stand on.
    pub topology: Topology,
}

impl Overlay {
    /// Builds it all. Guests may then reach each other with ICMP, TCP and UDP within their VPC, and the outside.
    ///
    /// # Errors
    /// At the first step that fails.
    pub fn raise(binaries: &Binaries) -> Result<Self> {
        let mut topology = Topology::build(binaries)?;
        topology.start()?;
        let join = |guest| topology.add_guest(guest);
        let (alice, bob, carol, mallory) =
            (join(&ALICE)?, join(&BOB)?, join(&CAROL)?, join(&MALLORY)?);
        let overlay = Self {
            alice,
            bob,
            carol,
            mallory,
            topology,
        };
        for place in [Place::A, Place::B] {
            overlay.program(place)?;
        }
        for guest in overlay.guests() {
            guest.dhcp()?;
            guest.configure_v6()?;
        }
        Ok(overlay)
    }

    /// All guests.
    pub fn guests(&self) -> [&Guest; 4] {
        [&self.alice, &self.bob, &self.carol, &self.mallory]
    }

    /// Guests of one host.
    pub fn guests_at(&self, place: Place) -> impl Iterator<Item = &Guest> {
        self.guests()
            .into_iter()
            .filter(move |guest| guest.plan().place == place)
    }

    /// Tells a host's driver where everybody is and the way out, and to let TCP and UDP in to its guests.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn program(&self, place: Place) -> Result<()> {
        self.map(place)?;
        let host = self.topology.host(place);
        for guest in self.guests_at(place) {
            for protocol in ["tcp", "udp"] {
                host.allow_in(guest.plan(), protocol, "any", 1000)?;
            }
        }
        Ok(())
    }

    /// Tells a host's driver where the guests of the other are, and the way out.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn map(&self, place: Place) -> Result<()> {
        let host = self.topology.host(place);
        plan::GUESTS
            .iter()
            .filter(|guest| guest.place != place)
            .try_for_each(|guest| host.set_v2p(guest))?;
        host.set_v2b()
    }
}
