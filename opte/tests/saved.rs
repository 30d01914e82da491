//! Saving a port and restoring it elsewhere.

mod net;

use std::collections::BTreeSet;
use std::time::Duration;

use net::{Bench, FAR, GUEST, PUBLIC, Shape, tcp_frame, tunnelled, udp_frame};
use opte::Direction::{In, Out};
use opte::action::{Action, Context};
use opte::api::Page;
use opte::port::saved::{PAGE_HEADER, page_len};
use opte::port::{PortError, PortState, RestoreError, Restored, Verdict};
use opte::predicate::Predicate;
use opte::provider::SeededRandom;
use opte::rule::Rule;
use opte::time::Moment;
use opte_headers::frame::parse_guest;
use opte_headers::{IpProtocol, TcpFlags};
use proptest::prelude::*;

/// All pages of a port that is paused.
fn pages_of(bench: &Bench, limit: usize) -> Vec<Vec<u8>> {
    let (mut pages, mut cursor) = (Vec::new(), Some(0));
    while let Some(from) = cursor {
        let page = bench.port.save(bench.now, from, limit).unwrap();
        assert_eq!(page_len(&page.bytes), Ok(page.bytes.len()));
        pages.push(page.bytes);
        cursor = page.next;
    }
    pages
}

fn restore(bench: &Bench, pages: &[Vec<u8>]) -> Result<Restored, RestoreError> {
    let mut last = Restored::default();
    for page in pages {
        assert!(!last.complete);
        last = bench.port.restore(bench.now, page)?;
    }
    Ok(last)
}

/// A port of the same kind that has not been started.
fn fresh() -> Bench {
    let bench = Bench::of(shape());
    bench.port.reset();
    assert_eq!(bench.port.state(), PortState::Ready);
    bench
}

fn shape() -> Shape {
    Shape {
        flows: 200,
        ..Shape::default()
    }
}

/// What is told of the flows of a port, in no order.
fn dumps(bench: &Bench) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let uft = bench.port.dump_uft(Page::FIRST);
    assert_eq!(uft.next, None);
    all.extend(uft.flows.iter().map(|flow| format!("{flow:?}")));
    let tcp = bench.port.dump_tcp_flows(Page::FIRST);
    all.extend(tcp.flows.iter().map(|flow| format!("{flow:?}")));
    for layer in ["firewall", "nat", "overlay"] {
        let dump = bench.port.dump_layer(layer, Page::FIRST).unwrap();
        all.extend(dump.flows.iter().map(|flow| format!("{layer} {flow:?}")));
    }
    all
}

fn ports_leased(bench: &Bench) -> u32 {
    let pools = bench.share.pools();
    pools.iter().map(|(_, pool)| pool.usage().leased).sum()
}

fn ports_resting(bench: &Bench) -> u32 {
    let pools = bench.share.pools();
    pools.iter().map(|(_, pool)| pool.usage().resting).sum()
}

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;

fn syn_ack() -> TcpFlags {
    SYN | ACK
}

/// A connection of the guest from this port, opened; the external port.
fn connect(bench: &Bench, port: u16) -> u16 {
    let key = bench.out(&tcp_frame((GUEST, port), (FAR, 80), SYN, 100, 0, &[]));
    let public = (PUBLIC, key.source_port);
    bench.inward(&tcp_frame((FAR, 80), public, syn_ack(), 900, 101, &[]));
    bench.out(&tcp_frame((GUEST, port), (FAR, 80), ACK, 101, 901, &[]));
    key.source_port
}

/// A port with flows of every kind: UDP one way and both ways, a connection that is open and one that is half open, one from outside.
fn busy() -> (Bench, u16, u16) {
    let bench = Bench::of(shape());
    bench.out(&udp_frame((GUEST, 6000), (FAR, 53), b"one way"));
    let both = bench.out(&udp_frame((GUEST, 6001), (FAR, 53), b"both"));
    bench.inward(&udp_frame((FAR, 53), (PUBLIC, both.source_port), b"ways"));
    let open = connect(&bench, 7000);
    bench.out(&tcp_frame((GUEST, 7001), (FAR, 80), SYN, 5, 0, &[]));
    bench.allow_in(IpProtocol::UDP, 9);
    bench.inward(&udp_frame((FAR, 1), (GUEST, 9), b"from outside"));
    (bench, both.source_port, open)
}

#[test]
fn what_is_restored_is_what_was_saved() {
    let (bench, udp, tcp) = busy();
    let before = dumps(&bench);
    bench.port.pause().unwrap();
    for limit in [0, 1 << 12, usize::MAX] {
        let pages = pages_of(&bench, limit);
        assert!(pages.len() >= 3);
        let other = fresh();
        other.allow_in(IpProtocol::UDP, 9);
        let restored = restore(&other, &pages).unwrap();
        let expected = Restored {
            flows: 5,
            refused: 0,
            complete: true,
        };
        assert_eq!(restored, expected, "pages of {limit}");
        assert_eq!(other.port.state(), PortState::Restored);
        assert_eq!(dumps(&other), before);
        assert_eq!(ports_leased(&other), ports_leased(&bench));
        let (was, is) = (bench.port.counters(), other.port.counters());
        assert_eq!(
            (is.flows, is.tcp_connections, is.programs),
            (was.flows, was.tcp_connections, was.programs)
        );
        // What was restored can be saved again.
        other.port.start();
        other.port.pause().unwrap();
        assert_eq!(pages_of(&other, limit), pages);
        other.port.start();
        // The flows go on: with the same external ports, and none of their packets walks the layers.
        let external = other.out(&udp_frame((GUEST, 6001), (FAR, 53), b"more"));
        assert_eq!(external.source_port, udp);
        other.inward(&udp_frame((FAR, 53), (PUBLIC, udp), b"answer"));
        other.out(&tcp_frame((GUEST, 7000), (FAR, 80), ACK, 101, 901, b"data"));
        other.inward(&tcp_frame((FAR, 80), (PUBLIC, tcp), ACK, 901, 105, b"data"));
        other.inward(&udp_frame((FAR, 1), (GUEST, 9), b"again"));
        let traffic = other.port.counters().traffic;
        assert_eq!(
            (traffic.outbound.uft_hit, traffic.outbound.uft_miss),
            (2, 0)
        );
        assert_eq!((traffic.inbound.uft_hit, traffic.inbound.uft_miss), (3, 0));
        // The connection is tracked as before: what is out of its window does not pass.
        let stray = tcp_frame((FAR, 80), (PUBLIC, tcp), TcpFlags::RST, 5_000_000, 0, &[]);
        assert!(matches!(
            other.send(In, &tunnelled(&stray)).verdict,
            Verdict::Drop(_)
        ));
    }
}

/// Ports that rest go on resting for as long as they had left, and no longer.
#[test]
fn resting_ports_rest_on() {
    let mut bench = Bench::of(shape());
    for port in 1..=20 {
        bench.out(&udp_frame((GUEST, port), (FAR, 53), b"ask"));
    }
    bench.wait(Duration::from_secs(121));
    while bench.port.expire(bench.now, 100).more {}
    // Laid to rest when the next port is asked for.
    bench.out(&udp_frame((GUEST, 30), (FAR, 53), b"ask"));
    bench.wait(Duration::from_secs(50));
    bench.port.pause().unwrap();
    assert_eq!((ports_leased(&bench), ports_resting(&bench)), (1, 20));
    for limit in [0, 200, usize::MAX] {
        let pages = pages_of(&bench, limit);
        let mut other = fresh();
        restore(&other, &pages).unwrap();
        assert_eq!((ports_leased(&other), ports_resting(&other)), (1, 20));
        // A page that is missing, and nothing is changed.
        let none = fresh();
        let (_, cut) = pages.split_last().unwrap();
        restore(&none, cut).unwrap();
        assert!(none.port.restore(none.now, b"no page").is_err());
        assert_eq!((ports_leased(&none), ports_resting(&none)), (0, 0));
        other.port.start();
        other.wait(Duration::from_secs(69));
        other.out(&udp_frame((GUEST, 31), (FAR, 53), b"ask"));
        assert_eq!(ports_resting(&other), 20);
        other.wait(Duration::from_secs(1));
        other.out(&udp_frame((GUEST, 32), (FAR, 53), b"ask"));
        assert_eq!(ports_resting(&other), 0);
    }
}

/// What rules have counted goes to the rules that read the same, whatever their numbers.
#[test]
fn rules_go_on_counting() {
    let hits = |bench: &Bench| {
        let mut rules = Vec::new();
        for layer in ["firewall", "nat", "overlay"] {
            let dump = bench.port.dump_layer(layer, Page::FIRST).unwrap();
            rules.push((dump.default_in.action, dump.default_in.hits));
            rules.push((dump.default_out.action, dump.default_out.hits));
            for rule in dump.rules {
                rules.push((
                    format!("{} {:?}", rule.priority, rule.predicates),
                    rule.hits,
                ));
            }
        }
        rules.sort();
        rules
    };
    let (bench, ..) = busy();
    bench.allow_in(IpProtocol::TCP, 1);
    let before = hits(&bench);
    assert!(before.iter().map(|(_, hits)| hits).sum::<u64>() > 10);
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, 300);
    let other = fresh();
    // Rules that came and went have taken numbers.
    let gone = other.allow_in(IpProtocol::UDP, 1234);
    other.allow_in(IpProtocol::TCP, 1);
    other.port.remove_rule("firewall", In, gone).unwrap();
    other.allow_in(IpProtocol::UDP, 9);
    restore(&other, &pages).unwrap();
    assert_eq!(hits(&other), before);
    // A rule that is not there any more takes its count along.
    let less = fresh();
    restore(&less, &pages).unwrap();
    assert!(hits(&less).len() + 2 == before.len());
}

#[test]
fn timers_go_on_where_they_were() {
    let mut bench = Bench::of(shape());
    bench.out(&udp_frame((GUEST, 6000), (FAR, 53), b"x"));
    bench.wait(Duration::from_secs(80));
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, usize::MAX);
    let mut other = fresh();
    // Another host, another clock.
    other.now = Moment::from_secs(5);
    assert_eq!(restore(&other, &pages).unwrap().flows, 1);
    other.port.start();
    other.wait(Duration::from_secs(39));
    assert_eq!(other.port.expire(other.now, 100).flows, 0);
    other.wait(Duration::from_secs(3));
    assert_eq!(other.port.expire(other.now, 100).flows, 1);
    // Its port has gone back to the pool, once.
    assert_eq!((ports_leased(&other), ports_resting(&other)), (0, 1));
}

#[test]
fn flows_without_a_rule_do_not_come_back() {
    let (bench, ..) = busy();
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, usize::MAX);
    // The one from outside is not let in there.
    let other = fresh();
    let restored = restore(&other, &pages).unwrap();
    assert_eq!((restored.flows, restored.refused), (4, 1));
    // A rule that denies what goes to port 53.
    let other = fresh();
    let deny = Rule::new(1, [Predicate::DestinationPort(53..=53)], Action::Deny);
    other.port.add_rule("firewall", Out, deny).unwrap();
    let restored = restore(&other, &pages).unwrap();
    assert_eq!((restored.flows, restored.refused), (2, 3));
    assert_eq!(ports_leased(&other), 2);
}

#[test]
fn flows_whose_external_port_is_in_use_do_not_come_back() {
    let shape = || Shape {
        ports: 4096..=4096,
        ..Shape::default()
    };
    let bench = Bench::of(shape());
    bench.out(&udp_frame((GUEST, 6000), (FAR, 53), b"x"));
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, usize::MAX);
    // The only port is that of another endpoint.
    let other = Bench::of(shape());
    other.port.reset();
    let key = parse_guest(&udp_frame((net::GATEWAY, 1), (FAR, 9), b""))
        .unwrap()
        .key;
    let random = SeededRandom::new(1);
    let context = Context::new(other.now, &random);
    let lease = other.share.lease(&key, context).unwrap();
    let restored = restore(&other, &pages).unwrap();
    assert_eq!((restored.flows, restored.refused), (0, 1));
    drop(lease);
}

#[test]
fn rules_may_change_before_the_port_is_started() {
    let (bench, ..) = busy();
    bench.port.pause().unwrap();
    let other = fresh();
    other.allow_in(IpProtocol::UDP, 9);
    restore(&other, &pages_of(&bench, usize::MAX)).unwrap();
    let deny = Rule::new(1, [Predicate::DestinationPort(53..=53)], Action::Deny);
    other.port.add_rule("firewall", Out, deny).unwrap();
    other.port.start();
    let denied = other.send(Out, &udp_frame((GUEST, 6001), (FAR, 53), b"x"));
    assert!(matches!(denied.verdict, Verdict::Drop(_)));
    other.out(&tcp_frame((GUEST, 7000), (FAR, 80), ACK, 101, 901, b"x"));
}

#[test]
fn only_a_paused_port_is_saved() {
    let bench = Bench::new();
    let saved = bench.port.save(bench.now, 0, 1 << 16);
    assert_eq!(saved, Err(PortError::BadState(PortState::Running)));
    bench.port.pause().unwrap();
    let first = bench.port.save(bench.now, 0, 1 << 16).unwrap();
    bench.port.start();
    bench.port.pause().unwrap();
    let second = bench.port.save(bench.now, first.next.unwrap(), 1 << 16);
    assert_eq!(second, Err(PortError::Stale), "packets may have passed");
}

#[test]
fn only_a_port_that_is_ready_and_empty_is_restored() {
    let (bench, ..) = busy();
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, usize::MAX);
    let running = Bench::new();
    assert_eq!(
        restore(&running, &pages),
        Err(RestoreError::BadState(PortState::Running))
    );
    let twice = fresh();
    restore(&twice, &pages).unwrap();
    assert_eq!(
        restore(&twice, &pages),
        Err(RestoreError::BadState(PortState::Restored))
    );
    // A port that is started in the middle has none of the flows.
    let halfway = fresh();
    restore(&halfway, &pages[..2]).unwrap();
    assert!(halfway.port.counters().flows > 0);
    halfway.port.start();
    assert_eq!(
        (halfway.port.counters().flows, ports_leased(&halfway)),
        (0, 0)
    );
    // Smaller than what was saved.
    let small = Bench::of(Shape {
        flows: 4,
        ..Shape::default()
    });
    small.port.reset();
    assert_eq!(
        restore(&small, &pages),
        Err(RestoreError::TooManyFlows { limit: 4, found: 5 })
    );
}

#[test]
fn pages_come_whole_and_in_order() {
    let (bench, ..) = busy();
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, 0);
    let missing = fresh();
    restore(&missing, &pages[..2]).unwrap();
    assert_eq!(
        missing.port.restore(missing.now, &pages[3]),
        Err(RestoreError::Page {
            expected: 2,
            found: 3
        })
    );
    unchanged(&missing);
    // After an error it begins anew, with the first page.
    assert!(restore(&missing, &pages).unwrap().complete);
    let cut = fresh();
    for len in 0..pages[1].len() {
        restore(&cut, &pages[..1]).unwrap();
        let error = cut.port.restore(cut.now, &pages[1][..len]).unwrap_err();
        assert!(
            matches!(error, RestoreError::Truncated { available, .. } if available == len),
            "{error}"
        );
    }
    let mut longer = pages[1].clone();
    longer.push(0);
    restore(&cut, &pages[..1]).unwrap();
    assert_eq!(
        cut.port.restore(cut.now, &longer),
        Err(RestoreError::Corrupt { page: 1 })
    );
    unchanged(&cut);
    // The end comes too early.
    let mut early = pages.clone();
    early.remove(1);
    assert!(restore(&cut, &early).is_err());
    unchanged(&cut);
}

/// The port is as if nothing had been tried.
fn unchanged(bench: &Bench) {
    let counters = bench.port.counters();
    assert_eq!(
        (counters.flows, counters.tcp_connections, counters.programs),
        (0, 0, 0)
    );
    assert_eq!((ports_leased(bench), ports_resting(bench)), (0, 0));
    assert_eq!(bench.port.state(), PortState::Ready);
}

#[test]
fn a_changed_bit_is_found() {
    let (bench, ..) = busy();
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, usize::MAX);
    let other = fresh();
    for page in 0..pages.len() {
        for at in 0..pages[page].len() {
            let mut changed = pages.clone();
            changed[page][at] ^= 1 << (at % 8);
            let error = restore(&other, &changed).unwrap_err();
            let expected = match at {
                0..8 => matches!(error, RestoreError::NotSaved),
                8..12 => matches!(error, RestoreError::Version { supported: 3, .. }),
                12..16 => matches!(
                    error,
                    RestoreError::Page { .. } | RestoreError::Corrupt { .. }
                ),
                _ => matches!(
                    error,
                    RestoreError::Corrupt { .. } | RestoreError::Truncated { .. }
                ),
            };
            assert!(expected, "page {page}, byte {at}: {error}");
            unchanged(&other);
        }
    }
    assert!(PAGE_HEADER < pages[0].len());
}

#[test]
fn what_another_port_saved_is_refused() {
    let (bench, ..) = busy();
    bench.port.pause().unwrap();
    let pages = pages_of(&bench, usize::MAX);
    let other = Bench::of(Shape {
        builder: |builder| {
            let extra = opte::Layer::new(
                "meter",
                opte::rule::DefaultAction::Allow,
                opte::rule::DefaultAction::Allow,
            );
            builder.layer(extra, opte::port::Position::Last).unwrap()
        },
        ..shape()
    });
    other.port.reset();
    let error = restore(&other, &pages).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the state is of a port with layers firewall, nat, overlay, this one has firewall, nat, overlay, meter"
    );
    unchanged(&other);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever has happened to the port before.
    #[test]
    fn saved_and_restored_is_the_identity(
        events in prop::collection::vec((0u8..5, 1u16..6, 0u8..32, 0u64..90), 0..60),
        limit in 0usize..4096,
    ) {
        let mut bench = Bench::of(shape());
        bench.allow_in(IpProtocol::TCP, 22);
        for (kind, port, bits, seconds) in events {
            let flags = TcpFlags::from_bits_retain(bits);
            let _ = match kind {
                0 => bench.send(Out, &udp_frame((GUEST, port), (FAR, 53), b"q")),
                1 => bench.send(Out, &tcp_frame((GUEST, port), (FAR, 80), flags, 100, 100, b"x")),
                2 => bench.send(In, &tunnelled(&tcp_frame((FAR, port), (GUEST, 22), flags, 7, 7, &[]))),
                3 => bench.send(In, &tunnelled(&udp_frame((FAR, 53), (PUBLIC, 4096 + port), b"a"))),
                _ => {
                    bench.wait(Duration::from_secs(seconds));
                    bench.port.expire(bench.now, 100);
                    continue;
                }
            };
        }
        bench.port.pause().unwrap();
        let pages = pages_of(&bench, limit);
        let mut other = fresh();
        other.now = bench.now;
        other.allow_in(IpProtocol::TCP, 22);
        let restored = restore(&other, &pages).unwrap();
        prop_assert_eq!(restored.refused, 0);
        // A flow whose time is over stays until it is looked at; it is not saved, only counted on the first page.
        let over = bench.port.counters().flows - restored.flows;
        if over == 0 {
            prop_assert_eq!(dumps(&other), dumps(&bench));
            prop_assert_eq!(ports_leased(&other), ports_leased(&bench));
        }
        other.port.start();
        other.port.pause().unwrap();
        let (again, first) = (pages_of(&other, limit), usize::from(over != 0));
        prop_assert_eq!(&again[first..], &pages[first..]);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), plausible in any::<bool>()) {
        let other = fresh();
        let mut page = bytes;
        if plausible {
            page.splice(..0, *b"OPTESAVE\x02\0\0\0\0\0\0\0");
            page.resize(page.len().max(PAGE_HEADER), 0);
            seal(&mut page);
        }
        prop_assert!(other.port.restore(other.now, &page).is_err());
        unchanged(&other);
    }
}

/// The sum of a page, as the format has it.
fn seal(page: &mut [u8]) {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let all = |sum: u64, bytes: &[u8]| {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let words = words.iter().chain([&last]);
        words.fold(sum, |sum, word| {
            (sum ^ u64::from_le_bytes(*word))
                .wrapping_mul(FACTOR)
                .rotate_left(29)
        })
    };
    page[PAGE_HEADER - 8..PAGE_HEADER].fill(0);
    let len = (page.len() - PAGE_HEADER) as u32;
    page[PAGE_HEADER - 12..PAGE_HEADER - 8].copy_from_slice(&len.to_le_bytes());
    let (header, body) = page.split_at(PAGE_HEADER);
    let sum = all(all(FACTOR, header), body);
    page[PAGE_HEADER - 8..PAGE_HEADER].copy_from_slice(&sum.to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Pages whose sums are right, whatever else is wrong with them: they are taken whole or not at all, and what was taken is given
    /// back like any other.
    #[test]
    fn what_has_been_changed_is_taken_whole_or_not_at_all(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
    ) {
        let (bench, ..) = busy();
        bench.port.pause().unwrap();
        let mut pages = pages_of(&bench, 400);
        let mut same = pages[1].clone();
        seal(&mut same);
        prop_assert_eq!(&same, &pages[1]);
        for (page, at, byte, kind) in changes {
            let page = page.index(pages.len());
            let page = &mut pages[page];
            if page.len() == PAGE_HEADER {
                continue;
            }
            let at = PAGE_HEADER + at.index(page.len() - PAGE_HEADER);
            match kind {
                0 => page.truncate(at),
                1 => page.insert(at, byte),
                _ => page[at] = byte,
            }
            seal(page);
        }
        let other = fresh();
        other.allow_in(IpProtocol::UDP, 9);
        match restore(&other, &pages) {
            Err(_) => unchanged(&other),
            Ok(restored) => {
                prop_assert_eq!(restored.complete, true);
                prop_assert_eq!(other.port.counters().flows, restored.flows);
            }
        }
        // Whatever came, packets and time find their way.
        other.port.start();
        for frame in [udp_frame((GUEST, 6001), (FAR, 53), b"more"), tcp_frame((GUEST, 7000), (FAR, 80), ACK, 101, 901, b"x")] {
            other.send(Out, &frame);
        }
        other.port.reset();
        let counters = other.port.counters();
        prop_assert_eq!((counters.flows, counters.tcp_connections, counters.programs), (0, 0, 0));
        prop_assert_eq!(ports_leased(&other), 0);
    }
}
