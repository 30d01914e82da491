//! The way through a frame, header by header.

use super::key::FlowKey;
use super::offsets::{HeaderKind, Offsets, Shape};
use super::parsed::{NONE, Parsed};
use crate::error::ParseError;
use crate::header::Header;

/// A header that a stack parser can go through. `impl Stacked for MyHeader {}` is enough for one that only stands between
/// others; override [`Stacked::enter`] to check more, to bound what follows, or to write to the flow key.
pub trait Stacked: Header {
    /// How the header is called in the parsed form.
    const KIND: HeaderKind = HeaderKind::Other;

    /// Goes through the header at the start of `bytes`, which end with the packet: checks it, records it, and gives what it
    /// says follows, and the bytes of that. `None` where nothing behind it is to be looked at.
    ///
    /// # Errors
    /// The header is cut off or contradicts the bytes there are.
    #[inline(always)]
    fn enter<'a>(bytes: &'a [u8], walk: &mut Walk) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        walk.push(Self::NAME, Self::KIND, bytes.len() - rest.len())?;
        Ok(Some((Self::view_selector(&view), rest)))
    }

    /// What follows is none of the headers the parser knows, and it may be so.
    ///
    /// # Errors
    /// There is no place for it.
    #[inline]
    fn unknown(
        _selector: Self::Selector,
        _bytes: &[u8],
        _walk: &mut Walk,
    ) -> Result<(), ParseError> {
        Ok(())
    }
}

/// What follows a header, and its bytes.
pub type Entered<'a, H> = Result<Option<(<H as Header>::Selector, &'a [u8])>, ParseError>;

/// How far a stack parser has come.
#[derive(Debug)]
pub struct Walk {
    /// What it will give.
    pub parsed: Parsed,
    at: usize,
}

impl Walk {
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
        Self { parsed, at: 0 }
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
        match u16::try_from(at) {
            Ok(offset) if self.parsed.offsets.push(offset) => {}
            _ => return Err(ParseError::bad_length(name, "", at, usize::from(u16::MAX))),
        }
        self.parsed.shape.set(index, kind);
        self.at = at + len;
        Ok(index)
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
    ///
    /// # Errors
    /// The payload starts too far into the frame.
    #[inline(always)]
    pub fn finish(mut self) -> Result<Parsed, ParseError> {
        match u16::try_from(self.at) {
            Ok(payload) => self.parsed.payload = payload,
            Err(_) => {
                return Err(ParseError::bad_length(
                    "",
                    "",
                    self.at,
                    usize::from(u16::MAX),
                ));
            }
        }
        Ok(self.parsed)
    }
}
