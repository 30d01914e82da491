//! Every order in which a reader and the writer of flow records may meet, by the model checker `loom`:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p opte --lib --release flow::model
//! ```
//!
//! Here records and the index by themselves; in `short.rs` the table and the short way of packets.

mod short;

use loom::sync::Arc;
use loom::thread;
use opte_headers::program::Translation;

use super::cell::{Cell, KeyWords, Kind, Side, Tail};
use super::index::Index;
use super::record::{Class, Proto};
use crate::Direction;

const DIR: Direction = Direction::Out;
const HASH: u32 = 5;
const VALUE: u32 = 9;

/// What stands in the one cell of a model, and how it is found.
struct Table {
    index: Index,
    cell: Cell,
}

fn side(number: u64) -> Side {
    Side {
        key: key(number),
        tail: Tail::new(number as u8, number as u32 + 1),
        translation: Translation::default(),
    }
}

fn key(number: u64) -> KeyWords {
    [number, 0, 0, 0, number, number]
}

impl Table {
    /// A table with room in its index.
    fn new() -> Self {
        let index = Index::new(1);
        index.reserve(HASH, |_| true).unwrap();
        Self {
            index,
            cell: Cell::default(),
        }
    }

    fn publish(&self, number: u64) {
        self.cell.write(|cell| {
            cell.set_side(DIR, &side(number));
            cell.set_epoch(number as u32);
            cell.clear_counts();
            cell.set_kind(Some(Kind {
                class: Class::UdpOneWay,
                proto: Proto::Udp,
                first: DIR,
                timer_slot: 0,
            }));
        });
        self.index.insert(HASH, VALUE);
    }

    fn evict(&self) {
        self.index.remove(HASH, VALUE);
        let key = self.cell.side(DIR).key;
        self.cell.write(|cell| {
            cell.set_side(DIR, &Side::unknown(key));
            cell.set_kind(None);
        });
    }

    /// What a packet of flow `number` finds: the number of its program, and where its header stands.
    fn look_up(&self, number: u64) -> Option<(u32, u8, u32)> {
        let mut sequence = 0;
        self.index.find(HASH, |_| {
            sequence = self.cell.sequence();
            self.cell.has_key(DIR, &key(number), None)
        })?;
        let epoch = self.cell.epoch();
        let tail = self.cell.tail(DIR);
        self.cell
            .is_still(sequence)
            .then_some((tail.program(), tail.l3(), epoch))
    }
}

/// A record is seen whole or not at all, while it is made, taken out, and its place given to another flow.
#[test]
fn a_reader_sees_one_flow_or_none() {
    loom::model(|| {
        let table = Arc::new(Table::new());
        let writer = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                table.publish(1);
                table.evict();
                table.publish(2);
            })
        };
        match table.look_up(1) {
            None | Some((2, 1, 1)) => {}
            // Taken out, with the key still there: no program, so nothing passes.
            Some((0, 0, _)) => {}
            other => panic!("{other:?}"),
        }
        writer.join().unwrap();
        assert_eq!(table.look_up(1), None);
        assert_eq!(table.look_up(2), Some((3, 2, 2)));
    });
}

/// Whoever sees that decisions are of a new generation sees the decisions of that generation.
#[test]
fn a_generation_comes_with_its_decisions() {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(2);
    bounded.check(|| {
        let table = Arc::new(Table::new());
        table.publish(1);
        let writer = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                // As a revalidation does: the side, the class, then the generation.
                let new = Side {
                    key: key(1),
                    ..side(7)
                };
                table.cell.write(|cell| cell.set_side(DIR, &new));
                let kind = table.cell.kind().unwrap();
                table.cell.set_kind(Some(Kind {
                    class: Class::Revoked,
                    ..kind
                }));
                table.cell.set_epoch(7);
            })
        };
        let mut sequence = 0;
        let found = table.index.find(HASH, |_| {
            sequence = table.cell.sequence();
            table.cell.has_key(DIR, &key(1), None)
        });
        assert_eq!(found, Some(VALUE));
        let epoch = table.cell.epoch();
        let (program, revoked) = (
            table.cell.tail(DIR).program(),
            table.cell.kind_word().passes_nothing(),
        );
        if table.cell.is_still(sequence) && epoch == 7 {
            assert_eq!((program, revoked), (8, true));
        }
        writer.join().unwrap();
    });
}

/// Packets that are counted while a cell is emptied are counted once.
#[test]
fn no_count_is_lost() {
    loom::model(|| {
        let table = Arc::new(Table::new());
        table.publish(1);
        table.cell.count(DIR, 10, false);
        table.cell.count(DIR, 10, false);
        let packets = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                table.cell.count(DIR, 10, false);
                table.cell.count(DIR, 10, false);
            })
        };
        let taken = table.cell.take_counts(DIR);
        packets.join().unwrap();
        let left = table.cell.counts(DIR);
        assert_eq!(
            (taken.packets + left.packets, taken.bytes + left.bytes),
            (4, 40)
        );
    });
}
