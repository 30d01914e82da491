//! Transformations: what a network function does to a stack of headers.
//!
//! [`Transform`](crate::Transform) tracks the stack in its type. What cannot be does not compile; what can compiles to a
//! [`Program`](crate::Program), 256 bytes that know no types, compare and hash, and apply to any frame of the stack.
//!
//! ```
//! use core::net::Ipv4Addr;
//! use opte_headers::frame::parse_guest;
//! use opte_headers::program::Sums;
//! use opte_headers::transform::{Restore, Set, Transform};
//! use opte_headers::{Ethernet, Ipv4, Program, Tcp, Udp, Vlan, ipv4, stack, tcp};
//! # use opte_headers::{Ethertype, Header, IpProtocol};
//! # let mut frame = [0; 54];
//! # Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() }.emit(&mut frame).unwrap();
//! # let private = Ipv4Addr::new(10, 0, 0, 5);
//! # Ipv4 { total_len: 40, protocol: IpProtocol::TCP, source: private, ..Ipv4::default() }.emit(&mut frame[14..]).unwrap();
//! # Tcp { source: 40_000, destination: 443, ..Tcp::default() }.emit(&mut frame[34..]).unwrap();
//!
//! type Guest = stack![Ethernet, Ipv4, Tcp];
//!
//! // NAT, then a VLAN tag.
//! let nat = Transform::on::<Guest>()
//!     .set::<ipv4::Source>(Ipv4Addr::new(198, 51, 100, 7))
//!     .set::<tcp::Source>(1025);
//! let tag = Transform::on::<Guest>()
//!     .pop::<Ethernet>()
//!     .push(Vlan::default())
//!     .push(Ethernet::default());
//! let program: Program = nat.then(tag).compile();
//!
//! // One line a step, with the names of a flow's headers if there is one.
//! let parsed = parse_guest(&frame).unwrap();
//! let text = program.of_flow(&parsed.key).to_string();
//! assert_eq!(text.lines().next(), Some("set Ipv4 source to 198.51.100.7"));
//! assert_eq!(text.lines().count(), 7, "{text}");
//!
//! // Room in front of the frame, and what the parser found.
//! let mut buffer = [[0; 32].as_slice(), &frame].concat();
//! let applied = program.apply(&mut buffer, 32, frame.len(), &parsed.offsets, Sums::Complete, 0)?;
//! assert_eq!(applied.frame_len, frame.len() + 4);
//! let sent = parse_guest(&buffer[applied.start..]).unwrap();
//! assert_eq!(sent.key.to_string(), "TCP 198.51.100.7:1025 -> 0.0.0.0:443");
//!
//! // The way back needs what the way there forgot.
//! let back = nat.reverse().restore::<ipv4::Source>(private).restore::<tcp::Source>(40_000);
//! assert!(back.compile().is_ok());
//!
//! // At run time programs compose as transformations do: one for both.
//! assert_eq!(nat.compile().fuse(&tag.compile())?, program);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is the composer's own
//!
//! A push writes what the new header carries; lengths are written when a frame passes; every checksum follows by the difference.
//! So these fields cannot be set, and a header whose checksum covers its payload can only be pushed where it may be left out
//! (UDP of a tunnel, RFC 6935).
//!
//! # Checksums that the link completes
//!
//! A host with offload leaves the innermost transport checksum to the link, and the sum of the pseudo-header stands in its place.
//! [`Sums::Partial`](crate::program::Sums) says so: addresses go into that sum, ports and payload do not, and what stands around, a
//! tunnel's checksum, is what will be right when the link has done its part.
//!
//! # Laws
//!
//! Held by tests over random stacks and programs: what `a.fuse(&b)` does is what `a`, then `b` does; fusion is associative; a
//! reverse is an inverse; all checksums that were right stay right. [The module](crate::transform) has the whole of it,
//! [`Program`](crate::Program) its bytes.
