//! The transformations of one end as all flows have them that differ in nothing but that end.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte_headers::FlowKey;
use opte_headers::frame::KeyKind;
use opte_headers::program::{Program, ProgramError};

use super::rewrite::{End, Transport, set_destination, set_source};
use crate::Direction;
use crate::action::Shown;
use crate::direction::PerDirection;

/// [`set_source`] and [`set_destination`] of an address and a port of one address family, made once: a flow's own differ from them
/// by the values that are written.
#[derive(Debug)]
pub(super) struct Forms([PerDirection<Option<Arc<Program>>>; Transport::ALL.len()]);

impl Forms {
    /// Of the family of `address`.
    pub(super) fn new(address: IpAddr) -> Self {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let kept = |program: Result<Program, ProgramError>| program.ok().map(Arc::new);
        Self(Transport::ALL.map(|transport| PerDirection {
            outbound: kept(set_source(End::port(any, 0), transport)),
            inbound: kept(set_destination(End::port(any, 0), transport)),
        }))
    }

    /// Shows `taker` what makes `end` the source of what goes out, or the destination of what comes in.
    pub(super) fn show(
        &self,
        dir: Direction,
        end: End,
        transport: Transport,
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<(), ProgramError> {
        let Self(forms) = self;
        let form = forms.get(transport as usize);
        let form = form.and_then(|forms| forms.get(dir).as_ref());
        match (form, end.port) {
            (Some(form), Some(port)) => {
                taker(Shown::Like(form, &key_of(end.address, port, transport)));
            }
            _ => taker(Shown::Once(&match dir {
                Direction::Out => set_source(end, transport),
                Direction::In => set_destination(end, transport),
            }?)),
        }
        Ok(())
    }
}

/// A key of which both ends are this one.
fn key_of(address: IpAddr, port: u16, transport: Transport) -> FlowKey {
    let address = FlowKey::octets_of(address);
    FlowKey {
        source: address,
        destination: address,
        source_port: port,
        destination_port: port,
        protocol: transport.protocol().0,
        kind: match transport {
            Transport::Icmp | Transport::Icmp6 => KeyKind::ECHO_REQUEST,
            _ => KeyKind::PLAIN,
        },
        ..FlowKey::ZERO
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn forms_become_what_would_be_made() {
        let ends = ["198.51.100.7", "2001:db8::7"].map(|address| address.parse().unwrap());
        for (address, transport) in ends
            .into_iter()
            .flat_map(|address: IpAddr| Transport::ALL.map(|transport| (address, transport)))
        {
            let (forms, end) = (Forms::new(address), End::port(address, 0x1234));
            for (dir, made) in [
                (Direction::Out, set_source(end, transport)),
                (Direction::In, set_destination(end, transport)),
            ] {
                let mut shown = Program::REFUSING;
                let taken = forms.show(dir, end, transport, &mut |program| {
                    shown = *program.program();
                });
                taken.unwrap();
                assert_eq!(shown, made.unwrap(), "{dir:?} {address} {transport:?}");
            }
        }
    }
}
