//! A share of an external address.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use opte_headers::frame::KeyKind;
use opte_headers::{FlowKey, IpProtocol};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::forms::Forms;
use super::pool::{HOLD_DOWN, NatLease, NatPool};
use super::rewrite::{End, Transport};
use crate::action::{ActionError, AllowOrDeny, Context, Shown};
use crate::api::PortRange;
use crate::saved::Saved;
use crate::sync::KMutex;
use crate::time::Moment;
use crate::{Direction, DropReason};

/// Some ports of an external address, for each protocol that has ports: TCP, UDP, and the echo of ICMP with its identifiers.
#[derive(Debug)]
pub struct Share {
    address: IpAddr,
    ports: KMutex<PortRange>,
    tcp: Arc<NatPool>,
    udp: Arc<NatPool>,
    echo: Arc<NatPool>,
    behaviour: NatBehaviour,
    forms: Forms,
}

/// What RFC 4787 leaves to whoever configures a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatBehaviour {
    /// Whom a mapping lets in.
    pub filtering: Filtering,
    /// A private endpoint gets the external port that has its own port's number, if that is free (section 4.2.1). Otherwise ports
    /// are random, so that nobody can foresee them.
    pub preserve_ports: bool,
    /// How long a port rests after use, where a port's options do not say it.
    pub hold_down: Duration,
}

/// Whom a mapping lets in beside the far ends of its flows (RFC 4787, section 5). The firewall is asked after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum Filtering {
    /// Everybody: what RFC 4787, REQ-8 and RFC 5382, REQ-3 recommend where applications come first.
    EndpointIndependent,
    /// Whoever has an address that the private endpoint has a flow with: what they recommend where strictness comes first.
    AddressDependent,
    /// Nobody.
    AddressAndPortDependent,
}

impl Default for NatBehaviour {
    /// Address-dependent filtering, random ports, which rest for 120 s.
    fn default() -> Self {
        Self {
            filtering: Filtering::AddressDependent,
            preserve_ports: false,
            hold_down: HOLD_DOWN,
        }
    }
}

/// The hold of one flow on the mapping of a private endpoint.
#[derive(Debug)]
pub struct NatMapping {
    public: IpAddr,
    lease: Arc<NatLease>,
    /// The far end, where it is noted.
    remote: Option<IpAddr>,
}

/// A mapping as it is saved.
#[derive(Serialize, Deserialize)]
struct SavedMapping {
    public: (IpAddr, u16),
    private: (IpAddr, u16),
}

impl Share {
    /// These ports of `address`, which behave as is the default.
    pub fn new(address: IpAddr, ports: PortRange) -> Option<Arc<Self>> {
        Self::with(address, ports, NatBehaviour::default())
    }

    /// These ports of `address`.
    pub fn with(address: IpAddr, ports: PortRange, behaviour: NatBehaviour) -> Option<Arc<Self>> {
        let pool = || NatPool::new(ports.into(), behaviour.hold_down);
        Some(Arc::new(Self {
            address,
            ports: KMutex::new(ports),
            behaviour,
            forms: Forms::new(address),
            tcp: pool()?,
            udp: pool()?,
            echo: pool()?,
        }))
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Shows `taker` what is done to packets of a mapping that go `dir`: going out they come from the mapping's port of the
    /// address, coming in they go to the private end.
    ///
    /// # Errors
    /// As [`set_source`](super::set_source).
    pub fn show(
        &self,
        dir: Direction,
        mapping: &NatMapping,
        transport: Transport,
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<(), ActionError> {
        let end = match dir {
            Direction::Out => End::port(self.address, mapping.port()),
            Direction::In => mapping.private(),
        };
        Ok(self.forms.show(dir, end, transport, taker)?)
    }

    /// The ports.
    pub fn ports(&self) -> PortRange {
        *self.ports.lock()
    }

    /// Has these ports of the address from now on. Mappings to those that stay are not touched; one to another port goes on until
    /// the last of its flows ends, for no new flow.
    pub fn resize(&self, ports: PortRange) {
        let mut present = self.ports.lock();
        for pool in [&self.tcp, &self.udp, &self.echo] {
            // A range of ports is never empty.
            let _resized = pool.resize(ports.into());
        }
        *present = ports;
    }

    /// The pools, each with the name of its protocol.
    pub fn pools(&self) -> [(&'static str, &NatPool); 3] {
        [("tcp", &self.tcp), ("udp", &self.udp), ("icmp", &self.echo)]
    }

    /// Whom the share lets in.
    pub fn filtering(&self) -> Filtering {
        self.behaviour.filtering
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
    ) -> Result<AllowOrDeny<NatMapping>, ActionError> {
        let Some(pool) = self.pool(key) else {
            return Ok(AllowOrDeny::Deny);
        };
        let preserve = context
            .preserve_ports
            .unwrap_or(self.behaviour.preserve_ports);
        let wanted = preserve.then_some(key.source_port);
        let private = (key.source_ip(), key.source_port);
        let lease = pool
            .lease_near(private, wanted, context)
            .ok_or(ActionError::Exhausted("the share of NAT ports"))?;
        Ok(AllowOrDeny::Allow(self.mapping(
            lease,
            key.destination_ip(),
            context,
        )))
    }

    /// The mapping by which a packet comes in that begins a flow from outside, to the share's address: that of its destination
    /// port, if there is one and the far end may use it.
    ///
    /// # Errors
    /// `Refused` if not.
    pub fn accept(&self, key: &FlowKey, context: Context<'_>) -> Result<NatMapping, ActionError> {
        let remote = key.source_ip();
        let pool = self.pool(key).filter(|_| key.kind == KeyKind::PLAIN);
        let lease = pool.and_then(|pool| pool.lease_of(key.destination_port));
        let lease = lease.filter(|lease| match self.filtering_of(context) {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => lease.talks_to(remote),
            Filtering::AddressAndPortDependent => false,
        });
        let lease = lease.ok_or(ActionError::Refused(DropReason::NatFiltered))?;
        Ok(self.mapping(lease, remote, context))
    }

    /// The mapping again that a flow had whose first packet went `dir`, when it was [saved](NatMapping::save). Denied if it
    /// was one of another address, or is not to be had.
    pub fn restore(
        &self,
        dir: Direction,
        key: &FlowKey,
        saved: &Saved,
        context: Context<'_>,
    ) -> AllowOrDeny<NatMapping> {
        let Some(SavedMapping { public, private }) = saved.read() else {
            return AllowOrDeny::Deny;
        };
        let (source, destination) = (
            (key.source_ip(), key.source_port),
            (key.destination_ip(), key.destination_port),
        );
        let (of_key, remote) = match dir {
            Direction::Out => (source == private, destination.0),
            Direction::In => (destination == public, source.0),
        };
        let pool = self
            .pool(key)
            .filter(|_| of_key && public.0 == self.address);
        match pool.and_then(|pool| pool.lease_again(private, public.1, context)) {
            Some(lease) => AllowOrDeny::Allow(self.mapping(lease, remote, context)),
            None => AllowOrDeny::Deny,
        }
    }

    /// The ports that rest: of which of [`Share::pools`], and for how long; those that rest after use do so for `hold_down`, if that is
    /// said.
    pub(crate) fn resting(
        &self,
        now: Moment,
        hold_down: Option<Duration>,
    ) -> Vec<(u8, u16, Duration)> {
        let pools = self.pools().into_iter().zip(0..);
        let each = pools.flat_map(|((_, pool), number)| {
            let resting = pool.resting(now, hold_down).into_iter();
            resting.map(move |(port, left)| (number, port, left))
        });
        each.collect()
    }

    /// Lays a port to rest, unless it is in use, for no longer than `hold_down`, if that is said.
    pub(crate) fn rest(
        &self,
        (pool, port): (u8, u16),
        (now, until): (Moment, Moment),
        hold_down: Option<Duration>,
    ) {
        if let Some((_, pool)) = self.pools().get(usize::from(pool)) {
            pool.rest(port, (now, until), hold_down);
        }
    }

    fn pool(&self, key: &FlowKey) -> Option<&Arc<NatPool>> {
        match (key.ip_protocol(), key.kind) {
            (IpProtocol::TCP, KeyKind::PLAIN) => Some(&self.tcp),
            (IpProtocol::UDP, KeyKind::PLAIN) => Some(&self.udp),
            (IpProtocol::ICMP | IpProtocol::ICMPV6, KeyKind::ECHO_REQUEST) => Some(&self.echo),
            _ => None,
        }
    }

    /// Whom it lets in for a port that may say otherwise.
    fn filtering_of(&self, context: Context<'_>) -> Filtering {
        context.filtering.unwrap_or(self.behaviour.filtering)
    }

    fn mapping(&self, lease: Arc<NatLease>, remote: IpAddr, context: Context<'_>) -> NatMapping {
        // Who may come in by other means is not noted: it takes memory for each flow.
        let noted = self.filtering_of(context) == Filtering::AddressDependent && !context.dry_run;
        if noted {
            lease.begin(remote);
        }
        NatMapping {
            public: self.address,
            lease,
            remote: noted.then_some(remote),
        }
    }
}

impl NatMapping {
    /// The external port.
    pub fn port(&self) -> u16 {
        self.lease.port()
    }

    /// What [`Share::restore`] makes the same mapping of.
    pub fn save(&self) -> Option<Saved> {
        Saved::of(&SavedMapping {
            public: (self.public, self.lease.port()),
            private: self.lease.private(),
        })
    }

    /// Says that no packet has been or will be translated by it: the port need not rest if nobody else holds it.
    pub fn discard(&self) {
        self.lease.discard();
    }

    /// The private address and port.
    pub fn private(&self) -> End {
        let (address, port) = self.lease.private();
        End::port(address, port)
    }
}

impl Drop for NatMapping {
    fn drop(&mut self) {
        if let Some(remote) = self.remote {
            self.lease.end(remote);
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(v4) => write!(f, "{v4}:{}", self.ports()),
            IpAddr::V6(v6) => write!(f, "[{v6}]:{}", self.ports()),
        }
    }
}
