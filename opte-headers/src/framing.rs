//! How options are laid out, a type for each way.

use crate::error::ParseError;

/// How options are laid out.
pub trait Framing {
    /// What tells options apart.
    type Kind: Copy + PartialEq + core::fmt::Debug;

    /// Takes the first option off: its kind, its body and what is behind it. `None` at the end. Padding is passed over.
    ///
    /// # Errors
    /// An option that is cut off, or whose length is impossible; `name` goes into the error.
    #[allow(clippy::type_complexity)]
    fn split<'a>(
        bytes: &'a [u8],
        name: &'static str,
    ) -> Result<Option<(Self::Kind, &'a [u8], &'a [u8])>, ParseError>;

    /// What stands before a body of this length, if it can be so long.
    fn frame(kind: Self::Kind, body_len: usize) -> Option<Frame>;
}

/// What stands before an option's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Type and length; the first `head_len` bytes count.
    pub head: [u8; 4],
    /// Bytes of type and length.
    pub head_len: usize,
    /// Bytes of the whole option, padding included.
    pub total: usize,
}

impl Frame {
    const fn new(head: [u8; 4], head_len: usize, total: usize) -> Option<Self> {
        Some(Self {
            head,
            head_len,
            total,
        })
    }
}

/// A framing with one byte of type and one of length.
macro_rules! one_byte {
    ($(#[$doc:meta])* $name:ident, $own:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Framing for $name {
            type Kind = u8;

            #[inline]
            fn split<'a>(
                bytes: &'a [u8],
                name: &'static str,
            ) -> Result<Option<(u8, &'a [u8], &'a [u8])>, ParseError> {
                const { $own }.split(bytes, name)
            }

            fn frame(kind: u8, body_len: usize) -> Option<Frame> {
                const { $own }.frame(kind, body_len)
            }
        }
    };
}

one_byte! {
    /// One byte of kind, one of length, which counts both; 0 is the end, 1 is padding: TCP (RFC 9293, section 3.2) and IPv4
    /// (RFC 791, section 3.1).
    KindLength,
    OneByte { end: Some(0), pad: 1, pad_many: None, counted: 2 }
}

one_byte! {
    /// One byte of type, one of length, which counts what is behind it; type 0 is one byte of padding, type 1 several: IPv6
    /// hop-by-hop and destination options (RFC 8200, section 4.2).
    TypeLength,
    OneByte { end: None, pad: 0, pad_many: Some(1), counted: 0 }
}

one_byte! {
    /// One byte of code, one of length, which counts what is behind it; 0 is padding, 255 the end: DHCP (RFC 2132, section 2).
    CodeLength,
    OneByte { end: Some(255), pad: 0, pad_many: None, counted: 0 }
}

/// Two bytes of code, two of length, which counts what is behind it: DHCPv6 (RFC 8415, section 21.1).
#[derive(Clone, Copy, Debug)]
pub struct CodeLength16;

impl Framing for CodeLength16 {
    type Kind = u16;

    #[inline]
    fn split<'a>(
        bytes: &'a [u8],
        name: &'static str,
    ) -> Result<Option<(u16, &'a [u8], &'a [u8])>, ParseError> {
        match *bytes {
            [] => Ok(None),
            [a, b, c, d, ref rest @ ..] => {
                let len = u16::from_be_bytes([c, d]).into();
                let body = rest.split_at_checked(len);
                let (body, rest) =
                    body.ok_or(ParseError::bad_length(name, "length", len, rest.len()))?;
                Ok(Some((u16::from_be_bytes([a, b]), body, rest)))
            }
            _ => Err(ParseError::truncated(name, "length", 4, bytes.len())),
        }
    }

    fn frame(kind: u16, body_len: usize) -> Option<Frame> {
        let ([a, b], [c, d]) = (
            kind.to_be_bytes(),
            u16::try_from(body_len).ok()?.to_be_bytes(),
        );
        Frame::new([a, b, c, d], 4, body_len.checked_add(4)?)
    }
}

/// One byte of type, one of length in units of eight bytes, which counts the whole option: neighbour discovery (RFC 4861,
/// section 4.6).
#[derive(Clone, Copy, Debug)]
pub struct TypeUnits;

impl Framing for TypeUnits {
    type Kind = u8;

    #[inline]
    fn split<'a>(
        bytes: &'a [u8],
        name: &'static str,
    ) -> Result<Option<(u8, &'a [u8], &'a [u8])>, ParseError> {
        match *bytes {
            [] => Ok(None),
            [kind, units, ref rest @ ..] => {
                let len = 8 * usize::from(units);
                let body = len
                    .checked_sub(2)
                    .and_then(|len| rest.split_at_checked(len));
                let (body, rest) =
                    body.ok_or(ParseError::bad_length(name, "length", len, bytes.len()))?;
                Ok(Some((kind, body, rest)))
            }
            [_] => Err(ParseError::truncated(name, "length", 2, 1)),
        }
    }

    fn frame(kind: u8, body_len: usize) -> Option<Frame> {
        let units = body_len.checked_add(2)?.div_ceil(8);
        Frame::new([kind, u8::try_from(units).ok()?, 0, 0], 2, 8 * units)
    }
}

/// What tells Geneve options apart: class and type, critical bit included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GeneveKind {
    /// Who defines the type.
    pub class: u16,
    /// The type, with the critical bit 0x80.
    pub ty: u8,
}

impl GeneveKind {
    /// A class and a type.
    pub const fn new(class: u16, ty: u8) -> Self {
        Self { class, ty }
    }

    /// Whether an endpoint that does not know the option must drop the packet.
    pub const fn is_critical(self) -> bool {
        self.ty & 0x80 != 0
    }
}

/// Two bytes of class, one of type, five bits of length in units of four bytes, which counts what is behind it: Geneve
/// (RFC 8926, section 3.5).
#[derive(Clone, Copy, Debug)]
pub struct GeneveFraming;

impl Framing for GeneveFraming {
    type Kind = GeneveKind;

    #[inline]
    fn split<'a>(
        bytes: &'a [u8],
        name: &'static str,
    ) -> Result<Option<(GeneveKind, &'a [u8], &'a [u8])>, ParseError> {
        match *bytes {
            [] => Ok(None),
            [a, b, ty, len, ref rest @ ..] => {
                let len = 4 * usize::from(len & 0x1f);
                let body = rest.split_at_checked(len);
                let (body, rest) =
                    body.ok_or(ParseError::bad_length(name, "length", len, rest.len()))?;
                Ok(Some((
                    GeneveKind::new(u16::from_be_bytes([a, b]), ty),
                    body,
                    rest,
                )))
            }
            _ => Err(ParseError::truncated(name, "length", 4, bytes.len())),
        }
    }

    fn frame(kind: GeneveKind, body_len: usize) -> Option<Frame> {
        let words = u8::try_from(body_len.div_ceil(4))
            .ok()
            .filter(|words| *words < 32)?;
        let [a, b] = kind.class.to_be_bytes();
        Frame::new([a, b, kind.ty, words], 4, 4 + 4 * usize::from(words))
    }
}

/// What a framing with one byte of type and one of length has of its own.
struct OneByte {
    /// The type that ends the list.
    end: Option<u8>,
    /// The type that is one byte of padding, without a length.
    pad: u8,
    /// The type that is padding with a length.
    pad_many: Option<u8>,
    /// Bytes of type and length that the length counts.
    counted: usize,
}

impl OneByte {
    /// As [`Framing::split`].
    #[inline(always)]
    #[allow(clippy::type_complexity)]
    fn split<'a>(
        &self,
        mut bytes: &'a [u8],
        name: &'static str,
    ) -> Result<Option<(u8, &'a [u8], &'a [u8])>, ParseError> {
        loop {
            match *bytes {
                [] => return Ok(None),
                [kind, ..] if self.end == Some(kind) => return Ok(None),
                [kind, ref rest @ ..] if kind == self.pad => bytes = rest,
                [kind, len, ref rest @ ..] => {
                    let claimed = usize::from(len);
                    let body = claimed
                        .checked_sub(self.counted)
                        .and_then(|len| rest.split_at_checked(len));
                    let Some((body, rest)) = body else {
                        let available = rest.len() + self.counted;
                        return Err(ParseError::bad_length(name, "length", claimed, available));
                    };
                    if self.pad_many != Some(kind) {
                        return Ok(Some((kind, body, rest)));
                    }
                    bytes = rest;
                }
                [_] => return Err(ParseError::truncated(name, "length", 2, 1)),
            }
        }
    }

    /// As [`Framing::frame`].
    fn frame(&self, kind: u8, body_len: usize) -> Option<Frame> {
        let len = u8::try_from(body_len.checked_add(self.counted)?).ok()?;
        Frame::new([kind, len, 0, 0], 2, body_len.checked_add(2)?)
    }
}
