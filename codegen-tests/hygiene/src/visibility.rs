//! Headers that are seen from here and there.

/// Modules in modules.
pub mod outer {
    /// The innermost.
    pub mod inner {
        use ::wire::Header;

        /// Seen one module up.
        #[derive(Header)]
        #[header(crate = ::wire)]
        pub(super) struct Near {
            pub(super) port: u16,
        }

        /// Seen in the crate.
        #[derive(Header)]
        #[header(crate = ::wire)]
        pub(crate) struct Far {
            pub(crate) port: u16,
        }

        /// Seen two modules up.
        #[derive(Header)]
        #[header(crate = ::wire)]
        pub(in crate::visibility) struct Named {
            pub(in crate::visibility) port: u16,
        }
    }

    /// Bit of the field in the header that is seen here.
    #[must_use]
    pub const fn near() -> usize {
        <inner::near::Port as ::wire::Field>::BIT_OFFSET + <inner::Near as ::wire::Header>::MIN_LEN
    }
}

/// Bit of the fields in the headers that are seen here.
#[must_use]
pub const fn far() -> usize {
    <outer::inner::far::Port as ::wire::Field>::BIT_OFFSET
        + <outer::inner::named::Port as ::wire::Field>::BIT_OFFSET
        + <outer::inner::Far as ::wire::Header>::MIN_LEN
        + <outer::inner::Named as ::wire::Header>::MIN_LEN
}
