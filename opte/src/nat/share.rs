//! A share of an external address.

use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use opte_headers::frame::KeyKind;
use opte_headers::{FlowKey, IpProtocol};

use super::pool::{HOLD_DOWN, NatLease, NatPool};
use crate::action::{ActionError, AllowOrDeny, Context};
use crate::api::PortRange;

/// Some ports of an external address, for each protocol that has ports: TCP, UDP, and the echo of ICMP with its identifiers.
#[derive(Debug)]
pub struct Share {
    address: IpAddr,
    ports: PortRange,
    tcp: Arc<NatPool>,
    udp: Arc<NatPool>,
    echo: Arc<NatPool>,
}

impl Share {
    /// These ports of `address`.
    pub fn new(address: IpAddr, ports: PortRange) -> Option<Arc<Self>> {
        let pool = || NatPool::new(ports.into(), HOLD_DOWN);
        Some(Arc::new(Self {
            address,
            ports,
            tcp: pool()?,
            udp: pool()?,
            echo: pool()?,
        }))
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The ports.
    pub fn ports(&self) -> PortRange {
        self.ports
    }

    /// The pools, each with the name of its protocol.
    pub fn pools(&self) -> [(&'static str, &NatPool); 3] {
        [("tcp", &self.tcp), ("udp", &self.udp), ("icmp", &self.echo)]
    }

    /// The external port for the source of a flow. What has neither a port nor is an echo request is denied: nothing would tell
    /// whose the answer to it is.
    ///
    /// # Errors
    /// `Exhausted` when every port of the protocol is in use.
    pub fn lease(
        &self,
        key: &FlowKey,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<NatLease>>, ActionError> {
        let pool = match (key.ip_protocol(), key.kind) {
            (IpProtocol::TCP, KeyKind::PLAIN) => &self.tcp,
            (IpProtocol::UDP, KeyKind::PLAIN) => &self.udp,
            (IpProtocol::ICMP | IpProtocol::ICMPV6, KeyKind::ECHO_REQUEST) => &self.echo,
            _ => return Ok(AllowOrDeny::Deny),
        };
        let lease = pool.lease((key.source_ip(), key.source_port), context);
        lease
            .map(AllowOrDeny::Allow)
            .ok_or(ActionError::Exhausted("the share of NAT ports"))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(v4) => write!(f, "{v4}:{}", self.ports),
            IpAddr::V6(v6) => write!(f, "[{v6}]:{}", self.ports),
        }
    }
}
