/// The fields of [`Vxlan`](super::Vxlan), as tokens.
#[allow(dead_code, clippy::module_inception)]
pub mod vxlan {
    /// The field `flags` of `Vxlan`.
    ///
    /// Whether there is a VNI, which there must be.
    ///
    /// 8 bits at bit 0.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Flags;
    /// The field `reserved1` of `Vxlan`.
    ///
    /// Zero.
    ///
    /// 24 bits at bit 8.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Reserved1;
    /// The field `vni` of `Vxlan`.
    ///
    /// The virtual network.
    ///
    /// 24 bits at bit 32.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Vni;
    /// The field `reserved2` of `Vxlan`.
    ///
    /// Zero.
    ///
    /// 8 bits at bit 56.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Reserved2;
}
#[automatically_derived]
impl ::opte_headers::Field for vxlan::Flags {
    type Header = Vxlan;
    type Value = VxlanFlags;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "flags";
    const BIT_OFFSET: usize = 0usize;
}
#[automatically_derived]
impl ::opte_headers::Field for vxlan::Reserved1 {
    type Header = Vxlan;
    type Value = u24;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "reserved1";
    const BIT_OFFSET: usize = 8usize;
}
#[automatically_derived]
impl ::opte_headers::Field for vxlan::Vni {
    type Header = Vxlan;
    type Value = Vni;
    type Set = ::opte_headers::derive::Open;
    type Key = ::opte_headers::derive::InKey<::opte_headers::derive::part::Vni>;
    const NAME: &'static str = "vni";
    const BIT_OFFSET: usize = 32usize;
}
#[automatically_derived]
impl ::opte_headers::Field for vxlan::Reserved2 {
    type Header = Vxlan;
    type Value = u8;
    type Set = ::opte_headers::derive::Closed;
    type Key = ::opte_headers::derive::NoKey;
    const NAME: &'static str = "reserved2";
    const BIT_OFFSET: usize = 56usize;
}
/// A view of [`Vxlan`] in bytes, checked when it was made.
///
/// VXLAN header (RFC 7348, section 5).
///
/// # Layout
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     flags     |                   reserved1                   |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                      vni                      |   reserved2   |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
pub struct VxlanView<__B: ::opte_headers::bytes::Bytes> {
    fixed: ::opte_headers::bytes::Fixed<__B, { 8usize }>,
}
#[automatically_derived]
#[allow(dead_code, clippy::len_without_is_empty)]
impl<__B: ::opte_headers::bytes::Bytes> VxlanView<__B> {
    /// The header at the start of `bytes`, checked, and what is behind it.
    ///
    /// # Errors
    /// The header is truncated, a constant field has another value, or a length is contradictory.
    #[inline]
    pub fn parse(
        bytes: __B,
    ) -> ::core::result::Result<(Self, __B), ::opte_headers::ParseError> {
        let (fixed, rest) = ::opte_headers::derive::open(bytes, "Vxlan")?;
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
    pub fn to_owned(&self) -> Vxlan {
        Vxlan {
            flags: ::opte_headers::derive::get::<vxlan::Flags>(&*self.fixed),
            reserved1: ::opte_headers::derive::get::<vxlan::Reserved1>(&*self.fixed),
            vni: ::opte_headers::derive::get::<vxlan::Vni>(&*self.fixed),
            reserved2: ::opte_headers::derive::get::<vxlan::Reserved2>(&*self.fixed),
        }
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl<__B: ::opte_headers::bytes::BytesMut> VxlanView<__B> {
    /// The bytes of the fixed part, to be written to.
    #[inline]
    pub fn fixed_mut(&mut self) -> &mut [u8; 8usize] {
        &mut *self.fixed
    }
}
#[automatically_derived]
impl ::core::clone::Clone for VxlanView<&[u8]> {
    fn clone(&self) -> Self {
        *self
    }
}
#[automatically_derived]
impl ::core::marker::Copy for VxlanView<&[u8]> {}
/// The fields of [`Vxlan`], read from the struct or from a view.
#[allow(dead_code)]
pub trait VxlanGet {
    /// Whether there is a VNI, which there must be.
    fn flags(&self) -> VxlanFlags;
    /// The virtual network.
    fn vni(&self) -> Vni;
}
/// The fields of [`Vxlan`], written to the struct or through a view.
#[allow(dead_code)]
pub trait VxlanSet {
    /// Sets `flags`.
    fn set_flags(&mut self, value: VxlanFlags);
    /// Sets `vni`.
    fn set_vni(&mut self, value: Vni);
}
#[automatically_derived]
impl VxlanGet for Vxlan {
    #[inline]
    fn flags(&self) -> VxlanFlags {
        ::opte_headers::derive::copied::<vxlan::Flags>(&self.flags)
    }
    #[inline]
    fn vni(&self) -> Vni {
        ::opte_headers::derive::copied::<vxlan::Vni>(&self.vni)
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> VxlanGet for VxlanView<__B> {
    #[inline]
    fn flags(&self) -> VxlanFlags {
        ::opte_headers::derive::get::<vxlan::Flags>(&*self.fixed)
    }
    #[inline]
    fn vni(&self) -> Vni {
        ::opte_headers::derive::get::<vxlan::Vni>(&*self.fixed)
    }
}
#[automatically_derived]
impl VxlanSet for Vxlan {
    #[inline]
    fn set_flags(&mut self, value: VxlanFlags) {
        self.flags = value;
    }
    #[inline]
    fn set_vni(&mut self, value: Vni) {
        self.vni = value;
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::BytesMut> VxlanSet for VxlanView<__B> {
    #[inline]
    fn set_flags(&mut self, value: VxlanFlags) {
        ::opte_headers::derive::set::<vxlan::Flags>(&mut *self.fixed, value);
    }
    #[inline]
    fn set_vni(&mut self, value: Vni) {
        ::opte_headers::derive::set::<vxlan::Vni>(&mut *self.fixed, value);
    }
}
#[automatically_derived]
impl ::core::fmt::Display for Vxlan {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Vxlan")
            .field(
                "flags",
                ::opte_headers::derive::shown::<vxlan::Flags>(&VxlanGet::flags(self)),
            )
            .field(
                "vni",
                ::opte_headers::derive::shown::<vxlan::Vni>(&VxlanGet::vni(self)),
            )
            .finish()
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> ::core::fmt::Display for VxlanView<__B> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Vxlan")
            .field(
                "flags",
                ::opte_headers::derive::shown::<vxlan::Flags>(&VxlanGet::flags(self)),
            )
            .field(
                "vni",
                ::opte_headers::derive::shown::<vxlan::Vni>(&VxlanGet::vni(self)),
            )
            .finish()
    }
}
#[automatically_derived]
impl<__B: ::opte_headers::bytes::Bytes> ::core::fmt::Debug for VxlanView<__B> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Vxlan")
            .field(
                "flags",
                ::opte_headers::derive::shown::<vxlan::Flags>(&VxlanGet::flags(self)),
            )
            .field(
                "vni",
                ::opte_headers::derive::shown::<vxlan::Vni>(&VxlanGet::vni(self)),
            )
            .finish()
    }
}
#[automatically_derived]
impl ::core::default::Default for Vxlan {
    fn default() -> Self {
        Self {
            flags: VxlanFlags::VNI,
            reserved1: ::opte_headers::derive::zero::<vxlan::Reserved1>(),
            vni: ::opte_headers::derive::zero::<vxlan::Vni>(),
            reserved2: ::opte_headers::derive::zero::<vxlan::Reserved2>(),
        }
    }
}
#[automatically_derived]
impl ::opte_headers::Header for Vxlan {
    const NAME: &'static str = "Vxlan";
    const MIN_LEN: usize = 8usize;
    type View<'__a> = VxlanView<&'__a [u8]>;
    type ViewMut<'__a> = VxlanView<&'__a mut [u8]>;
    type Selector = ::opte_headers::NoSelector;
    #[inline]
    fn parse(
        bytes: &[u8],
    ) -> ::core::result::Result<(Self::View<'_>, &[u8]), ::opte_headers::ParseError> {
        VxlanView::parse(bytes)
    }
    #[inline]
    fn parse_mut(
        bytes: &mut [u8],
    ) -> ::core::result::Result<
        (Self::ViewMut<'_>, &mut [u8]),
        ::opte_headers::ParseError,
    > {
        VxlanView::parse(bytes)
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
        ::opte_headers::derive::put::<vxlan::Flags>(fixed, &self.flags);
        ::opte_headers::derive::put::<vxlan::Reserved1>(fixed, &self.reserved1);
        ::opte_headers::derive::put::<vxlan::Vni>(fixed, &self.vni);
        ::opte_headers::derive::put::<vxlan::Reserved2>(fixed, &self.reserved2);
        ::core::result::Result::Ok(len)
    }
    #[inline]
    fn selector(&self) -> Self::Selector {
        ::opte_headers::NoSelector
    }
    #[inline]
    fn view_selector(_: &Self::View<'_>) -> Self::Selector {
        ::opte_headers::NoSelector
    }
    fn unsupported(_: Self::Selector) -> ::opte_headers::ParseError {
        ::opte_headers::ParseError::unsupported("Vxlan", "", 0)
    }
    #[inline]
    fn select(&mut self, _: Self::Selector) {}
}
#[automatically_derived]
impl ::opte_headers::Follows<Udp> for Vxlan {
    const SELECTOR: ::core::option::Option<<Udp as ::opte_headers::Header>::Selector> = {
        let selector: <Udp as ::opte_headers::Header>::Selector = Vxlan::PORT;
        ::core::option::Option::Some(selector)
    };
}
#[automatically_derived]
impl ::opte_headers::Follows<Vxlan> for Ethernet {
    const SELECTOR: ::core::option::Option<
        <Vxlan as ::opte_headers::Header>::Selector,
    > = ::core::option::Option::None;
}
const _: () = ::opte_headers::derive::without_selector::<Vxlan>();
const _: () = ::opte_headers::derive::assert_bits::<vxlan::Flags>(8usize);
const _: () = ::opte_headers::derive::assert_bits::<vxlan::Vni>(24usize);
