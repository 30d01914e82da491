//! Multicast: which group is which on the underlay, where it is sent on to, who has subscribed to it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use opte::api::{OpteError, Page, check_port_name};
use opte_headers::Vni;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::network::{BOUNDARY_VNI, MULTICAST_VNI};

/// Maps a group to the group that stands for it on the underlay. An earlier mapping of the group is replaced; its subscribers stay.
///
/// A group is one VPC's own, or one for all VPCs. A VPC's own mapping goes before that for all: with it the VPC's guests send to and
/// hear one another alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetMcast2PhysReq {
    /// The VPC whose group it is; all VPCs' if none.
    pub vni: Option<Vni>,
    /// The group as guests know it.
    pub group: IpAddr,
    /// The underlay's group, of ff04::/16 (admin-local, RFC 7346).
    pub underlay: Ipv6Addr,
}

/// Removes the mapping of a group, and with it the subscriptions for which there is none left: guests of a VPC whose own mapping goes are
/// members of the group for all VPCs, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ClearMcast2PhysReq {
    /// The VPC whose group it is; all VPCs' if none.
    pub vni: Option<Vni>,
    /// The group as guests know it.
    pub group: IpAddr,
    /// What it is mapped to; another mapping is left alone.
    pub underlay: Ipv6Addr,
}

/// Lists which group is which on the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpMcast2PhysReq {
    /// Which part.
    pub page: Page,
}

/// Some groups and what they are on the underlay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpMcast2PhysResp {
    /// Mappings: first those for all VPCs, then by VPC; by group, IPv4 first.
    pub mappings: Vec<Mcast2PhysMapping>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// What a group is on the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Schema)]
pub struct Mcast2PhysMapping {
    /// The VPC whose group it is; all VPCs' if none.
    pub vni: Option<Vni>,
    /// The group as guests know it.
    pub group: IpAddr,
    /// The underlay's group.
    pub underlay: Ipv6Addr,
}

/// Adds next hops to those that the packets of an underlay group are sent to; one that is there already is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetMcastForwardingReq {
    /// The underlay's group.
    pub underlay: Ipv6Addr,
    /// The next hops.
    pub next_hops: Vec<McastNextHop>,
}

/// Removes next hops of an underlay group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ClearMcastForwardingReq {
    /// The underlay's group.
    pub underlay: Ipv6Addr,
    /// Underlay addresses of the next hops; none for all of them.
    pub next_hops: Vec<Ipv6Addr>,
}

/// Lists the next hops of all underlay groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpMcastForwardingReq {
    /// Which part.
    pub page: Page,
}

/// The next hops of some underlay groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpMcastForwardingResp {
    /// By underlay group.
    pub entries: Vec<McastForwarding>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// The next hops of an underlay group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct McastForwarding {
    /// The underlay's group.
    pub underlay: Ipv6Addr,
    /// By address.
    pub next_hops: Vec<McastNextHop>,
}

/// Where packets of a group are sent on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct McastNextHop {
    /// The unicast underlay address whose route the packet takes. Its destination stays the group.
    pub addr: Ipv6Addr,
    /// The network in which groups of all VPCs are sent: [`MULTICAST_VNI`]. Those of one VPC are sent in its own.
    pub vni: Vni,
    /// What the next hop is to do with it.
    pub replication: Replication,
    /// The sources whose packets are sent there.
    pub filter: SourceFilter,
}

/// Delivers packets of a group to a port. A port that has subscribed to the group before gets the new filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct McastSubscribeReq {
    /// The port.
    pub port_name: String,
    /// The group; it must have a mapping.
    pub group: IpAddr,
    /// The sources whose packets are delivered.
    pub filter: SourceFilter,
}

/// Ends the subscription of a port to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct McastUnsubscribeReq {
    /// The port.
    pub port_name: String,
    /// The group.
    pub group: IpAddr,
}

/// Ends all subscriptions to a group, of which there may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct McastUnsubscribeAllReq {
    /// The group.
    pub group: IpAddr,
}

/// Lists the subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpMcastSubscriptionsReq {
    /// Which part.
    pub page: Page,
}

/// Some of the subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpMcastSubscriptionsResp {
    /// By group, then by port.
    pub entries: Vec<McastSubscription>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// A port's subscription to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct McastSubscription {
    /// The underlay's group.
    pub underlay: Ipv6Addr,
    /// The group as guests know it.
    pub group: IpAddr,
    /// The port.
    pub port_name: String,
    /// The sources whose packets are delivered.
    pub filter: SourceFilter,
}

/// Who a next hop copies a packet to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum Replication {
    /// Members outside the overlay.
    External,
    /// Members on other hosts.
    Underlay,
    /// Both.
    Both,
}

/// Which sources a receiver wants to hear (RFC 3376, section 2; RFC 3810).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum SourceFilter {
    /// These alone.
    Include(BTreeSet<IpAddr>),
    /// All but these.
    Exclude(BTreeSet<IpAddr>),
}

impl SourceFilter {
    /// Every source.
    pub const ANY: Self = Self::Exclude(BTreeSet::new());

    /// Whether packets of this source are wanted.
    #[inline]
    pub fn allows(&self, source: IpAddr) -> bool {
        match self {
            Self::Include(sources) => sources.contains(&source),
            Self::Exclude(sources) => !sources.contains(&source),
        }
    }

    /// The sources it names.
    pub fn sources(&self) -> &BTreeSet<IpAddr> {
        match self {
            Self::Include(sources) | Self::Exclude(sources) => sources,
        }
    }

    fn check(&self) -> Result<(), OpteError> {
        self.sources().iter().try_for_each(|&source| {
            let special = match source {
                IpAddr::V4(v4) => {
                    v4.is_unspecified()
                        || v4.is_loopback()
                        || v4.is_broadcast()
                        || v4.is_link_local()
                }
                IpAddr::V6(v6) => {
                    v6.is_unspecified() || v6.is_loopback() || v6.is_unicast_link_local()
                }
            };
            if source.is_multicast() {
                return Err(invalid(
                    "source",
                    format!("{source} is a multicast address"),
                ));
            }
            if special {
                return Err(invalid(
                    "source",
                    format!("{source} is a special-use address"),
                ));
            }
            Ok(())
        })
    }
}

impl Default for SourceFilter {
    fn default() -> Self {
        Self::ANY
    }
}

impl fmt::Display for SourceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mode, none) = match self {
            Self::Include(_) => ("INCLUDE", "none"),
            Self::Exclude(_) => ("EXCLUDE", "any"),
        };
        if self.sources().is_empty() {
            return write!(f, "{mode}() ({none})");
        }
        write!(f, "{mode}(")?;
        for (at, source) in self.sources().iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{source}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::External => "external",
            Self::Underlay => "underlay",
            Self::Both => "both",
        })
    }
}

/// The text is no [`Replication`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationTextError {
    text: String,
}

impl fmt::Display for ReplicationTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is not one of external, underlay, both",
            self.text.escape_debug()
        )
    }
}

impl core::error::Error for ReplicationTextError {}

impl FromStr for Replication {
    type Err = ReplicationTextError;

    fn from_str(text: &str) -> Result<Self, ReplicationTextError> {
        match text {
            "external" => Ok(Self::External),
            "underlay" => Ok(Self::Underlay),
            "both" => Ok(Self::Both),
            _ => Err(ReplicationTextError { text: text.into() }),
        }
    }
}

impl From<Replication> for opte_headers::Replication {
    fn from(replication: Replication) -> Self {
        match replication {
            Replication::External => Self::External,
            Replication::Underlay => Self::Underlay,
            Replication::Both => Self::Both,
        }
    }
}

impl SetMcast2PhysReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        check_group(self.group)?;
        check_underlay_group(self.underlay)?;
        let shared = |vni: &Vni| matches!(*vni, MULTICAST_VNI | BOUNDARY_VNI);
        match self.vni.filter(shared) {
            Some(vni) => Err(invalid("VNI", format!("{vni} is no VPC's"))),
            None => Ok(()),
        }
    }
}

impl SetMcastForwardingReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        check_underlay_group(self.underlay)?;
        if self.next_hops.is_empty() {
            return Err(invalid("next hops", "none are given".to_string()));
        }
        self.next_hops.iter().try_for_each(|hop| {
            let (addr, vni) = (hop.addr, hop.vni);
            if addr.is_unspecified() || addr.is_multicast() || addr.is_loopback() {
                return Err(invalid("next hop", format!("{addr} is no host's")));
            }
            if vni != MULTICAST_VNI {
                return Err(invalid(
                    "next hop",
                    format!("multicast is in network {MULTICAST_VNI}, not {vni}"),
                ));
            }
            hop.filter.check()
        })
    }
}

impl ClearMcastForwardingReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        check_underlay_group(self.underlay)
    }
}

impl McastSubscribeReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        check_port_name(&self.port_name)?;
        check_group(self.group)?;
        self.filter.check()?;
        let foreign = |source: &&IpAddr| source.is_ipv4() != self.group.is_ipv4();
        match self.filter.sources().iter().find(foreign) {
            Some(source) => Err(invalid(
                "source",
                format!("{source} is not of the family of group {}", self.group),
            )),
            None => Ok(()),
        }
    }
}

impl McastUnsubscribeReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        check_port_name(&self.port_name)?;
        check_multicast(self.group)
    }
}

impl McastUnsubscribeAllReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        check_multicast(self.group)
    }
}

/// A group whose packets may leave the link they are sent on: a VPC is no link, its gateway is the next router.
fn check_group(group: IpAddr) -> Result<(), OpteError> {
    check_multicast(group)?;
    let stays = match group {
        // RFC 5771, section 4.
        IpAddr::V4(v4) => v4.octets().starts_with(&[224, 0, 0]),
        // Scopes 0 to 2: reserved, interface-local, link-local (RFC 7346).
        IpAddr::V6(v6) => v6.octets().get(1).is_some_and(|flags| flags & 0xf <= 2),
    };
    if stays {
        return Err(invalid(
            "group",
            format!("{group} is of a scope that does not leave the guest's link"),
        ));
    }
    Ok(())
}

fn check_multicast(group: IpAddr) -> Result<(), OpteError> {
    if group.is_multicast() {
        return Ok(());
    }
    Err(invalid(
        "group",
        format!("{group} is not a multicast address"),
    ))
}

fn check_underlay_group(group: Ipv6Addr) -> Result<(), OpteError> {
    if group.segments().first() == Some(&0xff04) {
        return Ok(());
    }
    Err(invalid(
        "underlay group",
        format!("{group} is not of ff04::/16"),
    ))
}

fn invalid(name: &str, reason: String) -> OpteError {
    OpteError::InvalidArgument {
        name: name.to_string(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opte::api::Request;

    fn text(result: Result<(), OpteError>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "ok".into())
    }

    #[test]
    fn groups_leave_the_link_and_are_admin_local_below() {
        let map = |group: &str, underlay: &str| {
            let (group, underlay) = (group.parse().unwrap(), underlay.parse().unwrap());
            let vni = None;
            text(
                SetMcast2PhysReq {
                    vni,
                    group,
                    underlay,
                }
                .validate(),
            )
        };
        let ok = [
            ("239.1.1.1", "ff04::1"),
            ("232.0.0.1", "ff04:1::"),
            ("ff0e::1", "ff04::2"),
            ("ff35::1", "ff04::2"),
            ("224.0.1.1", "ff04::"),
        ];
        for (group, underlay) in ok {
            assert_eq!(map(group, underlay), "ok", "{group}");
        }
        assert_eq!(
            map("10.0.0.1", "ff04::1"),
            "invalid group: 10.0.0.1 is not a multicast address"
        );
        for group in ["224.0.0.251", "ff02::fb", "ff01::1", "ff12::1", "ff00::1"] {
            assert_eq!(
                map(group, "ff04::1"),
                format!(
                    "invalid group: {group} is of a scope that does not leave the guest's link"
                )
            );
        }
        for underlay in ["ff05::1", "ff14::1", "fd00::1", "::"] {
            assert_eq!(
                map("239.1.1.1", underlay),
                format!("invalid underlay group: {underlay} is not of ff04::/16")
            );
        }
    }

    #[test]
    fn next_hops_are_hosts_in_the_network_of_multicast() {
        let set = |addr: &str, vni, filter| {
            let hop = McastNextHop {
                addr: addr.parse().unwrap(),
                vni: Vni::new(vni).unwrap(),
                replication: Replication::Both,
                filter,
            };
            let underlay = "ff04::1".parse().unwrap();
            let next_hops = [hop].into();
            text(
                SetMcastForwardingReq {
                    underlay,
                    next_hops,
                }
                .validate(),
            )
        };
        assert_eq!(set("fd00::1", 77, SourceFilter::ANY), "ok");
        assert_eq!(
            set("fd00::1", 5555, SourceFilter::ANY),
            "invalid next hop: multicast is in network 77, not 5555"
        );
        assert_eq!(
            set("ff04::2", 77, SourceFilter::ANY),
            "invalid next hop: ff04::2 is no host's"
        );
        let odd = SourceFilter::Include(["224.1.1.1".parse().unwrap()].into());
        assert_eq!(
            set("fd00::1", 77, odd),
            "invalid source: 224.1.1.1 is a multicast address"
        );
    }

    #[test]
    fn sources_are_hosts_of_the_groups_family() {
        let subscribe = |source: &str| {
            let filter = SourceFilter::Exclude([source.parse().unwrap()].into());
            let (port_name, group) = ("opte0".into(), "239.1.1.1".parse().unwrap());
            text(
                McastSubscribeReq {
                    port_name,
                    group,
                    filter,
                }
                .validate(),
            )
        };
        assert_eq!(subscribe("10.0.0.1"), "ok");
        for source in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "169.254.1.1"] {
            assert_eq!(
                subscribe(source),
                format!("invalid source: {source} is a special-use address")
            );
        }
        assert_eq!(
            subscribe("fd00::1"),
            "invalid source: fd00::1 is not of the family of group 239.1.1.1"
        );
    }

    #[test]
    fn filters_and_replication_as_text() {
        let [a, b]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let include = SourceFilter::Include([a, b].into());
        assert_eq!(include.to_string(), "INCLUDE(10.0.0.1, 10.0.0.2)");
        assert_eq!(SourceFilter::ANY.to_string(), "EXCLUDE() (any)");
        assert_eq!(
            SourceFilter::Include(BTreeSet::new()).to_string(),
            "INCLUDE() (none)"
        );
        let exclude = SourceFilter::Exclude([a].into());
        assert_eq!([include.allows(a), exclude.allows(a)], [true, false]);
        assert_eq!([exclude.allows(b), SourceFilter::ANY.allows(a)], [true; 2]);
        for text in ["external", "underlay", "both"] {
            assert_eq!(text.parse::<Replication>().unwrap().to_string(), text);
        }
        assert_eq!(
            "all".parse::<Replication>().unwrap_err().to_string(),
            "'all' is not one of external, underlay, both"
        );
    }
}
