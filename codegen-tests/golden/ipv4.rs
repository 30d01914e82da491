/// The fields of [`Ipv4`](super::Ipv4), as tokens.
#[allow(dead_code, clippy::module_inception)]
pub mod ipv4 {
    /// The field `version` of `Ipv4`.
    ///
    /// Always 4.
    ///
    /// 4 bits at bit 0.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Version;
    /// The field `ihl` of `Ipv4`.
    ///
    /// Length of the header in units of four bytes.
    ///
    /// 4 bits at bit 4.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Ihl;
    /// The field `dscp` of `Ipv4`.
    ///
    /// Differentiated services code point (RFC 2474).
    ///
    /// 6 bits at bit 8.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Dscp;
    /// The field `ecn` of `Ipv4`.
    ///
    /// Explicit congestion notification (RFC 3168).
    ///
    /// 2 bits at bit 14.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Ecn;
    /// The field `total_len` of `Ipv4`.
    ///
    /// Bytes of the packet, header included.
    ///
    /// 16 bits at bit 16.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct TotalLen;
    /// The field `identification` of `Ipv4`.
    ///
    /// Tells fragments of different packets apart (RFC 6864).
    ///
    /// 16 bits at bit 32.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Identification;
    /// The field `reserved` of `Ipv4`.
    ///
    /// Zero.
    ///
    /// 1 bits at bit 48.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Reserved;
    /// The field `dont_fragment` of `Ipv4`.
    ///
    /// Routers must not fragment the packet.
    ///
    /// 1 bits at bit 49.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct DontFragment;
    /// The field `more_fragments` of `Ipv4`.
    ///
    /// This is not the last fragment.
    ///
    /// 1 bits at bit 50.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct MoreFragments;
    /// The field `fragment_offset` of `Ipv4`.
    ///
    /// Where the fragment belongs, in units of eight bytes.
    ///
    /// 13 bits at bit 51.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct FragmentOffset;
    /// The field `ttl` of `Ipv4`.
    ///
    /// Hops the packet may still make.
    ///
    /// 8 bits at bit 64.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Ttl;
    /// The field `protocol` of `Ipv4`.
    ///
    /// What follows.
    ///
    /// 8 bits at bit 72.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Protocol;
    /// The field `checksum` of `Ipv4`.
    ///
    /// Of the header.
    ///
    /// 16 bits at bit 80.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Checksum;
    /// The field `source` of `Ipv4`.
    ///
    /// Source address.
    ///
    /// 32 bits at bit 96.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Source;
    /// The field `destination` of `Ipv4`.
    ///
    /// Destination address.
    ///
    /// 32 bits at bit 128.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Destination;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Version {
    type Header = Ipv4;
    type Value = u4;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "version";
    const BIT_OFFSET: usize = 0usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Ihl {
    type Header = Ipv4;
    type Value = u4;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "ihl";
    const BIT_OFFSET: usize = 4usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Dscp {
    type Header = Ipv4;
    type Value = u6;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "dscp";
    const BIT_OFFSET: usize = 8usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Ecn {
    type Header = Ipv4;
    type Value = Ecn;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "ecn";
    const BIT_OFFSET: usize = 14usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::TotalLen {
    type Header = Ipv4;
    type Value = u16;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "total_len";
    const BIT_OFFSET: usize = 16usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Identification {
    type Header = Ipv4;
    type Value = u16;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "identification";
    const BIT_OFFSET: usize = 32usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Reserved {
    type Header = Ipv4;
    type Value = u1;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "reserved";
    const BIT_OFFSET: usize = 48usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::DontFragment {
    type Header = Ipv4;
    type Value = bool;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "dont_fragment";
    const BIT_OFFSET: usize = 49usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::MoreFragments {
    type Header = Ipv4;
    type Value = bool;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "more_fragments";
    const BIT_OFFSET: usize = 50usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::FragmentOffset {
    type Header = Ipv4;
    type Value = u13;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "fragment_offset";
    const BIT_OFFSET: usize = 51usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Ttl {
    type Header = Ipv4;
    type Value = u8;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "ttl";
    const BIT_OFFSET: usize = 64usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Protocol {
    type Header = Ipv4;
    type Value = IpProtocol;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::InKey<::opte_headers::derive::part::Protocol>;
    const NAME: &'static str = "protocol";
    const BIT_OFFSET: usize = 72usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Checksum {
    type Header = Ipv4;
    type Value = u16;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "checksum";
    const BIT_OFFSET: usize = 80usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Source {
    type Header = Ipv4;
    type Value = Ipv4Addr;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::InKey<::opte_headers::derive::part::Source>;
    const NAME: &'static str = "source";
    const BIT_OFFSET: usize = 96usize;
}
#[automatically_derived]
impl ::opte_headers::Field for ipv4::Destination {
    type Header = Ipv4;
    type Value = Ipv4Addr;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::InKey<::opte_headers::derive::part::Destination>;
    const NAME: &'static str = "destination";
    const BIT_OFFSET: usize = 128usize;
}
/// A view of [`Ipv4`] in bytes, checked when it was made.
///
/// IPv4 header (RFC 791, section 3.1).
///
/// # Layout
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |version|  ihl  |   dscp    |ecn|           total_len           |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |        identification         |r|d|m|     fragment_offset     |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |      ttl      |   protocol    |           checksum            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                            source                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                          destination                          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// /                          options ...                          /
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///
/// r: reserved, bit 48
/// d: dont_fragment, bit 49
/// m: more_fragments, bit 50
/// ```
pub struct Ipv4View<__B: ::opte_headers::bytes::Bytes> {
    fixed: ::opte_headers::bytes::Fixed<__B, { 20usize }>,
    tail: __B,
}
#[automatically_derived]
#[allow(dead_code, clippy::len_without_is_empty)]
impl<__B: ::opte_headers::bytes::Bytes> Ipv4View<__B> {
    /// The header at the start of `bytes`, checked, and what is behind it.
    ///
    /// # Errors
    /// The header is truncated, a constant field has another value, or a length is contradictory.
    #[inline]
    pub fn parse(
        bytes: __B,
    ) -> ::core::result::Result<(Self, __B), ::opte_headers::ParseError> {
        let (fixed, rest) = ::opte_headers::derive::open(bytes, "Ipv4")?;
        ::opte_headers::derive::expect::<
            ipv4::Version,
        >(&*fixed, const { <u4>::new(4) })?;
        let (tail, rest) = ::opte_headers::derive::tail(
            rest,
            ((::opte_headers::derive::number::<ipv4::Ihl>(&*fixed))
                .wrapping_mul((4 as i64)))
                .wrapping_sub((20 as i64)),
            "Ipv4",
            "options",
            20usize,
        )?;
        ::core::result::Result::Ok((Self { fixed, tail }, rest))
    }
    /// The bytes of the fixed part.
    #[inline]
    pub fn fixed(&self) -> &[u8; 20usize] {
        &*self.fixed
    }
    /// The bytes of the whole header.
    #[inline]
    pub fn len(&self) -> usize {
        20usize + self.tail.len()
    }
    /// The bytes of the variable part.
    #[inline]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }
    /// The header as a struct.
    ///
    /// # Errors
    /// The variable part is longer than the struct can hold.
    pub fn to_owned(&self) -> ::core::result::Result<Ipv4, ::opte_headers::ParseError> {
        ::core::result::Result::Ok(Ipv4 {
            version: ::opte_headers::derive::get::<ipv4::Version>(&*self.fixed),
            ihl: ::opte_headers::derive::get::<ipv4::Ihl>(&*self.fixed),
            dscp: ::opte_headers::derive::get::<ipv4::Dscp>(&*self.fixed),
            ecn: ::opte_headers::derive::get::<ipv4::Ecn>(&*self.fixed),
            total_len: ::opte_headers::derive::get::<ipv4::TotalLen>(&*self.fixed),
            identification: ::opte_headers::derive::get::<
                ipv4::Identification,
            >(&*self.fixed),
            reserved: ::opte_headers::derive::get::<ipv4::Reserved>(&*self.fixed),
            dont_fragment: ::opte_headers::derive::get::<
                ipv4::DontFragment,
            >(&*self.fixed),
            more_fragments: ::opte_headers::derive::get::<
                ipv4::MoreFragments,
            >(&*self.fixed),
            fragment_offset: ::opte_headers::derive::get::<
                ipv4::FragmentOffset,
            >(&*self.fixed),
            ttl: ::opte_headers::derive::get::<ipv4::Ttl>(&*self.fixed),
            protocol: ::opte_headers::derive::get::<ipv4::Protocol>(&*self.fixed),
            checksum: ::opte_headers::derive::get::<ipv4::Checksum>(&*self.fixed),
            source: ::opte_headers::derive::get::<ipv4::Source>(&*self.fixed),
            destination: ::opte_headers::derive::get::<ipv4::Destination>(&*self.fixed),
            options: <Options<
                Ipv4Option<'static>,
                40,
            > as ::opte_headers::Tail>::from_bytes(&self.tail)
                .ok_or(
                    ::opte_headers::derive::too_long(
                        self.tail.len(),
                        <Options<
                            Ipv4Option<'static>,
                            40,
                        > as ::opte_headers::Tail>::CAPACITY,
                        "Ipv4",
                        "options",
                    ),
                )?,
        })
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl<__B: ::opte_headers::bytes::BytesMut> Ipv4View<__B> {
    /// The bytes of the fixed part, to be written to.
    #[inline]
    pub fn fixed_mut(&mut self) -> &mut [u8; 20usize] {
        &mut *self.fixed
    }
    /// The bytes of the variable part, to be written to.
    #[inline]
    pub fn tail_mut(&mut self) -> &mut [u8] {
        &mut self.tail
    }
}
#[automatically_derived]
impl ::core::clone::Clone for Ipv4View<&[u8]> {
    fn clone(&self) -> Self {
        *self
    }
}
#[automatically_derived]
impl ::core::marker::Copy for Ipv4View<&[u8]> {}
/// The fields of [`Ipv4`], read from the struct or from a view.
#[allow(dead_code)]
pub trait Ipv4Get {
    /// Always 4.
    fn version(&self) -> u4;
    /// Length of the header in units of four bytes.
    fn ihl(&self) -> u4;
    /// Differentiated services code point (RFC 2474).
    fn dscp(&self) -> u6;
    /// Explicit congestion notification (RFC 3168).
    fn ecn(&self) -> Ecn;
    /// Bytes of the packet, header included.
    fn total_len(&self) -> u16;
    /// Tells fragments of different packets apart (RFC 6864).
    fn identification(&self) -> u16;
    /// Routers must not fragment the packet.
    fn dont_fragment(&self) -> bool;
    /// This is not the last fragment.
    fn more_fragments(&self) -> bool;
    /// Where the fragment belongs, in units of eight bytes.
    fn fragment_offset(&self) -> u13;
    /// Hops the packet may still make.
    fn ttl(&self) -> u8;
    /// What follows.
    fn protocol(&self) -> IpProtocol;
    /// Of the header.
    fn checksum(&self) -> u16;
    /// Source address.
    fn source(&self) -> Ipv4Addr;
    /// Destination address.
    fn destination(&self) -> Ipv4Addr;
    /// Options (RFC 791, section 3.1).
    fn options(&self) -> ::opte_headers::options::OptionList<'_, Ipv4Option<'static>>;
}
/// The fields of [`Ipv4`], written to the struct or through a view.
#[allow(dead_code)]
pub trait Ipv4Set {
    /// Sets `dscp`.
    fn set_dscp(&mut self, value: u6);
    /// Sets `ecn`.
    fn set_ecn(&mut self, value: Ecn);
    /// Sets `total_len`.
    fn set_total_len(&mut self, value: u16);
    /// Sets `identification`.
    fn set_identification(&mut self, value: u16);
    /// Sets `dont_fragment`.
    fn set_dont_fragment(&mut self, value: bool);
    /// Sets `more_fragments`.
    fn set_more_fragments(&mut self, value: bool);
    /// Sets `fragment_offset`.
    fn set_fragment_offset(&mut self, value: u13);
    /// Sets `ttl`.
    fn set_ttl(&mut self, value: u8);
    /// Sets `protocol`.
    fn set_protocol(&mut self, value: IpProtocol);
    /// Sets `checksum`.
    fn set_checksum(&mut self, value: u16);
    /// Sets `source`.
    fn set_source(&mut self, value: Ipv4Addr);
    /// Sets `destination`.
    fn set_destination(&mut self, value: Ipv4Addr);
}
#[automatically_derived]
impl Ipv4Get for Ipv4 {
    #[inline]
    fn version(&self) -> u4 {
        ::opte_headers::derive::copied::<ipv4::Version>(&self.version)
    }
    #[inline]
    fn ihl(&self) -> u4 {
        ::opte_headers::derive::copied::<ipv4::Ihl>(&self.ihl)
    }
    #[inline]
    fn dscp(&self) -> u6 {
        ::opte_headers::derive::copied::<ipv4::Dscp>(&self.dscp)
    }
    #[inline]
    fn ecn(&self) -> Ecn {
        ::opte_headers::derive::copied::<ipv4::Ecn>(&self.ecn)
    }
    #[inline]
    fn total_len(&self) -> u16 {
        ::opte_headers::derive::copied::<ipv4::TotalLen>(&self.total_len)
    }
    #[inline]
    fn identification(&self) -> u16 {
        ::opte_headers::derive::copied::<ipv4::Identification>(&self.identification)
    }
    #[inline]
    fn dont_fragment(&self) -> bool {
        ::opte_headers::derive::copied::<ipv4::DontFragment>(&self.dont_fragment)
    }
    #[inline]
    fn more_fragments(&self) -> bool {
        ::opte_headers::derive::copied::<ipv4::MoreFragments>(&self.more_fragments)
    }
    #[inline]
    fn fragment_offset(&self) -> u13 {
        ::opte_headers::derive::copied::<ipv4::FragmentOffset>(&self.fragment_offset)
    }
    #[inline]
    fn ttl(&self) -> u8 {
        ::opte_headers::derive::copied::<ipv4::Ttl>(&self.ttl)
    }
    #[inline]
    fn protocol(&self) -> IpProtocol {
        ::opte_headers::derive::copied::<ipv4::Protocol>(&self.protocol)
    }
    #[inline]
    fn checksum(&self) -> u16 {
        ::opte_headers::derive::copied::<ipv4::Checksum>(&self.checksum)
    }
    #[inline]
    fn source(&self) -> Ipv4Addr {
        ::opte_headers::derive::copied::<ipv4::Source>(&self.source)
    }
    #[inline]
    fn destination(&self) -> Ipv4Addr {
        ::opte_headers::derive::copied::<ipv4::Destination>(&self.destination)
    }
    fn options(&self) -> ::opte_headers::options::OptionList<'_, Ipv4Option<'static>> {
        <Options<
            Ipv4Option<'static>,
            40,
        > as ::opte_headers::Tail>::view(
            <Options<
                Ipv4Option<'static>,
                40,
            > as ::opte_headers::Tail>::as_bytes(&self.options),
        )
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> Ipv4Get for Ipv4View<__B> {
    #[inline]
    fn version(&self) -> u4 {
        ::opte_headers::derive::get::<ipv4::Version>(&*self.fixed)
    }
    #[inline]
    fn ihl(&self) -> u4 {
        ::opte_headers::derive::get::<ipv4::Ihl>(&*self.fixed)
    }
    #[inline]
    fn dscp(&self) -> u6 {
        ::opte_headers::derive::get::<ipv4::Dscp>(&*self.fixed)
    }
    #[inline]
    fn ecn(&self) -> Ecn {
        ::opte_headers::derive::get::<ipv4::Ecn>(&*self.fixed)
    }
    #[inline]
    fn total_len(&self) -> u16 {
        ::opte_headers::derive::get::<ipv4::TotalLen>(&*self.fixed)
    }
    #[inline]
    fn identification(&self) -> u16 {
        ::opte_headers::derive::get::<ipv4::Identification>(&*self.fixed)
    }
    #[inline]
    fn dont_fragment(&self) -> bool {
        ::opte_headers::derive::get::<ipv4::DontFragment>(&*self.fixed)
    }
    #[inline]
    fn more_fragments(&self) -> bool {
        ::opte_headers::derive::get::<ipv4::MoreFragments>(&*self.fixed)
    }
    #[inline]
    fn fragment_offset(&self) -> u13 {
        ::opte_headers::derive::get::<ipv4::FragmentOffset>(&*self.fixed)
    }
    #[inline]
    fn ttl(&self) -> u8 {
        ::opte_headers::derive::get::<ipv4::Ttl>(&*self.fixed)
    }
    #[inline]
    fn protocol(&self) -> IpProtocol {
        ::opte_headers::derive::get::<ipv4::Protocol>(&*self.fixed)
    }
    #[inline]
    fn checksum(&self) -> u16 {
        ::opte_headers::derive::get::<ipv4::Checksum>(&*self.fixed)
    }
    #[inline]
    fn source(&self) -> Ipv4Addr {
        ::opte_headers::derive::get::<ipv4::Source>(&*self.fixed)
    }
    #[inline]
    fn destination(&self) -> Ipv4Addr {
        ::opte_headers::derive::get::<ipv4::Destination>(&*self.fixed)
    }
    fn options(&self) -> ::opte_headers::options::OptionList<'_, Ipv4Option<'static>> {
        <Options<Ipv4Option<'static>, 40> as ::opte_headers::Tail>::view(&self.tail)
    }
}
#[automatically_derived]
impl Ipv4Set for Ipv4 {
    #[inline]
    fn set_dscp(&mut self, value: u6) {
        self.dscp = value;
    }
    #[inline]
    fn set_ecn(&mut self, value: Ecn) {
        self.ecn = value;
    }
    #[inline]
    fn set_total_len(&mut self, value: u16) {
        self.total_len = value;
    }
    #[inline]
    fn set_identification(&mut self, value: u16) {
        self.identification = value;
    }
    #[inline]
    fn set_dont_fragment(&mut self, value: bool) {
        self.dont_fragment = value;
    }
    #[inline]
    fn set_more_fragments(&mut self, value: bool) {
        self.more_fragments = value;
    }
    #[inline]
    fn set_fragment_offset(&mut self, value: u13) {
        self.fragment_offset = value;
    }
    #[inline]
    fn set_ttl(&mut self, value: u8) {
        self.ttl = value;
    }
    #[inline]
    fn set_protocol(&mut self, value: IpProtocol) {
        self.protocol = value;
    }
    #[inline]
    fn set_checksum(&mut self, value: u16) {
        self.checksum = value;
    }
    #[inline]
    fn set_source(&mut self, value: Ipv4Addr) {
        self.source = value;
    }
    #[inline]
    fn set_destination(&mut self, value: Ipv4Addr) {
        self.destination = value;
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::BytesMut> Ipv4Set for Ipv4View<__B> {
    #[inline]
    fn set_dscp(&mut self, value: u6) {
        ::opte_headers::derive::set::<ipv4::Dscp>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_ecn(&mut self, value: Ecn) {
        ::opte_headers::derive::set::<ipv4::Ecn>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_total_len(&mut self, value: u16) {
        ::opte_headers::derive::set::<ipv4::TotalLen>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_identification(&mut self, value: u16) {
        ::opte_headers::derive::set::<ipv4::Identification>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_dont_fragment(&mut self, value: bool) {
        ::opte_headers::derive::set::<ipv4::DontFragment>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_more_fragments(&mut self, value: bool) {
        ::opte_headers::derive::set::<ipv4::MoreFragments>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_fragment_offset(&mut self, value: u13) {
        ::opte_headers::derive::set::<ipv4::FragmentOffset>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_ttl(&mut self, value: u8) {
        ::opte_headers::derive::set::<ipv4::Ttl>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_protocol(&mut self, value: IpProtocol) {
        ::opte_headers::derive::set::<ipv4::Protocol>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_checksum(&mut self, value: u16) {
        ::opte_headers::derive::set::<ipv4::Checksum>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_source(&mut self, value: Ipv4Addr) {
        ::opte_headers::derive::set::<ipv4::Source>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_destination(&mut self, value: Ipv4Addr) {
        ::opte_headers::derive::set::<ipv4::Destination>(&mut *self.fixed, value);
    }
}
#[automatically_derived]
impl ::core::fmt::Display for Ipv4 {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Ipv4")
            .field(
                "ihl",
                ::opte_headers::derive::shown::<ipv4::Ihl>(&Ipv4Get::ihl(self)),
            )
            .field(
                "dscp",
                ::opte_headers::derive::shown::<ipv4::Dscp>(&Ipv4Get::dscp(self)),
            )
            .field(
                "ecn",
                ::opte_headers::derive::shown::<ipv4::Ecn>(&Ipv4Get::ecn(self)),
            )
            .field(
                "total_len",
                ::opte_headers::derive::shown::<
                    ipv4::TotalLen,
                >(&Ipv4Get::total_len(self)),
            )
            .field(
                "identification",
                ::opte_headers::derive::shown::<
                    ipv4::Identification,
                >(&Ipv4Get::identification(self)),
            )
            .field(
                "dont_fragment",
                ::opte_headers::derive::shown::<
                    ipv4::DontFragment,
                >(&Ipv4Get::dont_fragment(self)),
            )
            .field(
                "more_fragments",
                ::opte_headers::derive::shown::<
                    ipv4::MoreFragments,
                >(&Ipv4Get::more_fragments(self)),
            )
            .field(
                "fragment_offset",
                ::opte_headers::derive::shown::<
                    ipv4::FragmentOffset,
                >(&Ipv4Get::fragment_offset(self)),
            )
            .field(
                "ttl",
                ::opte_headers::derive::shown::<ipv4::Ttl>(&Ipv4Get::ttl(self)),
            )
            .field(
                "protocol",
                ::opte_headers::derive::shown::<ipv4::Protocol>(&Ipv4Get::protocol(self)),
            )
            .field("checksum", &::core::format_args!("{:#x}", Ipv4Get::checksum(self)))
            .field(
                "source",
                ::opte_headers::derive::shown::<ipv4::Source>(&Ipv4Get::source(self)),
            )
            .field(
                "destination",
                ::opte_headers::derive::shown::<
                    ipv4::Destination,
                >(&Ipv4Get::destination(self)),
            )
            .field("options", &Ipv4Get::options(self))
            .finish()
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> ::core::fmt::Display for Ipv4View<__B> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Ipv4")
            .field(
                "ihl",
                ::opte_headers::derive::shown::<ipv4::Ihl>(&Ipv4Get::ihl(self)),
            )
            .field(
                "dscp",
                ::opte_headers::derive::shown::<ipv4::Dscp>(&Ipv4Get::dscp(self)),
            )
            .field(
                "ecn",
                ::opte_headers::derive::shown::<ipv4::Ecn>(&Ipv4Get::ecn(self)),
            )
            .field(
                "total_len",
                ::opte_headers::derive::shown::<
                    ipv4::TotalLen,
                >(&Ipv4Get::total_len(self)),
            )
            .field(
                "identification",
                ::opte_headers::derive::shown::<
                    ipv4::Identification,
                >(&Ipv4Get::identification(self)),
            )
            .field(
                "dont_fragment",
                ::opte_headers::derive::shown::<
                    ipv4::DontFragment,
                >(&Ipv4Get::dont_fragment(self)),
            )
            .field(
                "more_fragments",
                ::opte_headers::derive::shown::<
                    ipv4::MoreFragments,
                >(&Ipv4Get::more_fragments(self)),
            )
            .field(
                "fragment_offset",
                ::opte_headers::derive::shown::<
                    ipv4::FragmentOffset,
                >(&Ipv4Get::fragment_offset(self)),
            )
            .field(
                "ttl",
                ::opte_headers::derive::shown::<ipv4::Ttl>(&Ipv4Get::ttl(self)),
            )
            .field(
                "protocol",
                ::opte_headers::derive::shown::<ipv4::Protocol>(&Ipv4Get::protocol(self)),
            )
            .field("checksum", &::core::format_args!("{:#x}", Ipv4Get::checksum(self)))
            .field(
                "source",
                ::opte_headers::derive::shown::<ipv4::Source>(&Ipv4Get::source(self)),
            )
            .field(
                "destination",
                ::opte_headers::derive::shown::<
                    ipv4::Destination,
                >(&Ipv4Get::destination(self)),
            )
            .field("options", &Ipv4Get::options(self))
            .finish()
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> ::core::fmt::Debug for Ipv4View<__B> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Ipv4")
            .field(
                "ihl",
                ::opte_headers::derive::shown::<ipv4::Ihl>(&Ipv4Get::ihl(self)),
            )
            .field(
                "dscp",
                ::opte_headers::derive::shown::<ipv4::Dscp>(&Ipv4Get::dscp(self)),
            )
            .field(
                "ecn",
                ::opte_headers::derive::shown::<ipv4::Ecn>(&Ipv4Get::ecn(self)),
            )
            .field(
                "total_len",
                ::opte_headers::derive::shown::<
                    ipv4::TotalLen,
                >(&Ipv4Get::total_len(self)),
            )
            .field(
                "identification",
                ::opte_headers::derive::shown::<
                    ipv4::Identification,
                >(&Ipv4Get::identification(self)),
            )
            .field(
                "dont_fragment",
                ::opte_headers::derive::shown::<
                    ipv4::DontFragment,
                >(&Ipv4Get::dont_fragment(self)),
            )
            .field(
                "more_fragments",
                ::opte_headers::derive::shown::<
                    ipv4::MoreFragments,
                >(&Ipv4Get::more_fragments(self)),
            )
            .field(
                "fragment_offset",
                ::opte_headers::derive::shown::<
                    ipv4::FragmentOffset,
                >(&Ipv4Get::fragment_offset(self)),
            )
            .field(
                "ttl",
                ::opte_headers::derive::shown::<ipv4::Ttl>(&Ipv4Get::ttl(self)),
            )
            .field(
                "protocol",
                ::opte_headers::derive::shown::<ipv4::Protocol>(&Ipv4Get::protocol(self)),
            )
            .field("checksum", &::core::format_args!("{:#x}", Ipv4Get::checksum(self)))
            .field(
                "source",
                ::opte_headers::derive::shown::<ipv4::Source>(&Ipv4Get::source(self)),
            )
            .field(
                "destination",
                ::opte_headers::derive::shown::<
                    ipv4::Destination,
                >(&Ipv4Get::destination(self)),
            )
            .field("options", &Ipv4Get::options(self))
            .finish()
    }
}
#[automatically_derived]
impl ::core::default::Default for Ipv4 {
    fn default() -> Self {
        Self {
            version: const { <u4>::new(4) },
            ihl: ::opte_headers::derive::default_length::<
                ipv4::Ihl,
            >(20usize, 4usize, 0usize, true),
            dscp: ::opte_headers::derive::zero::<ipv4::Dscp>(),
            ecn: ::opte_headers::derive::zero::<ipv4::Ecn>(),
            total_len: ::opte_headers::derive::zero::<ipv4::TotalLen>(),
            identification: ::opte_headers::derive::zero::<ipv4::Identification>(),
            reserved: ::opte_headers::derive::zero::<ipv4::Reserved>(),
            dont_fragment: ::opte_headers::derive::zero::<ipv4::DontFragment>(),
            more_fragments: ::opte_headers::derive::zero::<ipv4::MoreFragments>(),
            fragment_offset: ::opte_headers::derive::zero::<ipv4::FragmentOffset>(),
            ttl: 64,
            protocol: ::opte_headers::derive::zero::<ipv4::Protocol>(),
            checksum: ::opte_headers::derive::zero::<ipv4::Checksum>(),
            source: ::opte_headers::derive::zero::<ipv4::Source>(),
            destination: ::opte_headers::derive::zero::<ipv4::Destination>(),
            options: <Options<Ipv4Option<'static>, 40> as ::opte_headers::Tail>::empty(),
        }
    }
}
#[automatically_derived]
impl ::opte_headers::Header for Ipv4 {
    const NAME: &'static str = "Ipv4";
    const MIN_LEN: usize = 20usize;
    const PSEUDO: ::core::option::Option<(usize, usize)> = ::core::option::Option::Some((
        <ipv4::Source as ::opte_headers::Field>::BIT_OFFSET / 8,
        (<ipv4::Destination as ::opte_headers::Field>::BIT_OFFSET
            + <ipv4::Destination as ::opte_headers::Field>::BITS) / 8,
    ));
    const LENGTH: ::core::option::Option<::opte_headers::LengthRole> = ::core::option::Option::Some(::opte_headers::LengthRole {
        offset: <ipv4::TotalLen as ::opte_headers::Field>::BIT_OFFSET / 8,
        counts: ::opte_headers::Counted::Packet,
        addend: 0,
    });
    const CHECKSUM: ::core::option::Option<::opte_headers::ChecksumRole> = ::core::option::Option::Some(::opte_headers::ChecksumRole {
        offset: <ipv4::Checksum as ::opte_headers::Field>::BIT_OFFSET / 8,
        covers: ::opte_headers::Covers::Header,
    });
    type View<'__a> = Ipv4View<&'__a [u8]>;
    type ViewMut<'__a> = Ipv4View<&'__a mut [u8]>;
    type Selector = IpProtocol;
    #[inline]
    fn parse(
        bytes: &[u8],
    ) -> ::core::result::Result<(Self::View<'_>, &[u8]), ::opte_headers::ParseError> {
        Ipv4View::parse(bytes)
    }
    #[inline]
    fn parse_mut(
        bytes: &mut [u8],
    ) -> ::core::result::Result<
        (Self::ViewMut<'_>, &mut [u8]),
        ::opte_headers::ParseError,
    > {
        Ipv4View::parse(bytes)
    }
    fn len(&self) -> usize {
        ::opte_headers::derive::padded(
            20usize,
            <Options<
                Ipv4Option<'static>,
                40,
            > as ::opte_headers::Tail>::as_bytes(&self.options)
                .len(),
            4usize,
            true,
        )
    }
    fn emit(
        &self,
        out: &mut [u8],
    ) -> ::core::result::Result<usize, ::opte_headers::EmitError> {
        let len = ::opte_headers::Header::len(self);
        let (fixed, tail) = ::opte_headers::derive::room::<{ 20usize }>(out, len)?;
        ::opte_headers::derive::set::<ipv4::Version>(fixed, const { <u4>::new(4) });
        ::opte_headers::derive::set::<
            ipv4::Ihl,
        >(fixed, ::opte_headers::derive::length::<ipv4::Ihl>(len, 4usize, 0usize)?);
        ::opte_headers::derive::put::<ipv4::Dscp>(fixed, &self.dscp);
        ::opte_headers::derive::put::<ipv4::Ecn>(fixed, &self.ecn);
        ::opte_headers::derive::put::<ipv4::TotalLen>(fixed, &self.total_len);
        ::opte_headers::derive::put::<ipv4::Identification>(fixed, &self.identification);
        ::opte_headers::derive::put::<ipv4::Reserved>(fixed, &self.reserved);
        ::opte_headers::derive::put::<ipv4::DontFragment>(fixed, &self.dont_fragment);
        ::opte_headers::derive::put::<ipv4::MoreFragments>(fixed, &self.more_fragments);
        ::opte_headers::derive::put::<
            ipv4::FragmentOffset,
        >(fixed, &self.fragment_offset);
        ::opte_headers::derive::put::<ipv4::Ttl>(fixed, &self.ttl);
        ::opte_headers::derive::put::<ipv4::Protocol>(fixed, &self.protocol);
        ::opte_headers::derive::put::<ipv4::Checksum>(fixed, &self.checksum);
        ::opte_headers::derive::put::<ipv4::Source>(fixed, &self.source);
        ::opte_headers::derive::put::<ipv4::Destination>(fixed, &self.destination);
        ::opte_headers::derive::put_tail(
            tail,
            <Options<
                Ipv4Option<'static>,
                40,
            > as ::opte_headers::Tail>::as_bytes(&self.options),
        );
        ::core::result::Result::Ok(len)
    }
    #[inline]
    fn selector(&self) -> Self::Selector {
        self.protocol
    }
    #[inline]
    fn view_selector(view: &Self::View<'_>) -> Self::Selector {
        Ipv4Get::protocol(view)
    }
    fn unsupported(next: Self::Selector) -> ::opte_headers::ParseError {
        ::opte_headers::derive::unsupported::<ipv4::Protocol>(next)
    }
    #[inline]
    fn select(&mut self, next: Self::Selector) {
        self.protocol = next;
    }
}
#[automatically_derived]
impl ::opte_headers::Follows<Ethernet> for Ipv4 {
    const SELECTOR: ::core::option::Option<
        <Ethernet as ::opte_headers::Header>::Selector,
    > = {
        let selector: <Ethernet as ::opte_headers::Header>::Selector = Ethertype::IPV4;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Vlan> for Ipv4 {
    const SELECTOR: ::core::option::Option<<Vlan as ::opte_headers::Header>::Selector> = {
        let selector: <Vlan as ::opte_headers::Header>::Selector = Ethertype::IPV4;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Geneve> for Ipv4 {
    const SELECTOR: ::core::option::Option<
        <Geneve as ::opte_headers::Header>::Selector,
    > = {
        let selector: <Geneve as ::opte_headers::Header>::Selector = Ethertype::IPV4;
        ::core::option::Option::Some(selector)
    };
}
const _: () = ::opte_headers::derive::assert_bits::<ipv4::Ecn>(2usize);
const _: () = ::opte_headers::derive::assert_bits::<ipv4::Protocol>(8usize);
const _: () = ::opte_headers::derive::assert_bits::<ipv4::Source>(32usize);
const _: () = ::opte_headers::derive::assert_bits::<ipv4::Destination>(32usize);
const _: () = ::opte_headers::derive::assert_aligned::<ipv4::Ecn>();
