//! Which guest answers to an external address and port.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use opte_headers::{MacAddr, Vni};
use testkit::{Failure, Result};

/// A share of the ports of an external address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    external: IpAddr,
    ports: RangeInclusive<u16>,
    /// Who has it.
    pub(crate) guest: Location,
}

/// Where a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// Its host, on the underlay.
    pub(crate) host: Ipv6Addr,
    /// Its network.
    pub(crate) vni: Vni,
    /// Its own MAC address.
    pub(crate) mac: MacAddr,
}

/// All shares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    shares: Vec<Share>,
}

impl Table {
    /// Adds a share, written `203.0.113.10:1024-2047=fd00:1::1,10,a8:40:25:f0:00:01`, or with `[2001:db8::1]` for IPv6.
    pub(crate) fn add(&mut self, text: &str) -> Result<()> {
        self.shares.push(
            parse(text)
                .ok_or_else(|| Failure::new("read a share of ports", format!("`{text}`")))?,
        );
        Ok(())
    }

    /// Whether the address is one of ours.
    pub(crate) fn has(&self, external: IpAddr) -> bool {
        self.shares.iter().any(|share| share.external == external)
    }

    /// Who answers to this port (of ICMP echo, identifier) of this address.
    pub(crate) fn find(&self, external: IpAddr, port: u16) -> Option<&Location> {
        let found = self
            .shares
            .iter()
            .find(|share| share.external == external && share.ports.contains(&port));
        found.map(|share| &share.guest)
    }
}

fn parse(text: &str) -> Option<Share> {
    let (outer, inner) = text.split_once('=')?;
    let (first, last) = outer.rsplit_once('-')?;
    let first: SocketAddr = first.parse().ok()?;
    let mut inner = inner.split(',');
    let host = inner.next()?.parse().ok()?;
    let vni = Vni::new(inner.next()?.parse().ok()?)?;
    let mac = inner.next()?.parse().ok()?;
    let whole = inner.next().is_none();
    let share = Share {
        external: first.ip(),
        ports: first.port()..=last.parse().ok()?,
        guest: Location { host, vni, mac },
    };
    whole.then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_found_by_address_and_port() {
        let mut table = Table::default();
        table
            .add("203.0.113.10:1024-2047=fd00:1::1,10,a8:40:25:f0:00:01")
            .unwrap();
        table
            .add("[2001:db8::1]:5-5=fd00:2::1,20,a8:40:25:f0:00:02")
            .unwrap();
        let (v4, v6) = (
            "203.0.113.10".parse().unwrap(),
            "2001:db8::1".parse().unwrap(),
        );
        for (address, port, host) in [
            (v4, 1023, None),
            (v4, 1024, Some("fd00:1::1")),
            (v4, 2047, Some("fd00:1::1")),
            (v4, 2048, None),
            (v6, 5, Some("fd00:2::1")),
            (v6, 1024, None),
        ] {
            assert_eq!(
                table.find(address, port).map(|guest| guest.host),
                host.map(|host| host.parse().unwrap()),
                "{address} {port}"
            );
        }
        assert!(table.has(v4) && !table.has("203.0.113.11".parse().unwrap()));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in [
            "",
            "203.0.113.10",
            "203.0.113.10:1-2=fd00::1,10",
            "203.0.113.10:1-2=fd00::1,99999999,a8:40:25:f0:00:01",
        ] {
            assert!(Table::default().add(text).is_err(), "{text}");
        }
    }
}
