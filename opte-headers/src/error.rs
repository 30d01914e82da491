//! What can be wrong with bytes, and with the room for them.

use core::fmt;

/// Why bytes are not the header they were taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The header, as its type is named: `"Ipv4"`.
    pub header: &'static str,
    /// The field at fault, or an empty string where the header as a whole is.
    pub field: &'static str,
    /// What is wrong with it.
    pub cause: Cause,
}

/// The causes of a [`ParseError`]; a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The bytes end before the header does. Both counts are bytes from the start of what was looked at.
    Truncated {
        /// Bytes the header needs.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// A field has a value that it must not have.
    Illegal {
        /// The value found.
        value: u64,
    },
    /// What follows is not among the headers that may stand there.
    Unsupported {
        /// The value of the field that selects what follows.
        selector: u64,
    },
    /// A length field contradicts the header or the bytes there are.
    BadLength {
        /// Bytes the field claims.
        claimed: usize,
        /// Bytes there could be.
        available: usize,
    },
    /// A checksum does not match what it covers.
    BadChecksum,
    /// A tunnel option must be understood and is not (RFC 8926, section 3.5).
    CriticalOption {
        /// The option's class.
        class: u16,
        /// The option's type, critical bit included.
        ty: u8,
    },
}

impl ParseError {
    /// An error in `field` of `header`.
    pub const fn new(header: &'static str, field: &'static str, cause: Cause) -> Self {
        Self {
            header,
            field,
            cause,
        }
    }

    /// The bytes end before the header does.
    pub const fn truncated(
        header: &'static str,
        field: &'static str,
        needed: usize,
        available: usize,
    ) -> Self {
        Self::new(header, field, Cause::Truncated { needed, available })
    }

    /// A field has a value that it must not have.
    pub const fn illegal(header: &'static str, field: &'static str, value: u64) -> Self {
        Self::new(header, field, Cause::Illegal { value })
    }

    /// A length contradicts the bytes there are.
    pub const fn bad_length(
        header: &'static str,
        field: &'static str,
        claimed: usize,
        available: usize,
    ) -> Self {
        Self::new(header, field, Cause::BadLength { claimed, available })
    }

    /// Nothing known follows under this selector.
    pub const fn unsupported(header: &'static str, field: &'static str, selector: u64) -> Self {
        Self::new(header, field, Cause::Unsupported { selector })
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.header)?;
        if !self.field.is_empty() {
            write!(f, ".{}", self.field)?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => {
                write!(f, "truncated: needs {needed} bytes, there are {available}")
            }
            Self::Illegal { value } => write!(f, "illegal value {value:#x}"),
            Self::Unsupported { selector } => {
                write!(f, "nothing known follows under {selector:#x}")
            }
            Self::BadLength { claimed, available } => {
                write!(
                    f,
                    "bad length: claims {claimed} bytes, there can be {available}"
                )
            }
            Self::BadChecksum => f.write_str("bad checksum"),
            Self::CriticalOption { class, ty } => {
                write!(
                    f,
                    "unknown critical option, class {class:#06x} type {ty:#04x}"
                )
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// Why a header could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// The output is too short.
    NoRoom {
        /// Bytes the header needs.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// A length does not fit the field that has to hold it, or is no multiple of the field's unit.
    Unrepresentable {
        /// The header.
        header: &'static str,
        /// The field.
        field: &'static str,
        /// The length in bytes.
        length: usize,
    },
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom { needed, available } => {
                write!(f, "no room: needs {needed} bytes, there are {available}")
            }
            Self::Unrepresentable {
                header,
                field,
                length,
            } => {
                write!(
                    f,
                    "{header}.{field}: cannot hold a length of {length} bytes"
                )
            }
        }
    }
}

impl core::error::Error for EmitError {}
