//! The commands that program a VPC's ports.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::Direction;
use opte::api::{
    GuestLink, IpCidr, MeterLimits, NoResp, OpteError, Page, PortRange, check_port_name,
};
use opte_headers::{MacAddr, Vni};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::multicast::{
    ClearMcast2PhysReq, ClearMcastForwardingReq, DumpMcast2PhysReq, DumpMcast2PhysResp,
    DumpMcastForwardingReq, DumpMcastForwardingResp, DumpMcastSubscriptionsReq,
    DumpMcastSubscriptionsResp, McastSubscribeReq, McastUnsubscribeAllReq, McastUnsubscribeReq,
    SetMcast2PhysReq, SetMcastForwardingReq,
};
use super::{
    AttachedSubnet, DumpConfigReq, DumpConfigResp, ExternalIpCfg, FirewallRule, GuestPhysAddr,
    InternetGatewayMap, PhysNet, RouterEntry, RunBatchReq, StageBatchReq, StageBatchResp,
    TransitCidr, TunnelEndpoint, VpcCfg,
};
use crate::network::{BOUNDARY_VNI, MULTICAST_VNI};

/// Creates a port and its link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct CreateXdeReq {
    /// The name of the port, and of its link on the host.
    pub name: String,
    /// What the port is in its VPC.
    pub cfg: VpcCfg,
    /// The guest's MTU in octets; [`DEFAULT_MTU`](opte::api::DEFAULT_MTU) if none.
    pub mtu: Option<u16>,
    /// Whether frames pass between the guest and the first underlay link as they are, without the engine.
    pub passthrough: bool,
    /// How the guest is attached.
    pub link: GuestLink,
}

/// Deletes a port and its link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DeleteXdeReq {
    /// The port.
    pub name: String,
}

/// Names the links to the other hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetXdeUnderlayReq {
    /// The first link.
    pub u1: String,
    /// The second link, another one.
    pub u2: Option<String>,
}

/// Lets go of the links to the other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ClearXdeUnderlayReq {}

/// Lists the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ListPortsReq {
    /// Which part.
    pub page: Page,
}

/// Some of the ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ListPortsResp {
    /// The ports.
    pub ports: Vec<PortInfo>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// A port in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct PortInfo {
    /// Its name.
    pub name: String,
    /// The network it is of: `oxide-vpc` or `lan-nat`.
    pub network: String,
    /// The guest's MAC address.
    pub mac_addr: MacAddr,
    /// The VPC's network identifier, of a port that is of one.
    pub vni: Option<Vni>,
    /// What it is on its LAN, of a port that is on one.
    pub lan: Option<LanInfo>,
    /// The guest's MTU in octets.
    pub mtu: u16,
    /// Whether frames pass without the engine.
    pub passthrough: bool,
    /// The guest's IPv4 address.
    pub ip4_addr: Option<Ipv4Addr>,
    /// Its ephemeral IPv4 address.
    pub ephemeral_ip4_addr: Option<Ipv4Addr>,
    /// Its floating IPv4 addresses.
    pub floating_ip4_addrs: Vec<Ipv4Addr>,
    /// The guest's IPv6 address.
    pub ip6_addr: Option<Ipv6Addr>,
    /// Its ephemeral IPv6 address.
    pub ephemeral_ip6_addr: Option<Ipv6Addr>,
    /// Its floating IPv6 addresses.
    pub floating_ip6_addrs: Vec<Ipv6Addr>,
    /// `ready`, `running`, `paused`, `restored`.
    pub state: String,
    /// How much the guest may be sent.
    pub meter_in: MeterLimits,
    /// How much the guest may send.
    pub meter_out: MeterLimits,
}

/// What a port is on its LAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct LanInfo {
    /// The host's link to the LAN.
    pub link: String,
    /// The address that stands for the guest.
    pub public_ip: Ipv4Addr,
    /// The MAC address under which the LAN finds it.
    pub public_mac: MacAddr,
    /// The ports of the address that are the guest's.
    pub ports: PortRange,
}

/// Adds a firewall rule to a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct AddFwRuleReq {
    /// The port.
    pub port_name: String,
    /// The rule.
    pub rule: FirewallRule,
}

/// What a new firewall rule is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct AddFwRuleResp {
    /// The rule's number, for [`RemFwRuleReq`]. The port gives it to no other rule of its direction.
    pub id: u64,
}

/// Removes a firewall rule of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct RemFwRuleReq {
    /// The port.
    pub port_name: String,
    /// The rule's direction.
    pub dir: Direction,
    /// The rule's number, as [`AddFwRuleResp`] or a dump of the layer tells it.
    pub id: u64,
}

/// Replaces all firewall rules of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetFwRulesReq {
    /// The port.
    pub port_name: String,
    /// The rules.
    pub rules: Vec<FirewallRule>,
}

/// Maps a guest's address to the host it is on. An earlier mapping of the address is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetVirt2PhysReq {
    /// The guest's address in its VPC.
    pub vip: IpAddr,
    /// Where it is, and which VPC's it is.
    pub phys: PhysNet,
}

/// Removes the mapping of a guest's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ClearVirt2PhysReq {
    /// The guest's address in its VPC.
    pub vip: IpAddr,
    /// What it is mapped to; another mapping is left alone.
    pub phys: PhysNet,
}

/// Lists where guests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpVirt2PhysReq {
    /// Which part.
    pub page: Page,
}

/// Where some of the guests are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpVirt2PhysResp {
    /// Mappings, by VPC, then by address.
    pub mappings: Vec<Virt2PhysMapping>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// Where a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Schema)]
pub struct Virt2PhysMapping {
    /// The VPC.
    pub vni: Vni,
    /// The guest's address.
    pub vip: IpAddr,
    /// Where it is.
    pub phys: GuestPhysAddr,
}

/// Adds tunnel endpoints to those that lead to a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetVirt2BoundaryReq {
    /// The prefix.
    pub vip: IpCidr,
    /// The endpoints.
    pub tep: Vec<TunnelEndpoint>,
}

/// Removes tunnel endpoints from those that lead to a prefix, and the prefix with the last of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ClearVirt2BoundaryReq {
    /// The prefix.
    pub vip: IpCidr,
    /// The endpoints.
    pub tep: Vec<TunnelEndpoint>,
}

/// Lists the tunnel endpoints of all prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpVirt2BoundaryReq {
    /// Which part.
    pub page: Page,
}

/// The tunnel endpoints of some prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpVirt2BoundaryResp {
    /// Mappings, by prefix.
    pub mappings: Vec<Virt2BoundaryMapping>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// The tunnel endpoints of a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Schema)]
pub struct Virt2BoundaryMapping {
    /// The prefix.
    pub vip: IpCidr,
    /// The endpoints.
    pub tep: Vec<TunnelEndpoint>,
}

/// Adds a route to a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct AddRouterEntryReq {
    /// The port.
    pub port_name: String,
    /// The route.
    pub entry: RouterEntry,
}

/// Removes a route of a port: the one with this very prefix, target and class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DelRouterEntryReq {
    /// The port.
    pub port_name: String,
    /// The route.
    pub entry: RouterEntry,
}

/// Sets the external addresses of a port; those it had and that are not given are taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetExternalIpsReq {
    /// The port.
    pub port_name: String,
    /// The IPv4 addresses; `None` for none.
    pub external_ips_v4: Option<ExternalIpCfg<Ipv4Addr>>,
    /// The IPv6 addresses; `None` for none.
    pub external_ips_v6: Option<ExternalIpCfg<Ipv6Addr>>,
    /// Which internet gateways the addresses belong to; `None` leaves what was said before.
    pub inet_gw_map: Option<InternetGatewayMap>,
}

/// Lets a port's guest forward packets of a prefix, in one direction or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct AllowCidrReq {
    /// The port.
    pub port_name: String,
    /// The prefix.
    pub transit: TransitCidr,
}

/// Takes back what [`AllowCidrReq`] gave: with a direction exactly that one, without whichever there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct RemoveCidrReq {
    /// The port.
    pub port_name: String,
    /// The prefix.
    pub transit: TransitCidr,
}

/// Attaches a subnet to a port, or says anew whether it is external.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct AttachSubnetReq {
    /// The port.
    pub port_name: String,
    /// The subnet.
    pub subnet: AttachedSubnet,
}

/// Detaches a subnet from a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DetachSubnetReq {
    /// The port.
    pub port_name: String,
    /// The subnet.
    pub cidr: IpCidr,
}

/// Says which VPCs a port exchanges packets with beside its own; those it had and that are not given are taken away. A packet
/// travels in the network of the one it is for: to be answered, and to be seen by its firewall as of its VPC, a port needs that the other
/// one has its VPC as a peer, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetPeersReq {
    /// The port.
    pub port_name: String,
    /// The VPCs.
    pub peers: Vec<Vni>,
}

impl CreateXdeReq {
    fn check(&self) -> Result<(), OpteError> {
        check_port_name(&self.name)?;
        self.link.validate(self.mtu)?;
        self.cfg.validate()
    }
}

impl DeleteXdeReq {
    fn check(&self) -> Result<(), OpteError> {
        check_port_name(&self.name)
    }
}

impl SetXdeUnderlayReq {
    fn check(&self) -> Result<(), OpteError> {
        check_port_name(&self.u1)?;
        match &self.u2 {
            Some(u2) if *u2 == self.u1 => {
                Err(invalid("underlay", format!("link '{u2}' is given twice")))
            }
            Some(u2) => check_port_name(u2),
            None => Ok(()),
        }
    }
}

impl SetVirt2PhysReq {
    fn check(&self) -> Result<(), OpteError> {
        if self.vip.is_unspecified() || self.vip.is_multicast() {
            return Err(invalid("VPC address", format!("{} is no host's", self.vip)));
        }
        if self.phys.ether.is_multicast() || self.phys.ether == MacAddr::ZERO {
            return Err(invalid(
                "VPC MAC address",
                format!("{} is no station's", self.phys.ether),
            ));
        }
        check_underlay(self.phys.ip)
    }
}

impl SetVirt2BoundaryReq {
    fn check(&self) -> Result<(), OpteError> {
        if self.tep.is_empty() {
            return Err(invalid("tunnel endpoints", "none are given".to_string()));
        }
        self.tep.iter().try_for_each(|tep| check_underlay(tep.ip))
    }
}

impl ClearVirt2BoundaryReq {
    fn check(&self) -> Result<(), OpteError> {
        if self.tep.is_empty() {
            return Err(invalid("tunnel endpoints", "none are given".to_string()));
        }
        Ok(())
    }
}

impl AddFwRuleReq {
    fn check(&self) -> Result<(), OpteError> {
        self.rule.validate()
    }
}

impl SetFwRulesReq {
    fn check(&self) -> Result<(), OpteError> {
        self.rules.iter().try_for_each(FirewallRule::validate)
    }
}

impl AddRouterEntryReq {
    fn check(&self) -> Result<(), OpteError> {
        self.entry.validate()
    }
}

impl SetExternalIpsReq {
    fn check(&self) -> Result<(), OpteError> {
        self.external_ips_v4
            .as_ref()
            .map_or(Ok(()), ExternalIpCfg::validate)?;
        self.external_ips_v6
            .as_ref()
            .map_or(Ok(()), ExternalIpCfg::validate)
    }
}

impl AllowCidrReq {
    fn check(&self) -> Result<(), OpteError> {
        self.transit.validate()
    }
}

impl SetPeersReq {
    fn check(&self) -> Result<(), OpteError> {
        check_peers(self.peers.iter())
    }
}

/// Checks that these can be the peers of a VPC.
pub(crate) fn check_peers<'a>(mut peers: impl Iterator<Item = &'a Vni>) -> Result<(), OpteError> {
    let reserved = |vni: &&Vni| [BOUNDARY_VNI, MULTICAST_VNI].contains(vni);
    match peers.find(reserved) {
        Some(vni) => Err(invalid("peers", format!("{vni} is no VPC's"))),
        None => Ok(()),
    }
}

impl AttachSubnetReq {
    fn check(&self) -> Result<(), OpteError> {
        self.subnet.validate()
    }
}

opte::requests! {
    /// The API version of all commands that a driver takes.
    API_VERSION on lan_nat::api::LAN_VERSION;
    /// The commands of the VPC.
    VPC_COMMANDS;
    ListPortsReq = ListPorts -> ListPortsResp,
    AddFwRuleReq = AddFwRule -> AddFwRuleResp (check),
    RemFwRuleReq = RemFwRule -> NoResp,
    SetFwRulesReq = SetFwRules -> NoResp (check),
    SetVirt2PhysReq = SetVirt2Phys -> NoResp (check),
    ClearVirt2PhysReq = ClearVirt2Phys -> NoResp,
    DumpVirt2PhysReq = DumpVirt2Phys -> DumpVirt2PhysResp,
    SetVirt2BoundaryReq = SetVirt2Boundary -> NoResp (check),
    ClearVirt2BoundaryReq = ClearVirt2Boundary -> NoResp (check),
    DumpVirt2BoundaryReq = DumpVirt2Boundary -> DumpVirt2BoundaryResp,
    AddRouterEntryReq = AddRouterEntry -> NoResp (check),
    DelRouterEntryReq = DelRouterEntry -> NoResp,
    CreateXdeReq = CreateXde -> NoResp (check),
    DeleteXdeReq = DeleteXde -> NoResp (check),
    SetXdeUnderlayReq = SetXdeUnderlay -> NoResp (check),
    ClearXdeUnderlayReq = ClearXdeUnderlay -> NoResp,
    SetExternalIpsReq = SetExternalIps -> NoResp (check),
    AllowCidrReq = AllowCidr -> NoResp (check),
    RemoveCidrReq = RemoveCidr -> NoResp,
    AttachSubnetReq = AttachSubnet -> NoResp (check),
    DetachSubnetReq = DetachSubnet -> NoResp,
    SetPeersReq = SetPeers -> NoResp (check),
    SetMcastForwardingReq = SetMcastForwarding -> NoResp (check),
    ClearMcastForwardingReq = ClearMcastForwarding -> NoResp (check),
    DumpMcastForwardingReq = DumpMcastForwarding -> DumpMcastForwardingResp,
    McastSubscribeReq = McastSubscribe -> NoResp (check),
    McastUnsubscribeReq = McastUnsubscribe -> NoResp (check),
    McastUnsubscribeAllReq = McastUnsubscribeAll -> NoResp (check),
    SetMcast2PhysReq = SetMcast2Phys -> NoResp (check),
    ClearMcast2PhysReq = ClearMcast2Phys -> NoResp,
    DumpMcast2PhysReq = DumpMcast2Phys -> DumpMcast2PhysResp,
    DumpMcastSubscriptionsReq = DumpMcastSubscriptions -> DumpMcastSubscriptionsResp,
    DumpConfigReq = DumpConfig -> DumpConfigResp,
    StageBatchReq = StageBatch -> StageBatchResp,
    RunBatchReq = RunBatch -> NoResp,
}

fn check_underlay(ip: Ipv6Addr) -> Result<(), OpteError> {
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
        return Err(invalid("underlay address", format!("{ip} is no host's")));
    }
    Ok(())
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
    use opte::api::{GENERIC_COMMANDS, OpteCmd, Request};

    #[test]
    fn every_command_is_in_one_table() {
        let mut listed: Vec<OpteCmd> = GENERIC_COMMANDS
            .iter()
            .chain(lan_nat::api::LAN_COMMANDS)
            .chain(VPC_COMMANDS)
            .copied()
            .collect();
        listed.sort_unstable();
        assert_eq!(listed, OpteCmd::ALL);
    }

    #[test]
    fn requests_that_cannot_be_done_are_refused_by_themselves() {
        let link = |u1: &str, u2: Option<&str>| {
            SetXdeUnderlayReq {
                u1: u1.into(),
                u2: u2.map(Into::into),
            }
            .validate()
        };
        assert_eq!(link("eth0", None), Ok(()));
        assert_eq!(link("eth0", Some("eth1")), Ok(()));
        assert_eq!(
            link("eth0", Some("eth0")).unwrap_err().to_string(),
            "invalid underlay: link 'eth0' is given twice"
        );
        assert!(link("eth\0", None).is_err());

        let phys = PhysNet {
            ether: MacAddr([0xa8, 0x40, 0x25, 0, 0, 1]),
            ip: "fd00::1".parse().unwrap(),
            vni: Vni::new(7).unwrap(),
        };
        let set = |vip: &str, phys| {
            SetVirt2PhysReq {
                vip: vip.parse().unwrap(),
                phys,
            }
            .validate()
        };
        assert_eq!(set("10.0.0.1", phys), Ok(()));
        assert_eq!(
            set("224.0.0.1", phys).unwrap_err().to_string(),
            "invalid VPC address: 224.0.0.1 is no host's"
        );
        assert_eq!(
            set(
                "10.0.0.1",
                PhysNet {
                    ip: Ipv6Addr::UNSPECIFIED,
                    ..phys
                }
            )
            .unwrap_err()
            .to_string(),
            "invalid underlay address: :: is no host's"
        );
    }
}
