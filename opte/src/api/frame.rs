//! The frame of a command: a header of fixed layout, then a body in postcard.
//!
//! The same frame goes over a socket and through an `ioctl`. All numbers are little-endian. The headers' layout never changes, so that two
//! sides of different [API versions](super::with_command) can still tell each other theirs.

use alloc::string::ToString;
use alloc::vec::Vec;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{OpteCmd, OpteError, Request};

/// The most octets a request's body may have.
pub const MAX_REQUEST: u32 = 1 << 20;

/// The most octets an answer's body may have; longer listings come in pages.
pub const MAX_RESPONSE: u32 = 1 << 20;

/// `OPTE` as its octets stand on the wire.
pub const MAGIC: u32 = u32::from_le_bytes(*b"OPTE");

/// Set in [`ResponseHeader::flags`]: the body is an [`OpteError`].
pub const FLAG_ERROR: u32 = 1;

/// Set in [`ResponseHeader::flags`]: the command ran before, this is the answer it gave then.
pub const FLAG_KEPT: u32 = 2;

/// What stands before the body of a request.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct RequestHeader {
    /// [`MAGIC`].
    pub magic: U32,
    /// [`OpteCmd::code`].
    pub command: U32,
    /// The client's API version.
    pub api_version: U64,
    /// The client, by a number it has chosen at random.
    pub client: U64,
    /// The request, by a number the client uses once. The same client and sequence number again mean a retry.
    pub sequence: U64,
    /// The driver the request is meant for; 0 if any.
    pub instance: U64,
    /// Octets of the body.
    pub body_len: U32,
    /// The most octets of an answer's body the client takes.
    pub response_max: U32,
    /// Zero.
    pub reserved: U64,
}

/// What stands before the body of an answer.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct ResponseHeader {
    /// [`MAGIC`].
    pub magic: U32,
    /// As in the request.
    pub command: U32,
    /// The driver's API version.
    pub api_version: U64,
    /// As in the request.
    pub client: U64,
    /// As in the request.
    pub sequence: U64,
    /// The driver, by a number chosen at random when it starts; never 0.
    pub instance: U64,
    /// Octets of the body.
    pub body_len: U32,
    /// Octets the answer needs: more than `body_len` if it does not fit, then the body is an error that says so.
    pub needed: U32,
    /// [`FLAG_ERROR`] and [`FLAG_KEPT`].
    pub flags: U32,
    /// Zero.
    pub reserved: U32,
}

/// Octets of a [`RequestHeader`].
pub const REQUEST_HEADER_LEN: usize = size_of::<RequestHeader>();

/// Octets of a [`ResponseHeader`].
pub const RESPONSE_HEADER_LEN: usize = size_of::<ResponseHeader>();

/// The header and body of `request`. The caller fills in the header's client, sequence, instance and version.
///
/// Errors: [`OpteError::RequestTooLarge`].
pub fn encode_request<R: Request>(
    header: RequestHeader,
    request: &R,
) -> Result<Vec<u8>, OpteError> {
    let body = postcard::to_allocvec(request).map_err(|error| OpteError::MalformedRequest {
        command: R::COMMAND,
        reason: error.to_string(),
    })?;
    let body_len = u32::try_from(body.len())
        .ok()
        .filter(|len| *len <= MAX_REQUEST)
        .ok_or(OpteError::RequestTooLarge {
            length: body.len() as u64,
            max: u64::from(MAX_REQUEST),
        })?;
    let header = RequestHeader {
        magic: MAGIC.into(),
        command: R::COMMAND.code().into(),
        body_len: body_len.into(),
        reserved: 0.into(),
        ..header
    };
    let mut frame = Vec::with_capacity(REQUEST_HEADER_LEN.saturating_add(body.len()));
    frame.extend_from_slice(header.as_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

impl RequestHeader {
    /// The header at the start of `frame` and what follows it.
    ///
    /// Errors: [`OpteError::RequestTruncated`], [`OpteError::BadMagic`].
    pub fn split(frame: &[u8]) -> Result<(&Self, &[u8]), OpteError> {
        let (header, rest) =
            Self::ref_from_prefix(frame).map_err(|_| OpteError::RequestTruncated {
                needed: REQUEST_HEADER_LEN as u64,
                available: frame.len() as u64,
            })?;
        if header.magic.get() != MAGIC {
            return Err(OpteError::BadMagic {
                found: header.magic.get(),
            });
        }
        Ok((header, rest))
    }

    /// How many octets of body follow the header.
    ///
    /// Errors: [`OpteError::RequestTooLarge`].
    pub fn body_len(&self) -> Result<usize, OpteError> {
        let length = self.body_len.get();
        if length > MAX_REQUEST {
            return Err(OpteError::RequestTooLarge {
                length: u64::from(length),
                max: u64::from(MAX_REQUEST),
            });
        }
        Ok(length as usize)
    }

    /// The command.
    ///
    /// Errors: [`OpteError::BadApiVersion`] if the client's version is not `version`, [`OpteError::UnknownCommand`].
    pub fn command(&self, version: u64) -> Result<OpteCmd, OpteError> {
        // The version first: of another version nothing else can be believed.
        let client = self.api_version.get();
        if client != version {
            return Err(OpteError::BadApiVersion {
                client,
                driver: version,
            });
        }
        OpteCmd::try_from(self.command.get())
            .map_err(|error| OpteError::UnknownCommand { code: error.code })
    }

    /// The part of `rest` that is the body.
    ///
    /// Errors: [`OpteError::RequestTooLarge`], [`OpteError::RequestTruncated`], [`OpteError::TrailingBytes`].
    pub fn body<'a>(&self, rest: &'a [u8]) -> Result<&'a [u8], OpteError> {
        let needed = self.body_len()?;
        let (body, trailing) =
            rest.split_at_checked(needed)
                .ok_or(OpteError::RequestTruncated {
                    needed: needed as u64,
                    available: rest.len() as u64,
                })?;
        if !trailing.is_empty() {
            return Err(OpteError::TrailingBytes {
                count: trailing.len() as u64,
            });
        }
        Ok(body)
    }
}

/// The request in `body`, checked as far as a request can be by itself.
///
/// Errors: [`OpteError::MalformedRequest`], [`OpteError::TrailingBytes`], and those of [`Request::validate`].
pub fn decode_request<R: Request>(body: &[u8]) -> Result<R, OpteError> {
    let (request, trailing) =
        postcard::take_from_bytes::<R>(body).map_err(|error| OpteError::MalformedRequest {
            command: R::COMMAND,
            reason: error.to_string(),
        })?;
    if !trailing.is_empty() {
        return Err(OpteError::TrailingBytes {
            count: trailing.len() as u64,
        });
    }
    request.validate()?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ClearUftReq, DumpLayerReq, FlowFilter, Page};
    use proptest::prelude::*;

    fn split(frame: &[u8]) -> Result<DumpLayerReq, OpteError> {
        let (header, rest) = RequestHeader::split(frame)?;
        assert_eq!(header.command(7)?, OpteCmd::DumpLayer);
        decode_request(header.body(rest)?)
    }

    fn frame(request: &DumpLayerReq) -> Vec<u8> {
        let header = RequestHeader {
            api_version: 7.into(),
            sequence: 3.into(),
            ..RequestHeader::default()
        };
        encode_request(header, request).unwrap()
    }

    #[test]
    fn headers_have_56_octets_and_no_holes() {
        assert_eq!((REQUEST_HEADER_LEN, RESPONSE_HEADER_LEN), (56, 56));
    }

    #[test]
    fn another_version_is_told_both() {
        let request = ClearUftReq {
            port_name: "opte0".into(),
        };
        let header = RequestHeader {
            api_version: 1.into(),
            ..RequestHeader::default()
        };
        let frame = encode_request(header, &request).unwrap();
        let (header, _) = RequestHeader::split(&frame).unwrap();
        let error = header.command(2).unwrap_err();
        assert_eq!(
            error,
            OpteError::BadApiVersion {
                client: 1,
                driver: 2
            }
        );
        assert_eq!(
            error.to_string(),
            "API version mismatch: client 0000000000000001, driver 0000000000000002"
        );
    }

    #[test]
    fn a_body_length_beyond_the_bound_is_refused_before_anything_is_read() {
        let header = RequestHeader {
            magic: MAGIC.into(),
            body_len: u32::MAX.into(),
            ..RequestHeader::default()
        };
        assert_eq!(
            header.body(&[]),
            Err(OpteError::RequestTooLarge {
                length: u64::from(u32::MAX),
                max: u64::from(MAX_REQUEST)
            })
        );
    }

    proptest! {
        #[test]
        fn requests_round_trip(port_name in ".{0,40}", name in ".{0,40}", cursor: u64, limit: u32) {
            let request = DumpLayerReq { port_name, name, page: Page { cursor, limit }, filter: FlowFilter::ALL, rule: None };
            prop_assert_eq!(split(&frame(&request)), Ok(request));
        }

        #[test]
        fn a_cut_or_lengthened_request_is_refused(port_name in ".{0,40}", at: prop::sample::Index, extra in 1_usize..9) {
            let request = DumpLayerReq { port_name, name: "nat".into(), page: Page::FIRST, filter: FlowFilter::ALL, rule: None };
            let whole = frame(&request);
            let cut = &whole[..at.index(whole.len())];
            let refused = matches!(split(cut), Err(OpteError::RequestTruncated { .. }));
            prop_assert!(refused);
            let mut long = whole;
            long.resize(long.len() + extra, 0);
            prop_assert_eq!(split(&long), Err(OpteError::TrailingBytes { count: extra as u64 }));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = RequestHeader::split(&bytes);
            let _ = decode_request::<DumpLayerReq>(&bytes);
        }
    }
}
