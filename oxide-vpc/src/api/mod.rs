//! The configuration of a VPC's ports and the commands that change it.
//!
//! Everything here is what a client says; what it means is in the rest of the crate. Types with a customary notation have
//! `FromStr` and `Display`, and are text in JSON.

mod batch;
mod commands;
mod config;
mod firewall;
mod hosts;
mod mapping;
mod multicast;
mod router;
mod rule_text;
mod subnet;

pub use batch::{
    BatchStep, ConfigItem, DumpConfigReq, DumpConfigResp, MAX_STAGED, RunBatchReq, StageBatchReq,
    StageBatchResp,
};
pub(crate) use commands::check_peers;
pub use commands::{
    API_VERSION, AddFwRuleReq, AddFwRuleResp, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq,
    ClearVirt2BoundaryReq, ClearVirt2PhysReq, ClearXdeUnderlayReq, CreateXdeReq, DelRouterEntryReq,
    DeleteXdeReq, DetachSubnetReq, DumpVirt2BoundaryReq, DumpVirt2BoundaryResp, DumpVirt2PhysReq,
    DumpVirt2PhysResp, LanInfo, ListPortsReq, ListPortsResp, PortInfo, RemFwRuleReq, RemoveCidrReq,
    SetExternalIpsReq, SetFwRulesReq, SetPeersReq, SetVirt2BoundaryReq, SetVirt2PhysReq,
    SetXdeUnderlayReq, VPC_COMMANDS, Virt2BoundaryMapping, Virt2PhysMapping,
};
pub use config::{
    DhcpCfg, ExternalIpCfg, InternetGatewayMap, IpCfg, Ipv4Cfg, Ipv6Cfg, SNatCfg, VpcCfg,
};
pub use firewall::{
    FirewallAction, FirewallRule, IcmpCodes, IcmpFilter, MAX_RULE_LIST, Ports, ProtoFilter,
    RuleFilterError, RuleFilters,
};
pub use hosts::{Host, Hosts};
pub use mapping::{GuestPhysAddr, PhysNet, TunnelEndpoint};
pub use multicast::{
    ClearMcast2PhysReq, ClearMcastForwardingReq, DumpMcast2PhysReq, DumpMcast2PhysResp,
    DumpMcastForwardingReq, DumpMcastForwardingResp, DumpMcastSubscriptionsReq,
    DumpMcastSubscriptionsResp, Mcast2PhysMapping, McastForwarding, McastNextHop,
    McastSubscribeReq, McastSubscription, McastUnsubscribeAllReq, McastUnsubscribeReq, Replication,
    ReplicationTextError, SetMcast2PhysReq, SetMcastForwardingReq, SourceFilter,
};
pub use router::{RouterClass, RouterEntry, RouterTarget, RouterTextError};
pub use rule_text::{RuleFileError, RuleTextError, parse_rules};
pub use subnet::{AttachedSubnet, SubnetTextError, TransitCidr};

pub use lan_nat::api::{CreateLanPortReq, IpConfig, IpConfigChange, SetIpConfigReq};
pub use opte::Direction;
pub use opte::api::{
    CidrError, DEFAULT_MTU, DomainName, GuestLink, IpCidr, Ipv4Cidr, Ipv6Cidr, MIN_MTU, PortRange,
    PortRangeError,
};
pub use opte::api::{MeterLimits, SetMeterReq, SetPortOptionsReq};
pub use opte::options::PortOptions;
pub use opte_headers::{MacAddr, Vni};

/// The virtual network of boundary services.
pub const BOUNDARY_SERVICES_VNI: u32 = 99;
