//! Everything that was configured, as a listing.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

use opte::Direction;
use opte::api::{MeterLimits, Page};
use opte_headers::Vni;
use oxide_vpc::api::{
    ConfigItem, CreateLanPortReq, DumpConfigResp, GuestPhysAddr, IpCfg, Virt2BoundaryMapping,
    Virt2PhysMapping, VpcCfg,
};
use oxide_vpc::port::VpcPort;

use super::managed::{Kind, Managed};
use super::{Management, place};
use crate::Driver;
use crate::platform::Platform;

impl<P: Platform> Driver<P> {
    /// A page of all that was configured: the underlay, the ports, multicast, the mappings. A cursor counts places in this order; that of a
    /// mapping of this host's own ports, which nobody configured, is empty.
    pub(super) fn config(&self, page: Page) -> DumpConfigResp {
        let management = self.management.lock();
        let mut listing = Listing {
            skip: place(page.cursor),
            room: page.limit(),
            items: Vec::new(),
        };
        listing.take(1, || underlay(&management));
        for port in management.ports.values() {
            listing.take(count_of_port(port), || items_of_port(port));
        }
        let multicast = &management.multicast;
        listing.take(multicast.count(), || multicast.items());
        let v2p = &self.host.mappings.v2p;
        let own = own_addresses(&management);
        listing.take_page(|skip, limit| {
            let found = v2p.page(skip, limit).into_iter();
            let items = found.map(|(vni, vip, phys)| {
                let mapping = Virt2PhysMapping { vni, vip, phys };
                let is_own = own.contains(&(vni, vip, phys));
                (!is_own).then_some(ConfigItem::Virt2Phys(mapping))
            });
            (items.collect(), v2p.len())
        });
        let v2b = &self.host.mappings.v2b;
        let ended = listing.take_last(|skip, limit| {
            let found = v2b.page(skip, limit).into_iter();
            let items = found.map(|(vip, tep)| {
                Some(ConfigItem::Virt2Boundary(Virt2BoundaryMapping { vip, tep }))
            });
            items.collect()
        });
        let shown = page.limit() - listing.room;
        DumpConfigResp {
            revision: 0,
            items: listing.items.into_iter().flatten().collect(),
            next: (!ended).then(|| page.cursor.saturating_add(shown as u64)),
        }
    }
}

/// A page that is being filled.
struct Listing {
    /// Places before the page.
    skip: usize,
    /// Places that are left in it.
    room: usize,
    items: Vec<Option<ConfigItem>>,
}

impl Listing {
    /// Takes what falls into the page of `count` items, which are made only if any does.
    fn take(&mut self, count: usize, items: impl FnOnce() -> Vec<ConfigItem>) {
        if self.skip >= count {
            self.skip -= count;
        } else if self.room > 0 {
            let before = self.items.len();
            let items = items().into_iter().skip(self.skip).take(self.room);
            self.items.extend(items.map(Some));
            self.skip = 0;
            self.room -= self.items.len() - before;
        }
    }

    /// The same for a table that is listed in pages; `page` also says how long it is.
    fn take_page(&mut self, page: impl FnOnce(usize, usize) -> (Vec<Option<ConfigItem>>, usize)) {
        let (items, count) = page(self.skip, self.room);
        self.skip = self.skip.saturating_sub(count);
        self.room = self.room.saturating_sub(items.len());
        self.items.extend(items);
    }

    /// The same for the last table; whether all of it was listed.
    fn take_last(&mut self, page: impl FnOnce(usize, usize) -> Vec<Option<ConfigItem>>) -> bool {
        let items = page(self.skip, self.room);
        self.room = self.room.saturating_sub(items.len());
        self.items.extend(items);
        self.room > 0
    }
}

fn underlay<L>(management: &Management<L>) -> Vec<ConfigItem> {
    let links = management.underlay.clone();
    [ConfigItem::Underlay { links }].into()
}

fn count_of_port<L>(port: &Managed<L>) -> usize {
    let of = |vpc: &VpcPort| {
        let (rules, routes) = vpc.programmed();
        let prefixes = vpc.transit_cidrs().len() + vpc.attached_subnets().len();
        let lists = [vpc.internet_gateways().is_empty(), vpc.peers().is_empty()];
        let lists = lists.iter().filter(|empty| !**empty).count();
        let options = usize::from(!vpc.options().is_none());
        rules + routes + prefixes + lists + options
    };
    1 + port.vpc().map_or(0, |vpc| of(vpc)) + set_meters(port).count()
}

fn items_of_port<L>(port: &Managed<L>) -> Vec<ConfigItem> {
    let name = || port.switch.name.clone();
    let mut items = Vec::from([request_of_now(&port.kind)]);
    items.extend(set_meters(port).map(|(dir, limits)| ConfigItem::Meter {
        port_name: name(),
        dir,
        limits,
    }));
    let Ok(vpc) = port.vpc() else {
        return items;
    };
    let map = vpc.internet_gateways();
    if !map.is_empty() {
        let port_name = name();
        items.push(ConfigItem::InternetGateways { port_name, map });
    }
    let peers = vpc.peers();
    if !peers.is_empty() {
        let port_name = name();
        items.push(ConfigItem::Peers { port_name, peers });
    }
    let options = vpc.options();
    if !options.is_none() {
        let port_name = name();
        items.push(ConfigItem::Options { port_name, options });
    }
    let rules = vpc.firewall_rules().into_iter();
    items.extend(rules.map(|(id, rule)| ConfigItem::FwRule {
        port_name: name(),
        id,
        rule,
    }));
    let routes = vpc.router_entries().into_iter();
    items.extend(routes.map(|entry| ConfigItem::Route {
        port_name: name(),
        entry,
    }));
    let transit = vpc.transit_cidrs().into_iter();
    items.extend(transit.map(|transit| ConfigItem::Transit {
        port_name: name(),
        transit,
    }));
    let subnets = vpc.attached_subnets().into_iter();
    items.extend(subnets.map(|subnet| ConfigItem::Subnet {
        port_name: name(),
        subnet,
    }));
    items
}

/// The directions that are limited.
fn set_meters<L>(port: &Managed<L>) -> impl Iterator<Item = (Direction, MeterLimits)> {
    let meters = port.engine().map(|engine| engine.meters());
    let meters = meters.unwrap_or_default();
    let each = Direction::BOTH.into_iter();
    let each = each.map(move |dir| (dir, *meters.get(dir)));
    each.filter(|(_, limits)| !limits.is_none())
}

/// The request that would make the port as it is now.
fn request_of_now(kind: &Kind) -> ConfigItem {
    let (mut request, vpc) = match kind {
        Kind::Passthrough(request) => (request.clone(), None),
        Kind::Vpc(vpc, request) => (request.clone(), Some(vpc)),
        Kind::Lan(port, request) => {
            let (cfg, mtu) = (port.cfg(), Some(kind.mtu()));
            let request = CreateLanPortReq::clone(request);
            return ConfigItem::LanPort(Box::new(CreateLanPortReq {
                cfg,
                mtu,
                ..request
            }));
        }
    };
    request.mtu = Some(kind.mtu());
    if let Some(vpc) = vpc {
        let VpcCfg { ip_cfg, .. } = &mut request.cfg;
        if let IpCfg::Ipv4(ipv4) | IpCfg::DualStack { ipv4, .. } = ip_cfg {
            ipv4.external_ips = vpc.external_ips_v4();
        }
        if let IpCfg::Ipv6(ipv6) | IpCfg::DualStack { ipv6, .. } = ip_cfg {
            ipv6.external_ips = vpc.external_ips_v6();
        }
    }
    ConfigItem::Port(request)
}

/// What the host's tables have of this host's own ports.
fn own_addresses<L>(management: &Management<L>) -> BTreeSet<(Vni, IpAddr, GuestPhysAddr)> {
    let ports = management.ports.values();
    let engines = ports.filter_map(|port| port.vpc().ok());
    engines.flat_map(|vpc| vpc.location()).collect()
}
