//! The overlay layer: into Geneve and out of it (RFC 8926).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use opte::action::{Action, ActionError, AllowOrDeny, Shown, StaticAction};
use opte::epoch::Epoch;
use opte::layer::Layer;
use opte::memory;
use opte::rule::{DefaultAction, Rule};
use opte::sync::{KMutex, KRwLock};
use opte::{Direction, DropReason};
use opte_headers::options::Options;
use opte_headers::program::{Program, ProgramError};
use opte_headers::transform::{Set, Transform};
use opte_headers::{
    Ethernet, FlowKey, Geneve, GeneveOption, IpProtocol, Ipv6, MacAddr, Replication, Udp, Vni,
    ethernet, geneve, ipv6, stack, udp,
};

use crate::HEAD_ROOM;
use crate::api::RouterTarget;
use crate::mapping::{Mcast2Phys, Virt2Boundary, Virt2Phys, VpcGuests};
use crate::network::{
    BOUNDARY_VNI, MULTICAST_VNI, Meta, TUNNEL_ENDPOINT_MAC, Tunnel, VpcNetwork, flag,
};
use crate::spread;

/// The tables by which the overlay finds far ends.
#[derive(Debug)]
pub(crate) struct Reach {
    /// The port's own VPC.
    vni: Vni,
    /// Its guests.
    own: Arc<VpcGuests>,
    /// VPCs that it exchanges packets with.
    peers: KRwLock<Vec<Peer>>,
    /// Bumped when there are other peers, and when their guests move.
    peering: Epoch,
    /// The way outside.
    boundary: Arc<Virt2Boundary>,
    /// What groups are on the underlay.
    groups: Arc<Mcast2Phys>,
}

/// A VPC that a port exchanges packets with, and its guests.
#[derive(Debug)]
pub(crate) struct Peer {
    vni: Vni,
    guests: Arc<VpcGuests>,
    /// That of the port, which the guests' table bumps for as long as the VPC is a peer.
    peering: Epoch,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.guests.unwatch(&self.peering);
    }
}

impl Reach {
    /// What a port of this VPC reaches, without peers.
    pub(crate) fn new(
        vni: Vni,
        own: Arc<VpcGuests>,
        boundary: Arc<Virt2Boundary>,
        groups: Arc<Mcast2Phys>,
    ) -> Self {
        Self {
            vni,
            own,
            peers: KRwLock::new(Vec::new()),
            peering: Epoch::new(),
            boundary,
            groups,
        }
    }

    /// What flows depend on.
    pub(crate) fn epochs(&self) -> [&Epoch; 4] {
        [
            self.own.epoch(),
            &self.peering,
            self.boundary.epoch(),
            self.groups.epoch(),
        ]
    }

    /// Exchanges packets with these VPCs and no others.
    pub(crate) fn set_peers(&self, vnis: impl Iterator<Item = Vni>, v2p: &Virt2Phys) {
        let peers = vnis.map(|vni| {
            let guests = v2p.vpc(vni);
            guests.watch(&self.peering);
            let peering = self.peering.clone();
            Peer {
                vni,
                guests,
                peering,
            }
        });
        let peers = peers.collect();
        let before = core::mem::replace(&mut *self.peers.write(), peers);
        self.peering.bump();
        drop(before);
    }

    /// The VPC, of the own one and its peers, that has a guest with this address, and where that guest is.
    pub(crate) fn guest(&self, ip: IpAddr) -> Option<Tunnel> {
        let at = |vni, guests: &VpcGuests| {
            guests.get(ip).map(|guest| Tunnel {
                underlay: guest.ip,
                vni,
                mac: guest.ether,
            })
        };
        at(self.vni, &self.own).or_else(|| {
            let peers = self.peers.read();
            peers.iter().find_map(|peer| at(peer.vni, &peer.guests))
        })
    }

    /// The tunnel of a group, which ends at every host with a member.
    fn group(&self, group: IpAddr) -> Option<Tunnel> {
        let (vni, underlay) = self.groups.get(self.vni, group)?;
        Some(Tunnel {
            underlay,
            vni,
            mac: match group {
                IpAddr::V4(v4) => MacAddr::from_ipv4_multicast(v4),
                IpAddr::V6(v6) => MacAddr::from_ipv6_multicast(v6),
            },
        })
    }

    fn knows(&self, vni: Vni) -> bool {
        vni == self.vni || self.peers.read().iter().any(|peer| peer.vni == vni)
    }
}

/// The layer of a port on the host with the underlay address `local`.
pub(crate) fn layer(reach: Arc<Reach>, local: Ipv6Addr) -> Layer<VpcNetwork> {
    let decap = Transform::on::<stack![Ethernet, Ipv6, Udp, Geneve, Ethernet]>()
        .pop::<Ethernet>()
        .pop::<Ipv6>()
        .pop::<Udp>()
        .pop::<Geneve>()
        .compile();
    let mut layer = Layer::new(super::OVERLAY, DefaultAction::Deny, DefaultAction::Deny);
    layer.add_rule(
        Direction::Out,
        Rule::match_any(
            1,
            Action::Static(Arc::new(Encap::new(Arc::clone(&reach), local))),
        ),
    );
    layer.add_rule(
        Direction::In,
        Rule::match_any(
            1,
            Action::Static(Arc::new(Decap {
                reach,
                program: Arc::new(decap),
            })),
        ),
    );
    layer
}

/// Puts a packet into the tunnel to its destination.
struct Encap {
    reach: Arc<Reach>,
    local: Ipv6Addr,
    /// What was made for the tunnels used last: the making takes longer than all else of a flow's first packet.
    made: KMutex<[Option<Made>; MADE]>,
}

const MADE: usize = 16;

struct Made {
    tunnel: Tunnel,
    sized: bool,
    program: Arc<Program>,
}

impl Encap {
    fn new(reach: Arc<Reach>, local: Ipv6Addr) -> Self {
        Self {
            reach,
            local,
            made: KMutex::new([const { None }; MADE]),
        }
    }

    /// Shows `taker` the transformation into a tunnel, which is `sized` if it has room for the segment size.
    fn show_program(
        &self,
        tunnel: &Tunnel,
        sized: bool,
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<(), ProgramError> {
        let mut made = self.made.lock();
        let [.., far] = tunnel.underlay.octets();
        let [.., station] = tunnel.mac.octets();
        let place = made.get_mut(usize::from(far ^ station ^ u8::from(sized)) % MADE);
        if let Some(Some(known)) = &place
            && (known.tunnel, known.sized) == (*tunnel, sized)
        {
            taker(Shown::Kept(&known.program));
            return Ok(());
        }
        let program = self.make(tunnel, sized)?;
        if !memory::is_at_hand() {
            taker(Shown::Once(&program));
            return Ok(());
        }
        let program = Arc::new(program);
        taker(Shown::Kept(&program));
        if let Some(place) = place {
            *place = Some(Made {
                tunnel: *tunnel,
                sized,
                program,
            });
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn make(&self, tunnel: &Tunnel, sized: bool) -> Result<Program, ProgramError> {
        let options: &[GeneveOption<'static>] = if tunnel.underlay.is_multicast() {
            // The driver writes for each next hop what that is to do.
            &[GeneveOption::Multicast(Replication::External)]
        } else if sized {
            &[GeneveOption::Mss(0)]
        } else {
            &[]
        };
        Transform::on::<stack![Ethernet]>()
            .set::<ethernet::Destination>(tunnel.mac)
            .push(Geneve {
                vni: tunnel.vni,
                // One option of eight bytes always has room.
                options: Options::of(options).unwrap_or_default(),
                ..Geneve::default()
            })
            .push_varying::<udp::Source>(Udp {
                source: DYNAMIC_PORTS,
                ..Udp::default()
            })
            .push_varying::<ipv6::FlowLabel>(Ipv6 {
                source: self.local,
                destination: tunnel.underlay,
                hop_limit: HOP_LIMIT,
                ..Ipv6::default()
            })
            // The driver knows the next hop.
            .push(Ethernet::default())
            .try_compile_within::<HEAD_ROOM>()
    }

    /// The tunnel for what the router decided.
    #[inline(never)]
    fn tunnel(&self, key: &FlowKey, meta: &Meta) -> Result<Option<Tunnel>, ActionError> {
        let destination = key.destination_ip();
        // Groups need a mapping of their own; a guest or the boundary is never the far end of one. TCP is between two.
        if destination.is_multicast() {
            return Ok(if key.ip_protocol() == IpProtocol::TCP {
                None
            } else {
                self.reach.group(destination)
            });
        }
        let guest = match meta.target {
            None => return Err(ActionError::MissingMeta("the router target")),
            Some(RouterTarget::Drop) => return Ok(None),
            Some(RouterTarget::InternetGateway(_)) => {
                let far = self
                    .reach
                    .boundary
                    .lookup_with(destination, || spread::entropy(key));
                let far = far.filter(|_| meta.external_source);
                return Ok(far.map(|far| Tunnel {
                    underlay: far.ip,
                    vni: far.vni,
                    mac: TUNNEL_ENDPOINT_MAC,
                }));
            }
            Some(RouterTarget::Ip(ip)) => ip,
            Some(RouterTarget::VpcSubnet(_)) => destination,
        };
        // An address from outside never goes to a guest as a source inside the VPC.
        Ok(if meta.external_source {
            None
        } else {
            self.reach.guest(guest)
        })
    }
}

impl StaticAction<VpcNetwork> for Encap {
    fn transform(
        &self,
        dir: Direction,
        key: &FlowKey,
        meta: &mut Meta,
    ) -> Result<AllowOrDeny<Program>, ActionError> {
        let mut program = Program::IDENTITY;
        self.show(dir, key, meta, &mut |shown| program = *shown.program())?;
        Ok(AllowOrDeny::Allow(program))
    }

    fn show(
        &self,
        _: Direction,
        key: &FlowKey,
        meta: &mut Meta,
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<AllowOrDeny<()>, ActionError> {
        let sized = between_guests(key, meta);
        meta.tunnel = self.tunnel(key, meta)?;
        match &meta.tunnel {
            Some(tunnel) => self.show_program(tunnel, sized, taker)?,
            None => return Err(ActionError::Refused(DropReason::NoMapping)),
        }
        Ok(AllowOrDeny::Allow(()))
    }
}

/// Whether the tunnel has room for the guest's segment size, which the driver fills in where it sends larger segments: on TCP
/// between guests. The boundary takes segments as they are.
fn between_guests(key: &FlowKey, meta: &Meta) -> bool {
    key.ip_protocol() == IpProtocol::TCP
        && !matches!(meta.target, Some(RouterTarget::InternetGateway(_)))
}

/// Takes a packet out of its tunnel.
struct Decap {
    reach: Arc<Reach>,
    program: Arc<Program>,
}

impl StaticAction<VpcNetwork> for Decap {
    fn transform(
        &self,
        dir: Direction,
        key: &FlowKey,
        meta: &mut Meta,
    ) -> Result<AllowOrDeny<Program>, ActionError> {
        self.show(dir, key, meta, &mut |_| ())?;
        Ok(AllowOrDeny::Allow(*self.program))
    }

    fn show(
        &self,
        _: Direction,
        key: &FlowKey,
        meta: &mut Meta,
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<AllowOrDeny<()>, ActionError> {
        let vni = key.get::<geneve::Vni>();
        let external = key.flags & flag::EXTERNAL != 0;
        let multicast = key.destination_ip().is_multicast();
        let admitted = match (multicast, external) {
            // Groups are the VPC's own or all VPCs', whose network carries nothing else.
            (true, _) => vni == Some(self.reach.vni) || vni == Some(MULTICAST_VNI),
            (false, true) => vni == Some(BOUNDARY_VNI),
            (false, false) => vni.is_some_and(|vni| self.reach.knows(vni)),
        };
        if !admitted {
            return Err(ActionError::Refused(DropReason::ForeignNetwork));
        }
        if multicast && vni == Some(self.reach.vni) {
            // Whatever its address is elsewhere, it is a guest of the VPC: no other sends in this network.
            meta.peer = vni;
        } else if !external {
            let sender = self.reach.guest(key.source_ip());
            meta.peer = sender.map(|guest| guest.vni).or(vni);
        }
        taker(Shown::Kept(&self.program));
        Ok(AllowOrDeny::Allow(()))
    }
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "encap (Geneve from {})", self.local)
    }
}

impl fmt::Display for Decap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decap (Geneve, VNI {})", self.reach.vni)
    }
}

/// Hops that a tunnelled packet may make.
pub(crate) const HOP_LIMIT: u8 = 128;

/// The source ports that flows are spread over: those that no service has (RFC 8926, section 3.3).
const DYNAMIC_PORTS: u16 = 0xc000;
