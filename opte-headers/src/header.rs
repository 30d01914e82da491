//! The traits that `#[derive(Header)]` implements, and what a header tells of itself to those who compose headers.

use crate::derive;
use crate::error::{EmitError, ParseError};
use crate::wire::{FieldValue, Wire};

/// A protocol header: an owned struct, views over bytes, and constants that describe it.
///
/// Implemented by `#[derive(Header)]`; not meant to be implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a header",
    note = "derive it: `#[derive(Header)]` on a struct with named fields"
)]
// A header is never empty.
#[allow(clippy::len_without_is_empty)]
pub trait Header: Sized {
    /// The name of the type: `"Ipv4"`.
    const NAME: &'static str;
    /// Bytes of the fixed part.
    const MIN_LEN: usize;
    /// Where the checksum stands and what it covers, if the header has one.
    const CHECKSUM: Option<ChecksumRole> = None;
    /// Where the length of the packet stands and what it counts, if the header tells it.
    const LENGTH: Option<LengthRole> = None;
    /// The bytes, first and one past the last, that the checksum of a transport header behind this one covers as its
    /// pseudo-header: the addresses of IPv4 and IPv6.
    const PSEUDO: Option<(usize, usize)> = None;
    /// A view that reads.
    type View<'a>;
    /// A view that reads and writes.
    type ViewMut<'a>;
    /// The type of the field that tells what follows, or [`NoSelector`].
    type Selector: Copy + PartialEq;

    /// The header at the start of `bytes`, checked, and what is behind it.
    ///
    /// # Errors
    /// `Truncated`, `Illegal` for a constant field with another value, `BadLength` for a contradictory length of the tail.
    fn parse(bytes: &[u8]) -> Result<(Self::View<'_>, &[u8]), ParseError>;

    /// Like [`Header::parse`], to be edited in place.
    ///
    /// # Errors
    /// As [`Header::parse`].
    fn parse_mut(bytes: &mut [u8]) -> Result<(Self::ViewMut<'_>, &mut [u8]), ParseError>;

    /// The bytes that [`Header::emit`] writes.
    fn len(&self) -> usize;

    /// Writes the header to the start of `out` and tells how many bytes it took. Lengths of the header itself and of its
    /// tail are computed; lengths of the packet and checksums are written as they stand in the struct.
    ///
    /// # Errors
    /// `NoRoom`; `Unrepresentable` where a tail is too long for its length field.
    fn emit(&self, out: &mut [u8]) -> Result<usize, EmitError>;

    /// What the header says follows.
    fn selector(&self) -> Self::Selector;

    /// What a viewed header says follows.
    fn view_selector(view: &Self::View<'_>) -> Self::Selector;

    /// The error that nothing known follows under `selector`.
    fn unsupported(selector: Self::Selector) -> ParseError;

    /// Makes the header say that something else follows. Does nothing where nothing can be said.
    fn select(&mut self, next: Self::Selector);
}

/// The selector of a header that has no field to tell what follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoSelector;

/// This header may stand right behind `Parent`.
///
/// From `#[header(follows(Parent = VALUE))]` on this header, or `#[header(carries(This = VALUE))]` on the parent.
///
/// By hand where the derive cannot know: a second header under the same value, which a condition in the stack tells from the
/// first, or one under any value of a `next` field (`SELECTOR: None`), as on a port that is set at run time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot follow `{Parent}`",
    label = "`{Parent}` has no way to carry `{Self}`",
    note = "if it may, say so on `{Self}`: `#[header(follows({Parent} = VALUE))]`, VALUE as in the field marked `next`"
)]
pub trait Follows<Parent: Header>: Header {
    /// What the parent's `next` field then holds; `None` where the parent has no such field, or any value will do.
    const SELECTOR: Option<<Parent as Header>::Selector>;

    /// Whether the parent's `next` field, with this value, says that this header follows.
    #[inline(always)]
    fn follows(selector: <Parent as Header>::Selector) -> bool {
        Self::SELECTOR.is_none_or(|own| own == selector)
    }
}

/// A token that stands for one field of a header: `ipv4::Source`.
pub trait Field: Copy + 'static {
    /// The header.
    type Header: Header;
    /// The field's type.
    type Value: FieldValue;
    /// Whether a transformation may set the field: `derive::Open` or `derive::Closed`.
    #[doc(hidden)]
    type Set;
    /// The part of the flow key that the field is: `derive::InKey` or `derive::NoKey`.
    #[doc(hidden)]
    type Key;
    /// The field's name.
    const NAME: &'static str;
    /// First bit, counted from the start of the header, most significant bit of the first byte first (for little-endian
    /// fields: least significant first).
    const BIT_OFFSET: usize;
    /// Width in bits.
    const BITS: usize = <<Self::Value as FieldValue>::Wire as Wire>::BITS;
    /// Whether the least significant byte comes first.
    const LITTLE_ENDIAN: bool = false;

    /// Writes a value as it stands on the wire, unshifted, to the first `BITS / 8` bytes of `out`, rounded up. Bytes that do
    /// not fit are left out.
    fn encode(value: Self::Value, out: &mut [u8]) {
        value.to_wire().encode(out, Self::LITTLE_ENDIAN);
    }
}

/// A field that may be set by a transformation: not a length, checksum, selector, constant or reserved field.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a field to be set",
    note = "lengths, checksums and next-header fields are written by the composer; constant, reserved and read-only fields never change"
)]
pub trait Settable: Field {}

#[diagnostic::do_not_recommend]
impl<F: Field<Set = derive::Open>> Settable for F {}

/// A field that is part of the flow key, so that what depends on it may be cached with the flow:
/// [`FlowKey::get`](crate::FlowKey::get).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not part of the flow key",
    label = "can differ from packet to packet of a flow",
    note = "what is cached per flow may depend on addresses, ports, the protocol and the VNI only; a decision that needs \
            `{Self}` belongs in an action that sees each packet"
)]
pub trait InFlowKey: Field {
    /// Which part it is.
    const PART: KeyPart;
}

#[diagnostic::do_not_recommend]
impl<F: Field<Key = derive::InKey<P>>, P: derive::Part> InFlowKey for F {
    const PART: KeyPart = P::PART;
}

/// The parts of a flow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Source port.
    SourcePort,
    /// Destination port.
    DestinationPort,
    /// IP protocol, behind all extension headers.
    Protocol,
    /// Virtual network.
    Vni,
    /// Type of an ICMP message.
    IcmpType,
    /// Code of an ICMP message.
    IcmpCode,
    /// Identifier of an ICMP echo.
    Identifier,
}

/// Where the checksum of a header stands, in bytes from its start, and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumRole {
    /// Byte offset of the 16-bit field.
    pub offset: usize,
    /// What it covers.
    pub covers: Covers,
}

/// What an internet checksum (RFC 1071) covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// The header alone (IPv4).
    Header,
    /// The pseudo-header of the network layer, the header and what follows (TCP, UDP, ICMPv6).
    Pseudo {
        /// Whether a field of zero means that there is no checksum, and a sum of zero goes out as all ones (UDP).
        zero_is_none: bool,
    },
    /// The header and what follows (ICMPv4).
    Payload,
}

/// Where the length of the packet stands in a header, and what it counts. The field is 16 bits in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthRole {
    /// Byte offset of the field.
    pub offset: usize,
    /// What it counts.
    pub counts: Counted,
    /// Added to the count before it is written.
    pub addend: i16,
}

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Bytes from the start of this header to the end of the packet.
    Packet,
    /// Bytes behind the fixed part of this header to the end of the packet.
    Payload,
}
