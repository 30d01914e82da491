//! Facts of TCP tracking, a segment a row: who sends what, and the state of the guest's end after it.

use opte::Direction::{self, In, Out};
use opte::DropReason;
use opte::tcp::{Connection, Outcome, Segment, TcpState};

use TcpState::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRcvd, SynSent,
    TimeWait,
};

const PASS: Outcome = Outcome::Pass;
const OUTSIDE: Outcome = Outcome::Drop(DropReason::TcpOutOfWindow);
const UNEXPECTED: Outcome = Outcome::Drop(DropReason::TcpUnexpectedSegment);

/// Direction, control bits, sequence number, acknowledgement, payload; what becomes of it, and the state after.
type Row = (Direction, &'static str, u32, u32, u32, Outcome, TcpState);

/// Initial sequence numbers of the guest and the far end.
const G: u32 = 1000;
const R: u32 = 5000;

fn segment(bits: &str, seq: u32, ack: u32, payload: u32) -> Segment {
    let flags = bits.chars().fold(0, |flags, bit| {
        flags
            | match bit {
                'S' => Segment::SYN,
                'A' => Segment::ACK,
                'F' => Segment::FIN,
                'R' => Segment::RST,
                _ => panic!("no such bit: {bit}"),
            }
    });
    Segment {
        seq,
        ack,
        flags,
        window: 8000,
        payload,
        scale: None,
    }
}

fn play(rows: &[Row]) -> Connection {
    let mut connection: Option<Connection> = None;
    for (number, (dir, bits, seq, ack, payload, outcome, state)) in rows.iter().enumerate() {
        let segment = segment(bits, *seq, *ack, *payload);
        let found = match &mut connection {
            Some(connection) => connection.segment(*dir, &segment),
            None => {
                Connection::may_open(&segment, *dir == Out).expect("opens");
                connection = Some(Connection::open(*dir, &segment));
                PASS
            }
        };
        let after = connection.as_ref().unwrap().state();
        assert_eq!(
            (found, after),
            (*outcome, *state),
            "row {number}: {dir} {bits} {seq} {ack}"
        );
    }
    connection.unwrap()
}

fn opened_by_guest() -> Vec<Row> {
    vec![
        (Out, "S", G, 0, 0, PASS, SynSent),
        (In, "SA", R, G + 1, 0, PASS, Established),
        (Out, "A", G + 1, R + 1, 0, PASS, Established),
    ]
}

fn opened_by_far_end() -> Vec<Row> {
    vec![
        (In, "S", R, 0, 0, PASS, Listen),
        (Out, "SA", G, R + 1, 0, PASS, SynRcvd),
        (In, "A", R + 1, G + 1, 0, PASS, Established),
    ]
}

fn after(mut rows: Vec<Row>, more: &[Row]) -> Connection {
    rows.extend_from_slice(more);
    play(&rows)
}

#[test]
fn handshakes() {
    assert!(play(&opened_by_guest()).is_confirmed());
    assert!(play(&opened_by_far_end()).is_confirmed());
    // Sent again, the same segments change nothing.
    let mut rows = opened_by_guest();
    rows.insert(1, rows[0]);
    rows.insert(3, rows[2]);
    play(&rows);
}

/// RFC 9293, section 3.5, figure 7.
#[test]
fn simultaneous_open() {
    play(&[
        (Out, "S", G, 0, 0, PASS, SynSent),
        (In, "S", R, 0, 0, PASS, SynRcvd),
        (Out, "SA", G, R + 1, 0, PASS, SynRcvd),
        (In, "SA", R, G + 1, 0, PASS, Established),
        (Out, "A", G + 1, R + 1, 10, PASS, Established),
    ]);
}

#[test]
fn data_before_the_handshake_is_complete_completes_nothing() {
    play(&[
        (In, "S", R, 0, 0, PASS, Listen),
        (Out, "SA", G, R + 1, 0, PASS, SynRcvd),
        (Out, "A", G + 1, R + 1, 100, PASS, SynRcvd),
        (In, "A", R + 1, G + 1, 0, PASS, Established),
    ]);
}

#[test]
fn the_guest_closes_first() {
    after(
        opened_by_guest(),
        &[
            (Out, "FA", G + 1, R + 1, 0, PASS, FinWait1),
            (In, "A", R + 1, G + 2, 0, PASS, FinWait2),
            (In, "FA", R + 1, G + 2, 0, PASS, TimeWait),
            (Out, "A", G + 2, R + 2, 0, PASS, TimeWait),
        ],
    );
}

#[test]
fn the_far_end_closes_first() {
    after(
        opened_by_far_end(),
        &[
            (In, "FA", R + 1, G + 1, 0, PASS, CloseWait),
            (Out, "A", G + 1, R + 2, 500, PASS, CloseWait),
            (Out, "FA", G + 501, R + 2, 0, PASS, LastAck),
            (In, "A", R + 2, G + 502, 0, PASS, Closed),
        ],
    );
}

/// RFC 9293, section 3.6, figure 13.
#[test]
fn simultaneous_close() {
    after(
        opened_by_guest(),
        &[
            (Out, "FA", G + 1, R + 1, 0, PASS, FinWait1),
            (In, "FA", R + 1, G + 1, 0, PASS, Closing),
            (Out, "A", G + 2, R + 2, 0, PASS, Closing),
            (In, "A", R + 2, G + 2, 0, PASS, TimeWait),
        ],
    );
}

#[test]
fn the_answer_to_a_fin_may_be_fin_and_ack_in_one() {
    after(
        opened_by_guest(),
        &[
            (Out, "FA", G + 1, R + 1, 0, PASS, FinWait1),
            (In, "FA", R + 1, G + 2, 0, PASS, TimeWait),
        ],
    );
}

/// The guest's FIN is acknowledged by its own number, not by that of the last segment seen.
#[test]
fn shortfall_1_4_a_later_ack_does_not_hide_the_fin() {
    after(
        opened_by_guest(),
        &[
            (Out, "FA", G + 1, R + 1, 0, PASS, FinWait1),
            (In, "A", R + 1, G + 2, 0, PASS, FinWait2),
            (In, "A", R + 1, G + 2, 300, PASS, FinWait2),
            (Out, "A", G + 2, R + 301, 0, PASS, FinWait2),
            (In, "FA", R + 301, G + 2, 0, PASS, TimeWait),
        ],
    );
}

#[test]
fn shortfall_1_4_a_fin_with_payload_is_acknowledged_behind_its_payload() {
    after(
        opened_by_guest(),
        &[
            (Out, "FA", G + 1, R + 1, 700, PASS, FinWait1),
            (In, "A", R + 1, G + 701, 0, PASS, FinWait1),
            (In, "A", R + 1, G + 702, 0, PASS, FinWait2),
        ],
    );
}

#[test]
fn shortfall_1_4_sequence_numbers_wrap() {
    let (g, r) = (u32::MAX, u32::MAX - 1);
    play(&[
        (Out, "S", g, 0, 0, PASS, SynSent),
        (In, "SA", r, 0, 0, PASS, Established),
        (Out, "A", 0, u32::MAX, 0, PASS, Established),
        (In, "A", u32::MAX, 0, 100, PASS, Established),
        (Out, "FA", 0, 99, 0, PASS, FinWait1),
        (In, "FA", 99, 1, 0, PASS, TimeWait),
    ]);
    play(&[
        (Out, "S", u32::MAX - 1, 0, 0, PASS, SynSent),
        (In, "SA", R, u32::MAX, 0, PASS, Established),
        (Out, "FA", u32::MAX, R + 1, 0, PASS, FinWait1),
        (In, "A", R + 1, 0, 0, PASS, FinWait2),
    ]);
}

/// RFC 5961, section 3.2: a reset off the edge of the window is for the end to challenge, one outside is nobody's.
#[test]
fn shortfall_1_4_a_blind_reset_does_not_close() {
    let established = |more: &[Row]| after(opened_by_guest(), more);
    established(&[(In, "R", R + 90_000, 0, 0, OUTSIDE, Established)]);
    established(&[(In, "R", R - 1, 0, 0, OUTSIDE, Established)]);
    established(&[(In, "R", R + 100, 0, 0, PASS, Established)]);
    established(&[(In, "R", R + 1, 0, 0, PASS, Closed)]);
    established(&[(Out, "R", G + 90_000, 0, 0, OUTSIDE, Established)]);
    established(&[(Out, "RA", G + 1, R + 1, 0, PASS, Closed)]);
    // Nor does one prepared by a segment that lies nowhere near the window.
    established(&[
        (In, "A", R + 3_000_000, G + 1, 10, PASS, Established),
        (In, "R", R + 3_000_010, 0, 0, OUTSIDE, Established),
    ]);
}

/// RFC 9293, section 3.10.7.3.
#[test]
fn a_refusal_must_acknowledge_the_syn() {
    play(&[
        (Out, "S", G, 0, 0, PASS, SynSent),
        (In, "RA", 0, G + 1, 0, PASS, Closed),
    ]);
    play(&[
        (Out, "S", G, 0, 0, PASS, SynSent),
        (In, "RA", 0, G + 7, 0, OUTSIDE, SynSent),
    ]);
    play(&[
        (In, "S", R, 0, 0, PASS, Listen),
        (Out, "RA", 0, R + 1, 0, PASS, Closed),
    ]);
}

/// RFC 5961, section 4.2: the end answers with a challenge ACK; the peer that lost its memory then resets exactly.
#[test]
fn shortfall_1_4_a_syn_within_a_connection_changes_nothing() {
    after(
        opened_by_guest(),
        &[
            (In, "S", R + 50, 0, 0, PASS, Established),
            (Out, "S", 77, 0, 0, PASS, Established),
            (In, "A", R + 1, G + 1, 0, PASS, Established),
            (Out, "R", G + 1, 0, 0, PASS, Closed),
            (Out, "S", 78, 0, 0, Outcome::Restart, Closed),
        ],
    );
}

/// RFC 9293, section 3.10.7.4: in TIME-WAIT only a SYN above the last connection opens another one.
#[test]
fn a_new_connection_out_of_time_wait() {
    let closed: &[Row] = &[
        (Out, "FA", G + 1, R + 1, 0, PASS, FinWait1),
        (In, "FA", R + 1, G + 2, 0, PASS, TimeWait),
    ];
    let with = |row: Row| after(opened_by_guest(), &[closed, &[row]].concat());
    with((Out, "S", G, 0, 0, PASS, TimeWait));
    with((Out, "S", G + 100, 0, 0, Outcome::Restart, TimeWait));
}

/// RFC 9293, figure 9: the far end still holds an older connection.
#[test]
fn half_open_recovery() {
    play(&[
        (Out, "S", 400, 0, 0, PASS, SynSent),
        (In, "A", 300, 100, 0, PASS, SynSent),
        (Out, "R", 100, 0, 0, PASS, SynSent),
        (Out, "S", 400, 0, 0, PASS, SynSent),
        (In, "SA", R, 401, 0, PASS, Established),
    ]);
}

#[test]
fn impossible_control_bits() {
    for bits in ["SF", "SR", "SRA", "SFA"] {
        after(
            opened_by_guest(),
            &[(In, bits, R + 1, G + 1, 0, UNEXPECTED, Established)],
        );
    }
    after(
        opened_by_guest(),
        &[(In, "", R + 1, 0, 10, UNEXPECTED, Established)],
    );
    play(&[
        (Out, "S", G, 0, 0, PASS, SynSent),
        (Out, "SA", G, R, 0, UNEXPECTED, SynSent),
    ]);
}

#[test]
fn what_may_open_a_connection() {
    let may = |bits, midstream| Connection::may_open(&segment(bits, 1, 1, 0), midstream);
    for midstream in [false, true] {
        assert_eq!(may("S", midstream), Ok(()));
        assert_eq!(may("SA", midstream), Err(DropReason::TcpNoConnection));
        assert_eq!(may("R", midstream), Err(DropReason::TcpNoConnection));
        assert_eq!(may("SF", midstream), Err(DropReason::TcpUnexpectedSegment));
        assert_eq!(may("", midstream), Err(DropReason::TcpUnexpectedSegment));
    }
    assert_eq!(may("A", true), Ok(()));
    assert_eq!(may("A", false), Err(DropReason::TcpNoConnection));
}

#[test]
fn a_connection_picked_up_midstream_is_confirmed_by_its_answer() {
    let mut connection = play(&[(Out, "A", 70_000, 90_000, 10, PASS, Established)]);
    assert!(!connection.is_confirmed());
    assert_eq!(
        connection.segment(In, &segment("A", 90_000, 70_010, 0)),
        PASS
    );
    assert!(connection.is_confirmed());
    assert_eq!(
        connection.segment(In, &segment("FA", 90_000, 70_010, 0)),
        PASS
    );
    assert_eq!(connection.state(), CloseWait);
}

/// Data may come with a SYN (RFC 9293, section 3.10.7.2; RFC 7413), and in fragments: all of it may be acknowledged.
#[test]
fn a_syn_with_data_in_fragments() {
    let mut connection = play(&[(Out, "S", G, 0, 8, PASS, SynSent)]);
    assert_eq!(connection.part(Out, &segment("S", G + 8, 0, 92)), PASS);
    assert_eq!(connection.next_seq(Out), G + 101);
    let answer = segment("SA", R, G + 101, 0);
    assert_eq!(connection.segment(In, &answer), PASS);
    assert_eq!(connection.state(), Established);
    // A SYN within the connection does not count, and what comes with it neither.
    let late = segment("S", G + 200, 0, 92);
    assert_eq!(connection.part(Out, &late), PASS);
    assert_eq!(connection.next_seq(Out), G + 101);
}

/// Numbers are followed over the wrap, both ways, and what is judged by them afterwards is judged right.
#[test]
fn shortfall_1_4_numbers_go_on_behind_the_wrap() {
    let (g, r) = (u32::MAX - 10_000, u32::MAX - 20_000);
    let mut connection = play(&[
        (Out, "S", g, 0, 0, PASS, SynSent),
        (In, "SA", r, g + 1, 0, PASS, Established),
        (Out, "A", g + 1, r + 1, 0, PASS, Established),
    ]);
    let (mut sent, mut got) = (g + 1, r + 1);
    for _ in 0..40 {
        assert_eq!(
            connection.segment(Out, &segment("A", sent, got, 1000)),
            PASS
        );
        sent = sent.wrapping_add(1000);
        assert_eq!(connection.segment(In, &segment("A", got, sent, 1000)), PASS);
        got = got.wrapping_add(1000);
        assert_eq!(
            (connection.next_seq(Out), connection.next_seq(In)),
            (sent, got)
        );
        assert_eq!(connection.last_ack(In), sent);
    }
    let reset = |connection: &mut Connection, seq| {
        let outcome = connection.segment(In, &segment("R", seq, 0, 0));
        (outcome, connection.state())
    };
    assert_eq!(reset(&mut connection, r + 1), (OUTSIDE, Established));
    assert_eq!(reset(&mut connection, got), (PASS, Closed));
}
