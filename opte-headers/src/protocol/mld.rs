//! Multicast Listener Discovery for IPv6: version 1 (RFC 2710) and version 2 (RFC 3810), messages of ICMPv6.

use crate::bytes::Bytes;
use crate::protocol::{GroupRecordType, Ipv6, Ipv6HopByHop};
use crate::tail::Items;
use crate::{Header, IpProtocol, ParseError, TailBytes};
use arbitrary_int::prelude::*;
use core::net::Ipv6Addr;

/// MLD message of version 1, and the start of a query of version 2 (RFC 2710, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6HopByHop = IpProtocol::ICMPV6, Ipv6 = IpProtocol::ICMPV6), len = 24)]
pub struct Mld {
    /// 130: query, 131: report, 132: done.
    #[header(default = Mld::QUERY)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Milliseconds within which listeners answer a query; a code in version 2 (RFC 3810, section 5.1.3).
    pub max_response_delay: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved: u16,
    /// The group; unspecified in a general query.
    pub group: Ipv6Addr,
}

impl Mld {
    /// Type of a query.
    pub const QUERY: u8 = 130;
    /// Type of a report of version 1.
    pub const REPORT: u8 = 131;
    /// Type of a done.
    pub const DONE: u8 = 132;
}

/// Listener query of version 2 (RFC 3810, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6HopByHop = IpProtocol::ICMPV6, Ipv6 = IpProtocol::ICMPV6), len = 28)]
pub struct MldQuery {
    /// Always 130.
    #[header(const = 130)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Milliseconds within which listeners answer, from 32,768 on as a floating-point code (RFC 3810, section 5.1.3).
    pub max_response_code: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u16,
    /// The group; unspecified in a general query.
    pub group: Ipv6Addr,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u4,
    /// Routers that hear this do not restart their timers.
    pub suppress: bool,
    /// The querier's robustness variable.
    pub robustness: u3,
    /// Seconds between queries, as a code.
    pub query_interval_code: u8,
    /// How many sources follow.
    #[header(length(of = tail, unit = 16))]
    pub source_count: u16,
    /// The sources that are asked for; none in a query for a whole group.
    #[header(bytes(len = source_count * 16))]
    pub sources: Items<Ipv6Addr, 1424>,
}

/// Listener report of version 2 (RFC 3810, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6HopByHop = IpProtocol::ICMPV6, Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct MldReport {
    /// Always 143.
    #[header(const = 143)]
    pub ty: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u16,
    /// How many records follow.
    pub record_count: u16,
    /// The records, which [`MldReportView::records`] gives one by one.
    #[header(bytes(rest))]
    pub body: TailBytes<1444>,
}

impl<B: Bytes> MldReportView<B> {
    /// The records, as many as are told. Ends behind one that is cut off.
    pub fn records(
        &self,
    ) -> impl Iterator<Item = Result<MldRecordView<&[u8]>, ParseError>> + use<'_, B> {
        let mut rest = self.tail();
        let mut left = self.record_count();
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            Some(match MldRecord::parse(rest) {
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

/// What a report says of a group (RFC 3810, section 5.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(len = 20)]
pub struct MldRecord {
    /// What has changed, or stands.
    #[header(bits = 8)]
    pub ty: GroupRecordType,
    /// Units of four bytes behind the sources; zero as sent.
    pub auxiliary_len: u8,
    /// How many sources there are.
    pub source_count: u16,
    /// The group.
    pub group: Ipv6Addr,
    /// The sources, and behind them what [`MldRecord::auxiliary_len`] counts.
    #[header(bytes(len = source_count * 16 + auxiliary_len * 4))]
    pub sources: Items<Ipv6Addr, 1424>,
}

impl MldRecord {
    /// A record of these sources; none if there are too many for a packet.
    pub fn new(ty: GroupRecordType, group: Ipv6Addr, sources: &[Ipv6Addr]) -> Option<Self> {
        Some(Self {
            ty,
            source_count: u16::try_from(sources.len()).ok()?,
            group,
            sources: Items::of(sources)?,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::checksum::pseudo_v6;
    use std::vec::Vec;

    /// As a Linux host joins the group of a solicited-node address, from `::` to `ff02::16`.
    const REPORT: [u8; 28] = [
        0x8f, 0x00, 0x26, 0x98, 0, 0, 0, 1, 0x04, 0, 0, 0, 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x01, 0xff, 0x3e, 0x48, 0xb4,
    ];

    #[test]
    fn report_of_version_2() {
        let (view, rest) = MldReport::parse(&REPORT).unwrap();
        assert!(rest.is_empty());
        let records: Vec<_> = view.records().collect::<Result<_, _>>().unwrap();
        let group = "ff02::1:ff3e:48b4".parse().unwrap();
        let record = MldRecord::new(GroupRecordType::CHANGE_TO_EXCLUDE, group, &[]).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].to_owned().unwrap(), record);
        let to = "ff02::16".parse().unwrap();
        let sum = pseudo_v6(Ipv6Addr::UNSPECIFIED, to, 58, 28).with(&REPORT);
        assert_eq!(sum.checksum(), 0);
        let mut out = [0; 28];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(28));
        assert_eq!(out, REPORT);
    }

    #[test]
    fn records_that_are_cut_off() {
        let mut bytes = REPORT;
        bytes[7] = 2;
        let (view, _) = MldReport::parse(&bytes).unwrap();
        assert!(
            view.records()
                .map(|record| record.is_ok())
                .eq([true, false])
        );
        bytes[11] = 1;
        let (view, _) = MldReport::parse(&bytes).unwrap();
        assert!(view.records().map(|record| record.is_ok()).eq([false]));
    }

    #[test]
    fn queries_of_both_versions() {
        let sources = [Ipv6Addr::LOCALHOST];
        let query = MldQuery {
            max_response_code: 10_000,
            robustness: u3::new(2),
            query_interval_code: 125,
            sources: Items::of(&sources).unwrap(),
            ..MldQuery::default()
        };
        let mut out = [0; 44];
        assert_eq!(query.emit(&mut out), Ok(44));
        assert_eq!(out[24..28], [0x02, 125, 0, 1]);
        let (view, _) = MldQuery::parse(&out).unwrap();
        assert!(view.sources().iter().eq(sources));
        let (view, rest) = Mld::parse(&out).unwrap();
        assert_eq!((view.ty(), view.max_response_delay()), (Mld::QUERY, 10_000));
        assert_eq!((view.group(), rest.len()), (Ipv6Addr::UNSPECIFIED, 20));
    }
}
