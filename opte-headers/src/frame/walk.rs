//! The way through a frame, header by header.

use super::key::FlowKey;
use super::kind::HeaderKind;
use super::offsets::{Offsets, Shape};
use super::parsed::{NONE, Parsed};
use crate::error::ParseError;
use crate::header::Header;

/// A header that a stack parser can go through. `impl Stacked for MyHeader {}` is enough for one that only stands between
/// others; override [`Stacked::enter`] to check more, to bound what follows, or to write to the flow key.
pub trait Stacked: Header {
    /// How the header is called in the parsed form.
    const KIND: HeaderKind = HeaderKind::own(Self::NAME);

    /// Goes through the header at the start of `bytes`, which end with the packet: checks it, records it, and gives what it
    /// says follows, and the bytes of that. A header with a length of the packet cuts them to it with [`Walk::body`].
    ///
    /// # Errors
    /// The header is cut off or contradicts the bytes there are.
    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        walk.push(Self::NAME, Self::KIND, bytes.len() - rest.len())?;
        Ok(Step::then(Self::view_selector(&view), rest))
    }

    /// What follows is none of the headers the parser knows, and it may be so.
    ///
    /// # Errors
    /// There is no place for it.
    #[inline]
    fn unknown(
        _selector: Self::Selector,
        _bytes: &[u8],
        _walk: &mut Walk<false>,
    ) -> Result<(), ParseError> {
        Ok(())
    }
}

/// What a header comes to.
pub type Entered<'a, H> = Result<Step<'a, <H as Header>::Selector>, ParseError>;

/// What follows a header.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a, S> {
    /// What the header says follows.
    pub selector: S,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether it is to be looked at.
    pub more: bool,
}

impl<'a, S> Step<'a, S> {
    /// Look at what follows.
    #[inline(always)]
    pub const fn then(selector: S, bytes: &'a [u8]) -> Self {
        Self {
            selector,
            bytes,
            more: true,
        }
    }

    /// Nothing behind this is to be looked at.
    #[inline(always)]
    pub const fn accept(selector: S) -> Self {
        Self {
            selector,
            bytes: &[],
            more: false,
        }
    }
}

/// How far a stack parser has come.
///
/// Every parser is made twice. The quick one (`QUICK`) knows the common case only, in which nearly every offset is a constant;
/// where it meets anything else, an error too, it gives up, and the thorough one starts over.
#[derive(Debug)]
pub struct Walk<const QUICK: bool> {
    /// What it will give.
    pub parsed: Parsed,
    at: usize,
    /// Bytes of the packet behind those that are here.
    beyond: usize,
}

impl<const QUICK: bool> Walk<QUICK> {
    /// At the start of a frame of this many bytes.
    #[inline(always)]
    pub const fn new(frame_len: usize) -> Self {
        let parsed = Parsed {
            key: FlowKey::ZERO,
            offsets: Offsets::EMPTY,
            shape: Shape::EMPTY,
            inner: 0,
            l3: NONE,
            l4: NONE,
            fragment: super::Fragment::No,
            fragment_id: 0,
            ethertype: crate::Ethertype(0),
            frame_len: frame_len as u32,
            payload: 0,
            tunnel: super::TunnelOptions(0),
        };
        Self {
            parsed,
            at: 0,
            beyond: 0,
        }
    }

    /// At the start of a frame of which `beyond` bytes lie behind those that are to be looked at.
    pub const fn of_head(len: usize, beyond: usize) -> Self {
        Self {
            beyond,
            ..Self::new(len + beyond)
        }
    }

    /// Bytes of the packet behind those that are here. An error counts what is here; these are added to it.
    pub const fn beyond(&self) -> usize {
        self.beyond
    }

    /// The `len` bytes at the start of `rest` that belong to the packet, as far as they are here; none if they are more than
    /// the packet around has.
    #[inline(always)]
    pub fn body<'a>(&mut self, rest: &'a [u8], len: usize) -> Option<&'a [u8]> {
        match rest.get(..len) {
            Some(body) => {
                if !QUICK {
                    self.beyond = 0;
                }
                Some(body)
            }
            None if QUICK => None,
            None => self.cut_body(rest, len),
        }
    }

    /// That the fixed part of a header is among the bytes that are here, if the packet has so many: before it is looked at.
    ///
    /// # Errors
    /// `Truncated`; only where more of the frame helps.
    #[inline]
    pub const fn reaches<H: Header>(&self, bytes: &[u8]) -> Result<(), ParseError> {
        let packet = bytes.len() + self.beyond;
        let needed = if packet < H::MIN_LEN {
            packet
        } else {
            H::MIN_LEN
        };
        if bytes.len() < needed {
            return Err(ParseError::truncated(H::NAME, "", needed, bytes.len()));
        }
        Ok(())
    }

    /// This error is of bytes that are here: more of the frame would not help.
    #[cold]
    pub const fn blame(&mut self, error: ParseError) -> ParseError {
        self.beyond = 0;
        error
    }

    #[cold]
    fn cut_body<'a>(&mut self, rest: &'a [u8], len: usize) -> Option<&'a [u8]> {
        let beyond = len.checked_sub(rest.len())?;
        (beyond <= self.beyond).then(|| {
            self.beyond = beyond;
            rest
        })
    }

    /// Records a header of `len` bytes here and goes behind it; gives its position.
    ///
    /// # Errors
    /// The stack has no place for another header, or it starts too far into the frame.
    #[inline(always)]
    pub fn push(
        &mut self,
        name: &'static str,
        kind: HeaderKind,
        len: usize,
    ) -> Result<u8, ParseError> {
        let index = self.parsed.offsets.count();
        let at = self.at;
        // Quick parsers take no frame of more than 65,535 bytes.
        let offset = if QUICK {
            Ok(at as u16)
        } else {
            u16::try_from(at)
        };
        match offset {
            Ok(offset) if self.parsed.offsets.push(offset) => {}
            _ => {
                let error = ParseError::bad_length(name, "", at, usize::from(u16::MAX));
                return Err(self.blame(error));
            }
        }
        self.parsed.shape.set(index, kind);
        self.at = at + len;
        Ok(index)
    }

    /// Leaves what is seldom seen to the thorough parser: gives up in the quick one.
    ///
    /// # Errors
    /// Always in the quick parser, where no one sees the error; never in the thorough one.
    #[inline(always)]
    pub const fn seldom(&self) -> Result<(), ParseError> {
        if QUICK {
            Err(ParseError::unsupported("", "", 0))
        } else {
            Ok(())
        }
    }

    /// The byte that comes next.
    #[inline(always)]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Passes over bytes that belong to the header before.
    #[inline(always)]
    pub const fn skip(&mut self, len: usize) {
        self.at += len;
    }

    /// The packet inside the frame ends `len` bytes from here.
    #[inline(always)]
    pub const fn end_in(&mut self, len: usize) {
        self.parsed.frame_len = (self.at + len) as u32;
    }

    /// Records the network-layer header at position `index`.
    #[inline(always)]
    pub const fn set_l3(&mut self, index: u8) {
        self.parsed.l3 = index;
    }

    /// Records the header behind the network-layer header, at position `index`.
    #[inline(always)]
    pub const fn set_l4(&mut self, index: u8) {
        self.parsed.l4 = index;
    }

    /// A frame starts here, at position `index`: what was learnt of network layers around it is forgotten, but the VNI.
    #[inline(always)]
    pub const fn start_frame(&mut self, index: u8) {
        let parsed = &mut self.parsed;
        parsed.key = FlowKey::ZERO.with_vni(parsed.key.vni());
        (parsed.inner, parsed.l3, parsed.l4) = (index, NONE, NONE);
        (parsed.fragment, parsed.fragment_id) = (super::Fragment::No, 0);
    }

    /// What was learnt.
    #[inline(always)]
    pub fn finish(mut self) -> Parsed {
        let Parsed {
            offsets, shape, l3, ..
        } = &mut self.parsed;
        offsets.set_anchor(shape, *l3);
        self.parsed.payload = self.at as u32;
        self.parsed
    }
}
