//! Stacks: a parser for headers that stand behind each other.
//!
//! [`stack_parser!`](crate::stack_parser) makes a function that goes through a frame once and gives, in a few bytes, which headers
//! there are, where they start, and the key of the flow. Headers take part by `Stacked`, and follow each other as their derives say.
//!
//! ```
//! use opte_headers::frame::Stacked;
//! use opte_headers::{Ethernet, EthernetGet, Header, Ipv4, Tcp, TcpGet, Udp, Vni, stack_parser};
//!
//! /// A tunnel of one's own.
//! #[derive(Header)]
//! #[header(follows(Udp = 5000), carries(Ethernet))]
//! pub struct Tunnel {
//!     pub vni: Vni,
//!     pub flags: u8,
//! }
//!
//! impl Stacked for Tunnel {}
//!
//! stack_parser! {
//!     /// A frame in the tunnel.
//!     pub fn parse_tunnel -> InTunnel = Ethernet Ipv4 Udp Tunnel inner: Ethernet (inner_ip: Ipv4 (Tcp | inner_udp: Udp)?)?;
//! }
//!
//! fn port(frame: &[u8]) -> Option<u16> {
//!     let parsed = parse_tunnel(frame).ok()?;
//!     let headers = parsed.headers(frame)?;
//!     // Always there: a view. In a choice: an option of one.
//!     let _ = (headers.tunnel.vni(), headers.inner.source());
//!     headers.tcp.map(|tcp| tcp.destination())
//! }
//! # use opte_headers::{Ethertype, IpProtocol};
//! # let mut frame = [0; 14 + 20 + 8 + 4 + 14 + 20 + 20];
//! # let ethernet = Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() };
//! # ethernet.emit(&mut frame).unwrap();
//! # Ipv4 { total_len: 86, protocol: IpProtocol::UDP, ..Ipv4::default() }.emit(&mut frame[14..]).unwrap();
//! # Udp { destination: 5000, length: 66, ..Udp::default() }.emit(&mut frame[34..]).unwrap();
//! # ethernet.emit(&mut frame[46..]).unwrap();
//! # Ipv4 { total_len: 40, protocol: IpProtocol::TCP, ..Ipv4::default() }.emit(&mut frame[60..]).unwrap();
//! # Tcp { destination: 443, ..Tcp::default() }.emit(&mut frame[80..]).unwrap();
//! assert_eq!(port(&frame), Some(443));
//! ```
//!
//! # How a stack is written
//!
//! | text | meaning |
//! |---|---|
//! | `A B` | B behind A |
//! | `[A]` | A or nothing, then what comes next |
//! | `(A B \| C)` | a choice |
//! | `(A \| B)?` | a choice at the end; if it is none of them, the frame is accepted all the same |
//! | `name: A` | a name, where the header's own is taken already |
//! | `A if guard` | A only if `guard(bytes, so_far)` says so: `fn(&[u8], &Parsed) -> bool`, of the bytes at A, no more of them than its fixed part |
//! | `A => control` | behind A, `control(view, so_far)` says to go on, to accept the frame here, or to refuse it: `fn(&AView<&[u8]>, &Parsed) -> Result<Control, ParseError>` |
//! | `fn name(settings: &Settings)` | the parser, its guards and its controls get settings too, last |
//! | `-> Form` | the type of the result; without, it is [`Parsed`](crate::Parsed) |
//! | `#[header(head = name_head)]` | also a function for frames of which the start is there |
//!
//! Of the form there are views: all by name (`headers`), one by name (`form.ipv4(frame)`), one by type
//! ([`narrow`](crate::frame::ParsedStack::narrow)), which does not compile where the stack has no such header.
//!
//! Each header checks itself: its constants, its lengths against the packet around. To check more, to end the packet early, or
//! to write to the flow key, override [`Stacked::enter`](crate::frame::Stacked::enter). Two headers that may follow under the same
//! value are told apart by a guard; say by hand that the second may: `impl Follows<Parent> for Second`.
//!
//! ```
//! use opte_headers::frame::Control;
//! use opte_headers::{Ethernet, Ipv4, Ipv4Get, Ipv4View, Parsed, ParseError, Tcp, Udp, stack_parser};
//!
//! pub struct Settings {
//!     least_ttl: u8,
//! }
//!
//! stack_parser! {
//!     /// TCP and UDP, from near by.
//!     pub fn parse_near(settings: &Settings) = Ethernet Ipv4 => is_near (Tcp | Udp);
//! }
//!
//! fn is_near(ip: &Ipv4View<&[u8]>, _: &Parsed, settings: &Settings) -> Result<Control, ParseError> {
//!     if ip.ttl() < settings.least_ttl {
//!         return Err(ParseError::illegal("Ipv4", "ttl", ip.ttl().into()));
//!     }
//!     Ok(Control::Continue)
//! }
//!
//! assert!(parse_near(&[0; 60], &Settings { least_ttl: 64 }).is_err());
//! ```
//!
//! The macro makes two parsers of one stack: a quick one for the common case, with one bounds check for each header, and a
//! thorough one for all else. So guards and controls may be called twice, and give the same answer both times.
//!
//! # Segments
//!
//! A frame may lie in several segments: [`parse_segments`](crate::frame::parse_segments) parses the first one if it has all headers, and
//! else pulls up as much as a buffer on the stack takes. Offsets count from the start of the frame either way, so a
//! [`Program`](crate::Program) applies to the head alone.
//!
//! # Editing a frame
//!
//! A view's setters write what they are told and nothing else. [`Editor`](crate::frame::Editor) edits a parsed frame: every
//! checksum that covers the field follows, of the header, of the transport header behind an address, of the tunnel around. It
//! knows the checksums of your headers too, if it gets what your parser gave.
//!
//! ```
//! use core::net::Ipv4Addr;
//! use opte_headers::frame::{Editor, parse_guest};
//! use opte_headers::program::Sums;
//! use opte_headers::{ipv4, tcp};
//! # use opte_headers::{Ethernet, Ethertype, Header, IpProtocol, Ipv4, Tcp};
//! # let mut frame = [0; 54];
//! # Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() }.emit(&mut frame).unwrap();
//! # Ipv4 { total_len: 40, protocol: IpProtocol::TCP, ..Ipv4::default() }.emit(&mut frame[14..]).unwrap();
//! # Tcp::default().emit(&mut frame[34..]).unwrap();
//!
//! let parsed = parse_guest(&frame)?;
//! // The host left the checksum of TCP to the link.
//! let mut editor = Editor::new(&mut frame, &parsed).with_sums(Sums::Partial);
//! editor.set::<ipv4::Source>(Ipv4Addr::new(198, 51, 100, 7))?;
//! editor.set::<tcp::Source>(1025)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Packets in ICMP errors
//!
//! [`Parsed::icmp_error`](crate::Parsed::icmp_error) finds the packet that an error is about, however much of it there is, with the
//! key of its flow; [`IcmpError::translate`](crate::frame::IcmpError::translate) makes it one of another flow, all checksums with it.
//! [`parse_embedded_ipv4`](crate::frame::parse_embedded_ipv4) and [`parse_embedded_ipv6`](crate::frame::parse_embedded_ipv6) take such
//! a start alone.
