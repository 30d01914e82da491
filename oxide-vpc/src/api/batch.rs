//! Many changes as one, and everything that was configured as one listing.
//!
//! A client that wants the configuration to be another one reads what there is ([`DumpConfigReq`]), sends the steps that lead from there
//! to what it wants ([`StageBatchReq`], as often as it takes) and has them done ([`RunBatchReq`]): all of them, or none. The revision
//! that the listing told makes sure that nobody else changed anything in between.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use opte::Direction;
use opte::api::{
    MeterLimits, OpteCmd, OpteError, Page, PausePortReq, Request, SetMeterReq, SetPortOptionsReq,
};
use opte::options::PortOptions;
use opte_headers::Vni;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{
    AddFwRuleReq, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, AttachedSubnet,
    ClearMcast2PhysReq, ClearMcastForwardingReq, ClearVirt2BoundaryReq, ClearVirt2PhysReq,
    ClearXdeUnderlayReq, CreateLanPortReq, CreateXdeReq, DelRouterEntryReq, DeleteXdeReq,
    DetachSubnetReq, FirewallRule, InternetGatewayMap, Mcast2PhysMapping, McastForwarding,
    McastSubscribeReq, McastSubscription, McastUnsubscribeReq, RemFwRuleReq, RemoveCidrReq,
    RouterEntry, SetExternalIpsReq, SetFwRulesReq, SetIpConfigReq, SetMcast2PhysReq,
    SetMcastForwardingReq, SetPeersReq, SetVirt2BoundaryReq, SetVirt2PhysReq, SetXdeUnderlayReq,
    TransitCidr, Virt2BoundaryMapping, Virt2PhysMapping,
};

/// The most steps that a driver keeps for batches, all clients' together.
pub const MAX_STAGED: u64 = 1 << 20;

/// Lists everything that was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpConfigReq {
    /// Which part.
    pub page: Page,
}

/// Some of what was configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpConfigResp {
    /// The number of changes there were so far. Pages with different numbers are not of one configuration.
    pub revision: u64,
    /// The links of the underlay; then each port, followed by what is on it; then multicast; then the mappings.
    pub items: Vec<ConfigItem>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// One thing that was configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum ConfigItem {
    /// The underlay has these links.
    Underlay {
        /// Their names.
        links: Vec<String>,
    },
    /// There is this port. Its external addresses are those it has now.
    Port(Box<CreateXdeReq>),
    /// There is this port on a LAN, with the addresses it has now.
    LanPort(Box<CreateLanPortReq>),
    /// External addresses of the port belong to these internet gateways.
    InternetGateways {
        /// The port.
        port_name: String,
        /// Which belongs to which.
        map: InternetGatewayMap,
    },
    /// The port has this firewall rule.
    FwRule {
        /// The port.
        port_name: String,
        /// The rule's number.
        id: u64,
        /// The rule.
        rule: FirewallRule,
    },
    /// The port has this route.
    Route {
        /// The port.
        port_name: String,
        /// The route.
        entry: RouterEntry,
    },
    /// The port's guest may forward packets of this prefix.
    Transit {
        /// The port.
        port_name: String,
        /// The prefix.
        transit: TransitCidr,
    },
    /// This subnet is attached to the port.
    Subnet {
        /// The port.
        port_name: String,
        /// The subnet.
        subnet: AttachedSubnet,
    },
    /// The port exchanges packets with these VPCs beside its own.
    Peers {
        /// The port.
        port_name: String,
        /// The VPCs.
        peers: Vec<Vni>,
    },
    /// So much may go one way through the port.
    Meter {
        /// The port.
        port_name: String,
        /// Which way.
        dir: Direction,
        /// How much.
        limits: MeterLimits,
    },
    /// The port has these options.
    Options {
        /// The port.
        port_name: String,
        /// The options.
        options: PortOptions,
    },
    /// A guest is there. Those of this host's own ports are not listed.
    Virt2Phys(Virt2PhysMapping),
    /// A prefix is reached by these tunnel endpoints.
    Virt2Boundary(Virt2BoundaryMapping),
    /// A group is that one on the underlay.
    Mcast2Phys(Mcast2PhysMapping),
    /// Packets of an underlay group are sent to these next hops.
    McastForwarding(McastForwarding),
    /// A port has subscribed to a group.
    McastSubscription(McastSubscription),
}

/// Keeps steps of a batch until it is run. A client has one batch at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct StageBatchReq {
    /// How many steps of the batch came before these; 0 begins another batch.
    pub position: u64,
    /// The steps.
    pub steps: Vec<BatchStep>,
}

/// What is kept of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct StageBatchResp {
    /// How many steps.
    pub staged: u64,
}

/// Does all steps of the client's batch in their order, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct RunBatchReq {
    /// How many steps it has.
    pub steps: u64,
    /// The revision that the batch was made for; `None` for any.
    pub revision: Option<u64>,
}

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident($request:ident) $(in $box:ident)?,)*) => {
        /// A change that can be a step of a batch.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
        pub enum BatchStep { $($(#[$doc])* $step(steps!(@held $request $($box)?)),)* }

        impl BatchStep {
            /// The command that would do the step by itself.
            pub const fn command(&self) -> OpteCmd {
                match self { $(Self::$step(_) => <$request as Request>::COMMAND,)* }
            }

            /// As [`Request::validate`].
            pub fn validate(&self) -> Result<(), OpteError> {
                match self { $(Self::$step(request) => request.validate(),)* }
            }
        }

        $(
            impl From<$request> for BatchStep {
                fn from(request: $request) -> Self {
                    Self::$step(request.into())
                }
            }
        )*
    };
    (@held $request:ident) => { $request };
    (@held $request:ident Box) => { Box<$request> };
}

steps! {
    /// Names the underlay's links, in the place of those it had.
    SetXdeUnderlay(SetXdeUnderlayReq),
    /// Lets go of the underlay's links.
    ClearXdeUnderlay(ClearXdeUnderlayReq),
    /// Creates a port.
    CreateXde(CreateXdeReq) in Box,
    /// Deletes a port.
    DeleteXde(DeleteXdeReq),
    /// Adds a firewall rule.
    AddFwRule(AddFwRuleReq),
    /// Removes a firewall rule.
    RemFwRule(RemFwRuleReq),
    /// Replaces all firewall rules of a port.
    SetFwRules(SetFwRulesReq),
    /// Adds a route.
    AddRouterEntry(AddRouterEntryReq),
    /// Removes a route.
    DelRouterEntry(DelRouterEntryReq),
    /// Sets the external addresses of a port.
    SetExternalIps(SetExternalIpsReq),
    /// Lets a port's guest forward packets of a prefix.
    AllowCidr(AllowCidrReq),
    /// Takes that back.
    RemoveCidr(RemoveCidrReq),
    /// Attaches a subnet to a port.
    AttachSubnet(AttachSubnetReq),
    /// Detaches a subnet from a port.
    DetachSubnet(DetachSubnetReq),
    /// Says which VPCs a port exchanges packets with.
    SetPeers(SetPeersReq),
    /// Sets how much may go one way through a port.
    SetMeter(SetMeterReq),
    /// Sets the options of a port.
    SetPortOptions(SetPortOptionsReq),
    /// Maps a guest's address to its host.
    SetVirt2Phys(SetVirt2PhysReq),
    /// Removes the mapping of a guest's address.
    ClearVirt2Phys(ClearVirt2PhysReq),
    /// Adds tunnel endpoints of a prefix.
    SetVirt2Boundary(SetVirt2BoundaryReq),
    /// Removes tunnel endpoints of a prefix.
    ClearVirt2Boundary(ClearVirt2BoundaryReq),
    /// Keeps a port that the batch creates from passing a packet until it is started.
    PausePort(PausePortReq),
    /// Maps a group to an underlay group.
    SetMcast2Phys(SetMcast2PhysReq),
    /// Removes the mapping of a group and its subscriptions.
    ClearMcast2Phys(ClearMcast2PhysReq),
    /// Adds next hops of an underlay group.
    SetMcastForwarding(SetMcastForwardingReq),
    /// Removes next hops of an underlay group.
    ClearMcastForwarding(ClearMcastForwardingReq),
    /// Subscribes a port to a group.
    McastSubscribe(McastSubscribeReq),
    /// Ends the subscription of a port to a group.
    McastUnsubscribe(McastUnsubscribeReq),
    /// Creates a port on a LAN.
    CreateLanPort(CreateLanPortReq) in Box,
    /// Sets the addresses of a port on a LAN.
    SetIpConfig(SetIpConfigReq),
}
