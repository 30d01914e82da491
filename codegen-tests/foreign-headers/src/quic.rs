//! QUIC (RFC 9000).

use arbitrary_int::prelude::*;
use opte_headers::{Header, TailBytes};

/// QUIC long header, up to the destination's connection (RFC 9000, section 17.2; RFC 8999, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
pub struct QuicLong {
    /// Always 1.
    #[header(const = 1)]
    pub form: u1,
    /// 1 in version 1.
    #[header(default = true)]
    pub fixed: bool,
    /// Which packet.
    pub packet_type: u2,
    /// What the type and header protection make of it.
    pub specific: u4,
    /// Version.
    #[header(hex, default = 1)]
    pub version: u32,
    /// Bytes of the connection.
    #[header(length(of = tail))]
    pub connection_len: u8,
    /// The destination's connection.
    #[header(bytes(len = connection_len))]
    pub connection: TailBytes<20>,
}

/// The source's connection, behind [`QuicLong`].
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(QuicLong))]
pub struct QuicSource {
    /// Bytes of the connection.
    #[header(length(of = tail))]
    pub connection_len: u8,
    /// The connection.
    #[header(bytes(len = connection_len))]
    pub connection: TailBytes<20>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9001, appendix A.2: the header of a client's first packet, before it is protected.
    #[test]
    fn client_initial() {
        let bytes = [
            0xc3, 0x00, 0x00, 0x00, 0x01, 0x08, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08,
            0x00, 0x00, 0x44, 0x9e, 0x00, 0x00, 0x00, 0x02,
        ];
        let (view, rest) = QuicLong::parse(&bytes).unwrap();
        assert_eq!((view.packet_type(), view.version()), (u2::new(0), 1));
        assert_eq!(
            view.connection(),
            [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]
        );
        let (source, rest) = QuicSource::parse(rest).unwrap();
        assert!(source.connection().is_empty());
        assert_eq!(rest, [0x00, 0x44, 0x9e, 0x00, 0x00, 0x00, 0x02]);
    }

    #[test]
    fn connections_of_later_versions() {
        let mut bytes = [0xff; 280];
        bytes[5] = 21;
        let (view, _) = QuicLong::parse(&bytes).unwrap();
        assert_eq!(view.connection().len(), 21);
        // The struct holds those of version 1.
        assert!(view.to_owned().is_err());
        assert_eq!(TailBytes::<20>::new(&[0; 21]), None);
    }
}
