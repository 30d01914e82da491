//! Internet Group Management Protocol: version 2 (RFC 2236) and version 3 (RFC 3376).

use crate::bytes::Bytes;
use crate::protocol::Ipv4;
use crate::tail::Items;
use crate::{Header, IpProtocol, ParseError, TailBytes, field_value};
use arbitrary_int::prelude::*;
use core::net::Ipv4Addr;

/// IGMP message of version 2, and the start of every other (RFC 2236, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::IGMP), len = 8)]
pub struct Igmp {
    /// What the message is.
    #[header(bits = 8)]
    pub ty: IgmpType,
    /// Tenths of a second within which members answer a query; a code in version 3 (RFC 3376, section 4.1.1).
    pub max_response_time: u8,
    /// Of the whole message.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// The group; unspecified in a general query.
    pub group: Ipv4Addr,
}

/// Membership query of version 3 (RFC 3376, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::IGMP), len = 12)]
pub struct IgmpQuery {
    /// 0x11.
    #[header(const = 0x11)]
    pub ty: u8,
    /// Tenths of a second within which members answer, from 128 on as a floating-point code (RFC 3376, section 4.1.1).
    pub max_response_code: u8,
    /// Of the whole message.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// The group; unspecified in a general query.
    pub group: Ipv4Addr,
    /// Zero.
    #[header(reserved)]
    pub reserved: u4,
    /// Routers that hear this do not restart their timers.
    pub suppress: bool,
    /// The querier's robustness variable.
    pub robustness: u3,
    /// Seconds between queries, as a code.
    pub query_interval_code: u8,
    /// How many sources follow.
    #[header(length(of = tail, unit = 4))]
    pub source_count: u16,
    /// The sources that are asked for; none in a query for a whole group.
    #[header(bytes(len = source_count * 4))]
    pub sources: Items<Ipv4Addr, 1468>,
}

/// Membership report of version 3 (RFC 3376, section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::IGMP), len = 8)]
pub struct IgmpReport {
    /// 0x22.
    #[header(const = 0x22)]
    pub ty: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u8,
    /// Of the whole message.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u16,
    /// How many records follow.
    pub record_count: u16,
    /// The records, which [`IgmpReportView::records`] gives one by one.
    #[header(bytes(rest))]
    pub body: TailBytes<1472>,
}

impl<B: Bytes> IgmpReportView<B> {
    /// The records, as many as are told. Ends behind one that is cut off.
    pub fn records(
        &self,
    ) -> impl Iterator<Item = Result<IgmpRecordView<&[u8]>, ParseError>> + use<'_, B> {
        let mut rest = self.tail();
        let mut left = self.record_count();
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            Some(match IgmpRecord::parse(rest) {
                Ok((record, behind)) => {
                    rest = behind;
                    Ok(record)
                }
                Err(error) => {
                    left = 0;
                    Err(error)
                }
            })
        })
    }
}

/// What a report says of a group (RFC 3376, section 4.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(len = 8)]
pub struct IgmpRecord {
    /// What has changed, or stands.
    #[header(bits = 8)]
    pub ty: GroupRecordType,
    /// Units of four bytes behind the sources; zero as sent.
    pub auxiliary_len: u8,
    /// How many sources there are.
    pub source_count: u16,
    /// The group.
    pub group: Ipv4Addr,
    /// The sources, and behind them what [`IgmpRecord::auxiliary_len`] counts.
    #[header(bytes(len = source_count * 4 + auxiliary_len * 4))]
    pub sources: Items<Ipv4Addr, 1460>,
}

impl IgmpRecord {
    /// A record of these sources; none if there are too many for a packet.
    ///
    /// ```
    /// use core::net::Ipv4Addr;
    /// use opte_headers::{GroupRecordType, Header, IgmpRecord};
    /// let group = Ipv4Addr::new(232, 1, 2, 3);
    /// let record = IgmpRecord::new(GroupRecordType::ALLOW_NEW_SOURCES, group, &[Ipv4Addr::new(10, 0, 0, 1)]).unwrap();
    /// assert_eq!((record.len(), record.source_count), (12, 1));
    /// ```
    pub fn new(ty: GroupRecordType, group: Ipv4Addr, sources: &[Ipv4Addr]) -> Option<Self> {
        Some(Self {
            ty,
            source_count: u16::try_from(sources.len()).ok()?,
            group,
            sources: Items::of(sources)?,
            ..Self::default()
        })
    }
}

/// IGMP type (RFC 3376, section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IgmpType(pub u8);

impl IgmpType {
    /// Membership query, of every version.
    pub const QUERY: Self = Self(0x11);
    /// Membership report of version 1.
    pub const REPORT_V1: Self = Self(0x12);
    /// Membership report of version 2.
    pub const REPORT_V2: Self = Self(0x16);
    /// The sender leaves a group.
    pub const LEAVE: Self = Self(0x17);
    /// Membership report of version 3.
    pub const REPORT_V3: Self = Self(0x22);
}

field_value!(IgmpType as u8: IgmpType, |ty: &IgmpType| ty.0);

/// What a group record says (RFC 3376, section 4.2.12; RFC 3810, section 5.2.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupRecordType(pub u8);

impl GroupRecordType {
    /// The sender listens to these sources.
    pub const MODE_IS_INCLUDE: Self = Self(1);
    /// The sender listens to all but these sources.
    pub const MODE_IS_EXCLUDE: Self = Self(2);
    /// From now on the sender listens to these sources.
    pub const CHANGE_TO_INCLUDE: Self = Self(3);
    /// From now on the sender listens to all but these sources.
    pub const CHANGE_TO_EXCLUDE: Self = Self(4);
    /// The sender listens to these sources too.
    pub const ALLOW_NEW_SOURCES: Self = Self(5);
    /// The sender listens to these sources no more.
    pub const BLOCK_OLD_SOURCES: Self = Self(6);
}

field_value!(GroupRecordType as u8: GroupRecordType, |ty: &GroupRecordType| ty.0);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::checksum::Sum;
    use std::vec::Vec;

    const MDNS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

    #[test]
    fn report_of_version_2() {
        let bytes = [0x16, 0x00, 0x09, 0x04, 0xe0, 0x00, 0x00, 0xfb];
        let (view, rest) = Igmp::parse(&bytes).unwrap();
        assert_eq!(
            (view.ty(), view.group(), rest.len()),
            (IgmpType::REPORT_V2, MDNS, 0)
        );
        assert_eq!(Sum::of(&bytes).checksum(), 0);
    }

    #[test]
    fn general_query_of_version_3() {
        let bytes = [0x11, 0x64, 0xec, 0x1e, 0, 0, 0, 0, 0x02, 0x7d, 0, 0];
        let (view, _) = IgmpQuery::parse(&bytes).unwrap();
        assert_eq!((view.robustness().value(), view.suppress()), (2, false));
        assert_eq!(
            (view.query_interval_code(), view.sources().iter().count()),
            (125, 0)
        );
        assert_eq!(Sum::of(&bytes).checksum(), 0);
    }

    #[test]
    fn query_for_sources() {
        let sources = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        let query = IgmpQuery {
            group: MDNS,
            sources: Items::of(&sources).unwrap(),
            ..IgmpQuery::default()
        };
        let mut out = [0; 20];
        assert_eq!(query.emit(&mut out), Ok(20));
        assert_eq!(out[10..16], [0, 2, 10, 0, 0, 1]);
        let (view, _) = IgmpQuery::parse(&out).unwrap();
        assert!(view.sources().iter().eq(sources));
        assert!(IgmpQuery::parse(&out[..19]).is_err());
    }

    #[test]
    fn report_of_version_3() {
        let bytes = [
            0x22, 0x00, 0xf9, 0x02, 0, 0, 0, 1, 0x04, 0, 0, 0, 0xe0, 0, 0, 0xfb,
        ];
        let (view, _) = IgmpReport::parse(&bytes).unwrap();
        assert_eq!(Sum::of(&bytes).checksum(), 0);
        let records: Vec<_> = view.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].ty(), records[0].group()),
            (GroupRecordType::CHANGE_TO_EXCLUDE, MDNS)
        );
    }

    #[test]
    fn more_records_told_than_there_are() {
        let mut bytes = [
            0x22, 0x00, 0xf9, 0x02, 0, 0, 0xff, 0xff, 0x04, 0, 0, 0, 0xe0, 0, 0, 0xfb,
        ];
        let good = |bytes: &[u8]| {
            let (view, _) = IgmpReport::parse(bytes).unwrap();
            let records: Vec<_> = view.records().map(|record| record.is_ok()).collect();
            records
        };
        assert_eq!(good(&bytes), [true, false]);
        bytes[11] = 9;
        assert_eq!(good(&bytes), [false]);
    }
}
