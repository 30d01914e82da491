//! Headers inside functions and modules.

use ::core::option::Option;

/// Reads a port by a header of its own.
pub fn port(bytes: &[u8]) -> Option<u16> {
    #[derive(::wire::Header)]
    #[header(crate = ::wire)]
    struct Local {
        kind: u8,
        #[header(le)]
        port: u16,
    }
    let (view, _) = <Local as ::wire::Header>::parse(bytes).ok()?;
    let port = view.port();
    Option::Some(if view.kind() == 0 { 0 } else { port })
}

/// Reads another by a header of the same name.
pub fn other_port(bytes: &[u8]) -> Option<u16> {
    mod inner {
        #[derive(::wire::Header)]
        #[header(crate = ::wire)]
        pub(super) struct Local {
            pub(super) port: u16,
        }
    }
    use inner::LocalGet;
    let (view, _) = <inner::Local as ::wire::Header>::parse(bytes).ok()?;
    Option::Some(view.port())
}
