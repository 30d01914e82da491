//! PPP over Ethernet (RFC 2516).

use arbitrary_int::prelude::*;
use opte_headers::options::{Frame, Framing};
use opte_headers::{Ethernet, Ethertype, Header, OptionSet, Options, ParseError, RawOption};

/// PPPoE session header (RFC 2516, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x8864)))]
pub struct Pppoe {
    /// Always 1.
    #[header(const = 1)]
    pub version: u4,
    /// Always 1.
    #[header(const = 1)]
    pub kind: u4,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// The session.
    pub session: u16,
    /// Bytes behind this header.
    #[header(length(of = payload))]
    pub length: u16,
    /// What PPP carries (RFC 1661, section 2).
    #[header(next, hex)]
    pub protocol: u16,
}

/// PPPoE discovery (RFC 2516, section 5).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x8863)), len = 6)]
pub struct PppoeDiscovery {
    /// Always 1.
    #[header(const = 1)]
    pub version: u4,
    /// Always 1.
    #[header(const = 1)]
    pub kind: u4,
    /// Which message.
    #[header(default = 0x09, hex)]
    pub code: u8,
    /// The session, once there is one.
    pub session: u16,
    /// Bytes of tags.
    #[header(length(of = tail))]
    pub length: u16,
    /// The tags.
    #[header(options(len = length))]
    pub tags: Options<PppoeTag<'static>, 128>,
}

/// Tags (RFC 2516, appendix A).
#[derive(Clone, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = TagFraming)]
pub enum PppoeTag<'a> {
    /// The service that is asked for or offered; empty for any.
    #[option(0x0101)]
    ServiceName(&'a [u8]),
    /// The name of the concentrator.
    #[option(0x0102)]
    ConcentratorName(&'a [u8]),
    /// What the host wants to have back.
    #[option(0x0103)]
    HostUnique(&'a [u8]),
    /// Any other tag.
    #[option(unknown)]
    Unknown(RawOption<'a, u16>),
}

/// Two bytes of type, two of length, which counts what is behind it; type 0 is the end (RFC 2516, section 5).
#[derive(Clone, Copy, Debug)]
pub struct TagFraming;

impl Framing for TagFraming {
    type Kind = u16;

    fn split<'a>(
        bytes: &'a [u8],
        name: &'static str,
    ) -> Result<Option<(u16, &'a [u8], &'a [u8])>, ParseError> {
        let Some((&[a, b, c, d], rest)) = bytes.split_first_chunk() else {
            return match bytes.is_empty() {
                true => Ok(None),
                false => Err(ParseError::truncated(name, "length", 4, bytes.len())),
            };
        };
        let (kind, len) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        match rest.split_at_checked(len.into()) {
            _ if kind == 0 => Ok(None),
            Some((body, rest)) => Ok(Some((kind, body, rest))),
            None => Err(ParseError::bad_length(
                name,
                "length",
                len.into(),
                rest.len(),
            )),
        }
    }

    fn frame(kind: u16, body_len: usize) -> Option<Frame> {
        let ([a, b], [c, d]) = (
            kind.to_be_bytes(),
            u16::try_from(body_len).ok()?.to_be_bytes(),
        );
        Some(Frame {
            head: [a, b, c, d],
            head_len: 4,
            total: body_len.checked_add(4)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2516, appendix B.
    #[test]
    fn active_discovery_initiation() {
        let bytes = [0x11, 0x09, 0, 0, 0, 4, 0x01, 0x01, 0, 0];
        let (view, rest) = PppoeDiscovery::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        let mut tags = view.tags().iter();
        assert_eq!(tags.next(), Some(Ok(PppoeTag::ServiceName(&[]))));
        assert_eq!(tags.next(), None);
        let sent = PppoeDiscovery {
            tags: Options::of(&[PppoeTag::ServiceName(&[])]).unwrap(),
            ..PppoeDiscovery::default()
        };
        let mut out = [0xff; 10];
        assert_eq!(sent.emit(&mut out), Ok(10));
        assert_eq!(out, bytes);
    }

    #[test]
    fn unknown_tags_are_kept() {
        let bytes = [0x11, 0x07, 0, 0, 0, 6, 0x01, 0x10, 0, 2, 5, 6];
        let (view, _) = PppoeDiscovery::parse(&bytes).unwrap();
        let relay = RawOption {
            kind: 0x0110,
            body: &[5, 6],
        };
        assert!(view.tags().iter().eq([Ok(PppoeTag::Unknown(relay))]));
    }

    #[test]
    fn session() {
        let bytes = [0x11, 0, 0x12, 0x34, 0, 6, 0xc0, 0x21, 9, 1, 0, 4];
        let (view, rest) = Pppoe::parse(&bytes).unwrap();
        assert_eq!(
            (view.session(), view.length(), view.protocol()),
            (0x1234, 6, 0xc021)
        );
        assert_eq!(rest, [9, 1, 0, 4]);
        assert!(Pppoe::parse(&[0x21, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
