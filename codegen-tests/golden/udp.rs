/// The fields of [`Udp`](super::Udp), as tokens.
#[allow(dead_code, clippy::module_inception)]
pub mod udp {
    /// The field `source` of `Udp`.
    ///
    /// Source port.
    ///
    /// 16 bits at bit 0.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Source;
    /// The field `destination` of `Udp`.
    ///
    /// Destination port, which for tunnels tells what follows.
    ///
    /// 16 bits at bit 16.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Destination;
    /// The field `length` of `Udp`.
    ///
    /// Bytes of header and data.
    ///
    /// 16 bits at bit 32.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Length;
    /// The field `checksum` of `Udp`.
    ///
    /// Of pseudo-header, header and data; zero if there is none.
    ///
    /// 16 bits at bit 48.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Checksum;
}
#[automatically_derived]
impl ::opte_headers::Field for udp::Source {
    type Header = Udp;
    type Value = u16;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::InKey<::opte_headers::derive::part::SourcePort>;
    const NAME: &'static str = "source";
    const BIT_OFFSET: usize = 0usize;
}
#[automatically_derived]
impl ::opte_headers::Field for udp::Destination {
    type Header = Udp;
    type Value = u16;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::InKey<
        ::opte_headers::derive::part::DestinationPort,
    >;
    const NAME: &'static str = "destination";
    const BIT_OFFSET: usize = 16usize;
}
#[automatically_derived]
impl ::opte_headers::Field for udp::Length {
    type Header = Udp;
    type Value = u16;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "length";
    const BIT_OFFSET: usize = 32usize;
}
#[automatically_derived]
impl ::opte_headers::Field for udp::Checksum {
    type Header = Udp;
    type Value = u16;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "checksum";
    const BIT_OFFSET: usize = 48usize;
}
/// A view of [`Udp`] in bytes, checked when it was made.
///
/// UDP header (RFC 768).
///
/// # Layout
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |            source             |          destination          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |            length             |           checksum            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
pub struct UdpView<__B: ::opte_headers::bytes::Bytes> {
    fixed: ::opte_headers::bytes::Fixed<__B, { 8usize }>,
}
#[automatically_derived]
#[allow(dead_code, clippy::len_without_is_empty)]
impl<__B: ::opte_headers::bytes::Bytes> UdpView<__B> {
    /// The header at the start of `bytes`, checked, and what is behind it.
    ///
    /// # Errors
    /// The header is truncated, a constant field has another value, or a length is contradictory.
    #[inline]
    pub fn parse(
        bytes: __B,
    ) -> ::core::result::Result<(Self, __B), ::opte_headers::ParseError> {
        let (fixed, rest) = ::opte_headers::derive::open(bytes, "Udp")?;
        ::core::result::Result::Ok((Self { fixed }, rest))
    }
    /// The bytes of the fixed part.
    #[inline]
    pub fn fixed(&self) -> &[u8; 8usize] {
        &*self.fixed
    }
    /// The bytes of the whole header.
    #[inline]
    pub fn len(&self) -> usize {
        8usize
    }
    /// The header as a struct.
    pub fn to_owned(&self) -> Udp {
        Udp {
            source: ::opte_headers::derive::get::<udp::Source>(&*self.fixed),
            destination: ::opte_headers::derive::get::<udp::Destination>(&*self.fixed),
            length: ::opte_headers::derive::get::<udp::Length>(&*self.fixed),
            checksum: ::opte_headers::derive::get::<udp::Checksum>(&*self.fixed),
        }
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl<__B: ::opte_headers::bytes::BytesMut> UdpView<__B> {
    /// The bytes of the fixed part, to be written to.
    #[inline]
    pub fn fixed_mut(&mut self) -> &mut [u8; 8usize] {
        &mut *self.fixed
    }
}
#[automatically_derived]
impl ::core::clone::Clone for UdpView<&[u8]> {
    fn clone(&self) -> Self {
        *self
    }
}
#[automatically_derived]
impl ::core::marker::Copy for UdpView<&[u8]> {}
/// The fields of [`Udp`], read from the struct or from a view.
#[allow(dead_code)]
pub trait UdpGet {
    /// Source port.
    fn source(&self) -> u16;
    /// Destination port, which for tunnels tells what follows.
    fn destination(&self) -> u16;
    /// Bytes of header and data.
    fn length(&self) -> u16;
    /// Of pseudo-header, header and data; zero if there is none.
    fn checksum(&self) -> u16;
}
/// The fields of [`Udp`], written to the struct or through a view.
#[allow(dead_code)]
pub trait UdpSet {
    /// Sets `source`.
    fn set_source(&mut self, value: u16);
    /// Sets `destination`.
    fn set_destination(&mut self, value: u16);
    /// Sets `length`.
    fn set_length(&mut self, value: u16);
    /// Sets `checksum`.
    fn set_checksum(&mut self, value: u16);
}
#[automatically_derived]
impl UdpGet for Udp {
    #[inline]
    fn source(&self) -> u16 {
        ::opte_headers::derive::copied::<udp::Source>(&self.source)
    }
    #[inline]
    fn destination(&self) -> u16 {
        ::opte_headers::derive::copied::<udp::Destination>(&self.destination)
    }
    #[inline]
    fn length(&self) -> u16 {
        ::opte_headers::derive::copied::<udp::Length>(&self.length)
    }
    #[inline]
    fn checksum(&self) -> u16 {
        ::opte_headers::derive::copied::<udp::Checksum>(&self.checksum)
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> UdpGet for UdpView<__B> {
    #[inline]
    fn source(&self) -> u16 {
        ::opte_headers::derive::get::<udp::Source>(&*self.fixed)
    }
    #[inline]
    fn destination(&self) -> u16 {
        ::opte_headers::derive::get::<udp::Destination>(&*self.fixed)
    }
    #[inline]
    fn length(&self) -> u16 {
        ::opte_headers::derive::get::<udp::Length>(&*self.fixed)
    }
    #[inline]
    fn checksum(&self) -> u16 {
        ::opte_headers::derive::get::<udp::Checksum>(&*self.fixed)
    }
}
#[automatically_derived]
impl UdpSet for Udp {
    #[inline]
    fn set_source(&mut self, value: u16) {
        self.source = value;
    }
    #[inline]
    fn set_destination(&mut self, value: u16) {
        self.destination = value;
    }
    #[inline]
    fn set_length(&mut self, value: u16) {
        self.length = value;
    }
    #[inline]
    fn set_checksum(&mut self, value: u16) {
        self.checksum = value;
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::BytesMut> UdpSet for UdpView<__B> {
    #[inline]
    fn set_source(&mut self, value: u16) {
        ::opte_headers::derive::set::<udp::Source>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_destination(&mut self, value: u16) {
        ::opte_headers::derive::set::<udp::Destination>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_length(&mut self, value: u16) {
        ::opte_headers::derive::set::<udp::Length>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_checksum(&mut self, value: u16) {
        ::opte_headers::derive::set::<udp::Checksum>(&mut *self.fixed, value);
    }
}
#[automatically_derived]
impl ::core::fmt::Display for Udp {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Udp")
            .field(
                "source",
                ::opte_headers::derive::shown::<udp::Source>(&UdpGet::source(self)),
            )
            .field(
                "destination",
                ::opte_headers::derive::shown::<
                    udp::Destination,
                >(&UdpGet::destination(self)),
            )
            .field(
                "length",
                ::opte_headers::derive::shown::<udp::Length>(&UdpGet::length(self)),
            )
            .field("checksum", &::core::format_args!("{:#x}", UdpGet::checksum(self)))
            .finish()
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> ::core::fmt::Display for UdpView<__B> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Udp")
            .field(
                "source",
                ::opte_headers::derive::shown::<udp::Source>(&UdpGet::source(self)),
            )
            .field(
                "destination",
                ::opte_headers::derive::shown::<
                    udp::Destination,
                >(&UdpGet::destination(self)),
            )
            .field(
                "length",
                ::opte_headers::derive::shown::<udp::Length>(&UdpGet::length(self)),
            )
            .field("checksum", &::core::format_args!("{:#x}", UdpGet::checksum(self)))
            .finish()
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> ::core::fmt::Debug for UdpView<__B> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Udp")
            .field(
                "source",
                ::opte_headers::derive::shown::<udp::Source>(&UdpGet::source(self)),
            )
            .field(
                "destination",
                ::opte_headers::derive::shown::<
                    udp::Destination,
                >(&UdpGet::destination(self)),
            )
            .field(
                "length",
                ::opte_headers::derive::shown::<udp::Length>(&UdpGet::length(self)),
            )
            .field("checksum", &::core::format_args!("{:#x}", UdpGet::checksum(self)))
            .finish()
    }
}
#[automatically_derived]
impl ::core::default::Default for Udp {
    fn default() -> Self {
        Self {
            source: ::opte_headers::derive::zero::<udp::Source>(),
            destination: ::opte_headers::derive::zero::<udp::Destination>(),
            length: ::opte_headers::derive::zero::<udp::Length>(),
            checksum: ::opte_headers::derive::zero::<udp::Checksum>(),
        }
    }
}
#[automatically_derived]
impl ::opte_headers::Header for Udp {
    const NAME: &'static str = "Udp";
    const MIN_LEN: usize = 8usize;
    const LENGTH: ::core::option::Option<::opte_headers::LengthRole> = ::core::option::Option::Some(::opte_headers::LengthRole {
        offset: <udp::Length as ::opte_headers::Field>::BIT_OFFSET / 8,
        counts: ::opte_headers::Counted::Packet,
        addend: 0,
    });
    const CHECKSUM: ::core::option::Option<::opte_headers::ChecksumRole> = ::core::option::Option::Some(::opte_headers::ChecksumRole {
        offset: <udp::Checksum as ::opte_headers::Field>::BIT_OFFSET / 8,
        covers: ::opte_headers::Covers::Pseudo {
            zero_is_none: true,
        },
    });
    type View<'__a> = UdpView<&'__a [u8]>;
    type ViewMut<'__a> = UdpView<&'__a mut [u8]>;
    type Selector = u16;
    #[inline]
    fn parse(
        bytes: &[u8],
    ) -> ::core::result::Result<(Self::View<'_>, &[u8]), ::opte_headers::ParseError> {
        UdpView::parse(bytes)
    }
    #[inline]
    fn parse_mut(
        bytes: &mut [u8],
    ) -> ::core::result::Result<
        (Self::ViewMut<'_>, &mut [u8]),
        ::opte_headers::ParseError,
    > {
        UdpView::parse(bytes)
    }
    fn len(&self) -> usize {
        8usize
    }
    fn emit(
        &self,
        out: &mut [u8],
    ) -> ::core::result::Result<usize, ::opte_headers::EmitError> {
        let len = ::opte_headers::Header::len(self);
        let (fixed, _) = ::opte_headers::derive::room::<{ 8usize }>(out, len)?;
        ::opte_headers::derive::put::<udp::Source>(fixed, &self.source);
        ::opte_headers::derive::put::<udp::Destination>(fixed, &self.destination);
        ::opte_headers::derive::put::<udp::Length>(fixed, &self.length);
        ::opte_headers::derive::put::<udp::Checksum>(fixed, &self.checksum);
        ::core::result::Result::Ok(len)
    }
    #[inline]
    fn selector(&self) -> Self::Selector {
        self.destination
    }
    #[inline]
    fn view_selector(view: &Self::View<'_>) -> Self::Selector {
        UdpGet::destination(view)
    }
    fn unsupported(next: Self::Selector) -> ::opte_headers::ParseError {
        ::opte_headers::derive::unsupported::<udp::Destination>(next)
    }
    #[inline]
    fn select(&mut self, next: Self::Selector) {
        self.destination = next;
    }
}
#[automatically_derived]
impl ::opte_headers::Follows<Ipv4> for Udp {
    const SELECTOR: ::core::option::Option<<Ipv4 as ::opte_headers::Header>::Selector> = {
        let selector: <Ipv4 as ::opte_headers::Header>::Selector = IpProtocol::UDP;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Ipv6> for Udp {
    const SELECTOR: ::core::option::Option<<Ipv6 as ::opte_headers::Header>::Selector> = {
        let selector: <Ipv6 as ::opte_headers::Header>::Selector = IpProtocol::UDP;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Ipv6HopByHop> for Udp {
    const SELECTOR: ::core::option::Option<
        <Ipv6HopByHop as ::opte_headers::Header>::Selector,
    > = {
        let selector: <Ipv6HopByHop as ::opte_headers::Header>::Selector = IpProtocol::UDP;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Ipv6Routing> for Udp {
    const SELECTOR: ::core::option::Option<
        <Ipv6Routing as ::opte_headers::Header>::Selector,
    > = {
        let selector: <Ipv6Routing as ::opte_headers::Header>::Selector = IpProtocol::UDP;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Ipv6Destination> for Udp {
    const SELECTOR: ::core::option::Option<
        <Ipv6Destination as ::opte_headers::Header>::Selector,
    > = {
        let selector: <Ipv6Destination as ::opte_headers::Header>::Selector = IpProtocol::UDP;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Ipv6Fragment> for Udp {
    const SELECTOR: ::core::option::Option<
        <Ipv6Fragment as ::opte_headers::Header>::Selector,
    > = {
        let selector: <Ipv6Fragment as ::opte_headers::Header>::Selector = IpProtocol::UDP;
        ::core::option::Option::Some(selector)
    };
}
