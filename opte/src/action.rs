//! What a rule does with a packet.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use opte_headers::frame::{FlowKey, Parsed};
use opte_headers::program::{Program, ProgramError};

use crate::nat::{Filtering, Share};
use crate::network::Network;
use crate::provider::Random;
use crate::saved::Saved;
use crate::time::Moment;
use crate::{Direction, DropReason};

/// What a rule does with the packets that match it.
///
/// All but [`Action::Hairpin`] and [`Action::HandlePacket`] see the flow key and the metadata of the walk only, never the
/// packet: so what they decide for the first packet holds for the flow.
pub enum Action<N: Network> {
    /// Lets the packet pass this layer.
    Allow,
    /// Lets the packet pass this layer, and with it the whole flow in both directions.
    StatefulAllow,
    /// Drops the packet.
    Deny,
    /// Drops the packet and tells its sender: a TCP segment is answered by a reset, others by an ICMP error.
    Reject,
    /// Changes the metadata of the walk.
    Meta(Arc<dyn MetaAction<N>>),
    /// Transforms the packet, each direction by rules of its own.
    Static(Arc<dyn StaticAction<N>>),
    /// Makes a descriptor for the flow, which transforms both directions.
    Stateful(Arc<dyn StatefulAction<N>>),
    /// Answers the packet in place of whom it is for.
    Hairpin(Arc<dyn HairpinAction>),
    /// Leaves the packet to [`Network::handle_packet`].
    HandlePacket,
}

impl<N: Network> Action<N> {
    /// Whether the action is to deny; such rules stand before others of the same priority.
    pub fn is_deny(&self) -> bool {
        matches!(self, Action::Deny | Action::Reject)
    }
}

/// The answer of an action that may also refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowOrDeny<T> {
    /// Go on with this.
    Allow(T),
    /// Drop the packet.
    Deny,
}

/// Why an action could not do what it is for. The packet is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionError {
    /// Nothing is left of the named resource.
    Exhausted(&'static str),
    /// The metadata lacks what an earlier layer should have set.
    MissingMeta(&'static str),
    /// The packet's protocol or address family is none the action can transform.
    Unsupported(&'static str),
    /// The transformation does not fit a program.
    Program(ProgramError),
    /// The packet must not go on, for a reason that is counted by itself.
    Refused(DropReason),
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActionError::Exhausted(what) => write!(f, "{what} is exhausted"),
            ActionError::MissingMeta(what) => write!(f, "no earlier layer has set {what}"),
            ActionError::Unsupported(what) => write!(f, "{what} cannot be transformed"),
            ActionError::Program(error) => write!(f, "{error}"),
            ActionError::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

impl core::error::Error for ActionError {}

impl From<ProgramError> for ActionError {
    fn from(error: ProgramError) -> Self {
        ActionError::Program(error)
    }
}

/// What an action that makes state is told beside the packet.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// When the packet came.
    pub now: Moment,
    /// Randomness, for ports and identifiers that nobody should foresee.
    pub random: &'a dyn Random,
    /// How often the walk of this packet has been made in vain: the answers to it, as it was then translated, are those of another
    /// flow ([`DropReason::FlowCollision`]). An action that can translate it otherwise is to do so when this is not zero.
    pub attempt: u8,
    /// The packet is only imagined ([`Port::trace`](crate::port::Port::trace)): what is made for it must take nothing from
    /// anybody, and be forgotten without a trace.
    pub dry_run: bool,
    /// Whom mappings of source NAT let in, if the port has an option for it.
    pub filtering: Option<Filtering>,
    /// Whether source NAT keeps ports, if the port has an option for it.
    pub preserve_ports: Option<bool>,
    /// How long ports of source NAT rest after use, if the port has an option for it.
    pub hold_down: Option<Duration>,
}

impl<'a> Context<'a> {
    /// Of a packet that comes at `now`.
    pub fn new(now: Moment, random: &'a dyn Random) -> Self {
        Self {
            now,
            random,
            attempt: 0,
            dry_run: false,
            filtering: None,
            preserve_ports: None,
            hold_down: None,
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A transformation as an action shows it.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// One that was made for this flow.
    Once(&'a Program),
    /// One that is kept and shown for many flows: what it comes to, together with what other layers do, is found out once for all
    /// of them.
    Kept(&'a Arc<Program>),
    /// One for this flow that differs from one that is kept by nothing but the addresses and ports that are written to the
    /// headers of a guest's frame: they are those of this key ([`Program::with_ends`]).
    Like(&'a Arc<Program>, &'a FlowKey),
}

/// Where the IP header of a guest's frame stands.
const L3: u8 = 1;

impl<'a> Shown<'a> {
    /// The transformation.
    #[inline]
    #[must_use]
    pub fn program(&self) -> Cow<'a, Program> {
        match *self {
            Self::Once(program) => Cow::Borrowed(program),
            Self::Kept(program) => Cow::Borrowed(program),
            Self::Like(form, ends) => Cow::Owned(form.with_ends(ends, L3)),
        }
    }

    /// The one that is kept, which stands for all that are like it.
    #[inline]
    #[must_use]
    pub fn form(&self) -> Option<&Arc<Program>> {
        match self {
            Self::Once(_) => None,
            Self::Kept(form) | Self::Like(form, _) => Some(form),
        }
    }
}

/// Changes the metadata of the walk, or denies. `Display` is the text of the dump.
pub trait MetaAction<N: Network>: fmt::Display + Send + Sync {
    /// Called for the first packet of each flow, in the direction of the rule, and again when the flow is revalidated.
    fn modify(
        &self,
        dir: Direction,
        key: &N::Key,
        meta: &mut N::Meta,
    ) -> Result<AllowOrDeny<()>, ActionError>;
}

/// Transforms the packets of a flow by its key and metadata alone. `Display` is the text of the dump.
pub trait StaticAction<N: Network>: fmt::Display + Send + Sync {
    /// The transformation of the frame as it stands in this layer.
    fn transform(
        &self,
        dir: Direction,
        key: &N::Key,
        meta: &mut N::Meta,
    ) -> Result<AllowOrDeny<Program>, ActionError>;

    /// As [`StaticAction::transform`], which it calls unless the action does better: shows the transformation to `taker` where
    /// it stands.
    fn show(
        &self,
        dir: Direction,
        key: &N::Key,
        meta: &mut N::Meta,
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<AllowOrDeny<()>, ActionError> {
        Ok(match self.transform(dir, key, meta)? {
            AllowOrDeny::Allow(program) => {
                taker(Shown::Once(&program));
                AllowOrDeny::Allow(())
            }
            AllowOrDeny::Deny => AllowOrDeny::Deny,
        })
    }
}

/// Makes the state of a flow in a layer. `Display` is the text of the dump.
pub trait StatefulAction<N: Network>: fmt::Display + Send + Sync {
    /// The descriptor of a new flow whose first packet goes `dir`. It lives as long as the flow; what it holds
    /// (a NAT port) it gives back when it is dropped.
    fn descriptor(
        &self,
        dir: Direction,
        key: &N::Key,
        meta: &mut N::Meta,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<N>>>, ActionError>;

    /// Whether the descriptor that is asked for so takes memory: then it is not asked for without any. Most do.
    fn takes_memory(&self, _context: Context<'_>) -> bool {
        true
    }

    /// The descriptor again that another of this network's ports had for the same flow, and [saved](Descriptor::save). It is
    /// to do to packets what that one did, or else not to be had.
    fn restore(
        &self,
        _dir: Direction,
        _key: &N::Key,
        _meta: &mut N::Meta,
        _saved: &Saved,
        _context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<N>>>, ActionError> {
        Ok(AllowOrDeny::Deny)
    }

    /// The share that it takes ports from, if it does: those that rest are saved with the port.
    fn share(&self) -> Option<&Arc<Share>> {
        None
    }

    /// Whether a live flow that matches this action now may keep the descriptor that it got from a rule before.
    fn retains(
        &self,
        _dir: Direction,
        _key: &N::Key,
        _meta: &N::Meta,
        held: &dyn Descriptor<N>,
    ) -> bool {
        held.is_valid()
    }
}

/// The state of one flow in one layer, made by a [`StatefulAction`].
pub trait Descriptor<N: Network>: Send + Sync {
    /// The transformation of packets of the flow that go `dir`, as they stand in this layer.
    fn program(&self, dir: Direction) -> Result<Program, ActionError>;

    /// As [`Descriptor::program`], which it calls unless the descriptor does better: shows the transformation to `taker` where
    /// it stands.
    fn show(&self, dir: Direction, taker: &mut dyn FnMut(Shown<'_>)) -> Result<(), ActionError> {
        taker(Shown::Once(&self.program(dir)?));
        Ok(())
    }

    /// Tells later layers what this one knows of the flow (the external address in use).
    fn mark(&self, _dir: Direction, _meta: &mut N::Meta) {}

    /// Whether the descriptor may outlive a change of the rules, because what it stands for is still configured.
    fn is_valid(&self) -> bool {
        true
    }

    /// What [`StatefulAction::restore`] makes it of again; `None`, and its flow is not saved, if nothing does.
    fn save(&self) -> Option<Saved> {
        None
    }

    /// Says that no packet has been or will be transformed by it: what it holds need not rest.
    fn discard(&self) {}

    /// Its name in dumps, such as `NAT`.
    fn name(&self) -> &'static str;
}

/// What a hairpin did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hairpin {
    /// So many bytes of the buffer are the reply, a frame to be sent back where the packet came from.
    Reply(usize),
    /// The packet is not for this action: the following rules are asked.
    Pass,
    /// The packet is for this action, and gets no answer.
    Deny,
    /// The reply does not fit the buffer.
    TooLong,
}

/// Answers packets in place of whom they are for: ARP, NDP, ICMP echo, DHCP. `Display` is the text of the dump.
pub trait HairpinAction: fmt::Display + Send + Sync {
    /// Writes the answer to `frame` at the beginning of `reply`. `frame` is as it came to the port, with its headers at
    /// `parsed`.
    fn reply(&self, dir: Direction, parsed: &Parsed, frame: &[u8], reply: &mut [u8]) -> Hairpin;
}

impl<N: Network> Clone for Action<N> {
    fn clone(&self) -> Self {
        match self {
            Action::Allow => Action::Allow,
            Action::StatefulAllow => Action::StatefulAllow,
            Action::Deny => Action::Deny,
            Action::Reject => Action::Reject,
            Action::Meta(action) => Action::Meta(Arc::clone(action)),
            Action::Static(action) => Action::Static(Arc::clone(action)),
            Action::Stateful(action) => Action::Stateful(Arc::clone(action)),
            Action::Hairpin(action) => Action::Hairpin(Arc::clone(action)),
            Action::HandlePacket => Action::HandlePacket,
        }
    }
}

impl<N: Network> fmt::Display for Action<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Allow => f.write_str("Allow"),
            Action::StatefulAllow => f.write_str("Stateful Allow"),
            Action::Deny => f.write_str("Deny"),
            Action::Reject => f.write_str("Reject"),
            Action::Meta(action) => write!(f, "Meta: {action}"),
            Action::Static(action) => write!(f, "Static: {action}"),
            Action::Stateful(action) => write!(f, "Stateful: {action}"),
            Action::Hairpin(action) => write!(f, "Hairpin: {action}"),
            Action::HandlePacket => f.write_str("Handle Packet"),
        }
    }
}

impl<N: Network> fmt::Debug for Action<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
