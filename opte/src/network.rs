//! What the engine asks of a network definition.

use alloc::string::{String, ToString};

use opte_headers::ParseError;
use opte_headers::frame::{Parsed, Then};

use crate::Direction;
use crate::flow::Key;
use crate::port::Router;

/// A network definition: the frames it takes, what identifies a flow, what its layers tell one another.
///
/// The engine is generic over it and knows none.
pub trait Network: Send + Sync + Sized + 'static {
    /// What identifies a flow.
    type Key: Key;
    /// What the layers of one walk tell one another. It starts as `Default` and never outlives the walk.
    type Meta: Clone + Default + Send + Sync + 'static;

    /// Its name and what else tells it from others of its kind, by which saved state tells whose it is.
    fn instance(&self) -> String {
        self.name().to_string()
    }

    /// Its name.
    fn name(&self) -> &str {
        ""
    }

    /// Parses a frame that goes `dir` through a port.
    fn parse(&self, dir: Direction, frame: &[u8]) -> Result<Parsed, ParseError>;

    /// [`Network::parse`], and what is done then. Its parser may have a form that does both
    /// ([`parse_guest_then`](opte_headers::frame::parse_guest_then)).
    #[inline(always)]
    fn parse_then<T: Then>(&self, dir: Direction, then: T) -> T::Output {
        match self.parse(dir, then.frame()) {
            Ok(parsed) => then.parsed(parsed),
            Err(error) => then.malformed(error),
        }
    }

    /// That the network takes frames of this shape. Asked of the first packet of a flow only: later ones are of its shape, or
    /// are dropped.
    ///
    /// # Errors
    /// What is wrong with it, in the parser's terms.
    fn admits(&self, _parsed: &Parsed) -> Result<(), ParseError> {
        Ok(())
    }

    /// The flow key of a parsed frame, with all that actions and predicates of the network ask for: what is not in the key
    /// (the class of a MAC address, a tunnel option) cannot decide over a flow.
    fn key(&self, dir: Direction, parsed: &Parsed, frame: &[u8]) -> Self::Key;

    /// The key under which the answer to a packet will be parsed when it comes, given the packet's key after all layers
    /// have had it. `dir` is the packet's direction; its answer goes the other way.
    fn return_key(&self, dir: Direction, after: &Self::Key, meta: &Self::Meta) -> Self::Key;

    /// What rules may look up of the metadata, by number (four at most, from 0 on); `None` if it is not there. See
    /// [`MetaPredicate::value`](crate::predicate::MetaPredicate::value).
    fn meta_value(_meta: &Self::Meta, _number: usize) -> Option<u64> {
        None
    }

    /// The router that the guest sees, of one address family, in whose name the port reports what is wrong with the guest's
    /// packets. Without one nothing is reported.
    fn router(&self, _ipv6: bool) -> Option<Router> {
        None
    }

    /// Whether the guest's packets with this key are sent on from the guest's own link, by that router: so that they may have come too
    /// far.
    fn leaves_link(&self, _key: &Self::Key) -> bool {
        false
    }

    /// Writes to the front of `reply` what stands there before a frame of `len` bytes that answers this one (a tunnel back);
    /// gives how many bytes that is. None if there is no way back.
    fn answer_head(
        &self,
        _dir: Direction,
        _parsed: &Parsed,
        _frame: &[u8],
        _len: usize,
        _reply: &mut [u8],
    ) -> Option<usize> {
        Some(0)
    }

    /// Decides over a packet that a rule left to the network ([`Action::HandlePacket`](crate::action::Action::HandlePacket)).
    /// A reply is written at the beginning of `reply`.
    fn handle_packet(
        &self,
        dir: Direction,
        parsed: &Parsed,
        frame: &[u8],
        reply: &mut [u8],
    ) -> Handled;
}

/// What a network did with a packet left to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The packet goes on to the next layer.
    Allow,
    /// The packet is dropped.
    Deny,
    /// So many bytes of the buffer are the reply, to be sent back where the packet came from.
    Reply(usize),
    /// The reply does not fit the buffer.
    TooLong,
}
