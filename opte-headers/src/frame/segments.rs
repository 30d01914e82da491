//! Frames in several segments.

use crate::error::ParseError;
use core::fmt;

/// A frame in several segments, as scatter-gather lists and message chains have it.
///
/// ```
/// use opte_headers::frame::Segments;
///
/// /// A chain of messages.
/// struct Message {
///     data: Vec<u8>,
///     next: Option<Box<Message>>,
/// }
///
/// impl Segments for Message {
///     fn segments(&self) -> impl Iterator<Item = &[u8]> {
///         std::iter::successors(Some(self), |message| message.next.as_deref()).map(|message| &message.data[..])
///     }
/// }
///
/// let last = Message { data: vec![3, 4], next: None };
/// assert_eq!(Message { data: vec![1, 2], next: Some(Box::new(last)) }.frame_len(), 4);
/// ```
pub trait Segments {
    /// The segments, from the start of the frame; some may be empty.
    fn segments(&self) -> impl Iterator<Item = &[u8]>;

    /// Bytes of all of them.
    fn frame_len(&self) -> usize {
        self.segments().map(<[u8]>::len).sum()
    }
}

impl<B: AsRef<[u8]>> Segments for [B] {
    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(AsRef::as_ref)
    }
}

/// What parsing a frame in segments comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmented<'a, P> {
    /// As of the same frame in one piece: offsets count from the start of the frame.
    pub parsed: P,
    /// The start of the frame, with all headers that were parsed: the first segment if it has them, else the buffer.
    pub head: &'a [u8],
    /// Bytes of the whole frame. Those behind `head` are in the segments still, from byte `head.len()` of them on.
    pub frame_len: usize,
}

/// Parses a frame in segments, with the function that `head = ..` gives a [`stack_parser!`](crate::stack_parser).
///
/// If the first segment holds all headers, nothing is copied. Else as much of the frame as `buffer` takes is pulled up into it;
/// 256 bytes are enough for any stack without options, tunnel and all.
///
/// # Errors
/// As of the frame in one piece; the headers reach farther than `buffer` does.
///
/// ```
/// use opte_headers::frame::{SegmentError, parse_guest, parse_guest_head, parse_segments};
/// # use opte_headers::{Ethernet, Ethertype, Header, IpProtocol, Ipv4, Tcp};
/// # let mut frame = [0; 1054];
/// # Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() }.emit(&mut frame).unwrap();
/// # let ip = Ipv4 { total_len: 1040, protocol: IpProtocol::TCP, ..Ipv4::default() };
/// # ip.emit(&mut frame[14..]).unwrap();
/// # Tcp::default().emit(&mut frame[34..]).unwrap();
/// let whole = parse_guest(&frame)?;
///
/// let mut buffer = [0; 256];
/// let in_first = [&frame[..54], &frame[54..]];
/// let segmented = parse_segments(&in_first[..], &mut buffer, parse_guest_head)?;
/// assert_eq!((segmented.parsed, segmented.head), (whole, in_first[0]));
///
/// let cut_up = [&frame[..3], &frame[3..40], &frame[40..]];
/// let segmented = parse_segments(&cut_up[..], &mut buffer, parse_guest_head)?;
/// assert_eq!((segmented.parsed, segmented.head), (whole, &frame[..256]));
///
/// let error = parse_segments(&cut_up[..], &mut [0; 40], parse_guest_head).unwrap_err();
/// assert_eq!(error, SegmentError::TooFar { needed: 54, room: 40 });
/// # Ok::<(), SegmentError>(())
/// ```
pub fn parse_segments<'a, P, S: Segments + ?Sized>(
    segments: &'a S,
    buffer: &'a mut [u8],
    parse_head: impl Fn(&[u8], usize) -> Result<P, HeadError>,
) -> Result<Segmented<'a, P>, SegmentError> {
    let frame_len = segments.frame_len();
    let mut all = segments.segments();
    let first = all.find(|segment| !segment.is_empty()).unwrap_or_default();
    match parse_head(first, frame_len) {
        Ok(parsed) => {
            return Ok(Segmented {
                parsed,
                head: first,
                frame_len,
            });
        }
        Err(HeadError::Parse(error)) => return Err(SegmentError::Parse(error)),
        Err(HeadError::Short { .. }) => {}
    }
    let pulled = pull_up(segments, buffer);
    let head = buffer.get(..pulled).unwrap_or_default();
    match parse_head(head, frame_len) {
        Ok(parsed) => Ok(Segmented {
            parsed,
            head,
            frame_len,
        }),
        Err(HeadError::Parse(error)) => Err(SegmentError::Parse(error)),
        Err(HeadError::Short { needed }) => Err(SegmentError::TooFar {
            needed,
            room: pulled,
        }),
    }
}

/// Copies the start of a frame into `buffer`, as much as it takes; how many bytes that is.
pub fn pull_up<S: Segments + ?Sized>(segments: &S, buffer: &mut [u8]) -> usize {
    let mut at = 0;
    for segment in segments.segments() {
        let room = buffer.get_mut(at..).unwrap_or_default();
        let len = segment.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), segment.get(..len)) {
            to.copy_from_slice(from);
        }
        at += len;
    }
    at
}

/// Why the start of a frame was not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// More of the frame would not help.
    Parse(ParseError),
    /// The headers go on behind what there is.
    Short {
        /// Bytes from the start of the frame without which it cannot go on.
        needed: usize,
    },
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::Short { needed } => write!(
                f,
                "the headers go on: {needed} bytes of the frame are needed"
            ),
        }
    }
}

impl core::error::Error for HeadError {}

/// Why a frame in segments was not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentError {
    /// The frame in one piece would not parse either.
    Parse(ParseError),
    /// The headers reach farther than the buffer.
    TooFar {
        /// Bytes from the start of the frame without which it cannot go on.
        needed: usize,
        /// Bytes the buffer takes.
        room: usize,
    },
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::TooFar { needed, room } => {
                write!(
                    f,
                    "the headers reach to byte {needed}, the buffer takes {room}"
                )
            }
        }
    }
}

impl core::error::Error for SegmentError {}

impl From<ParseError> for SegmentError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}
