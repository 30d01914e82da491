//! What is saved beside flows: NAT ports that rest, and what rules have counted.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Direction;
use crate::action::Action;
use crate::nat::Share;
use crate::network::Network;
use crate::port::Inner;
use crate::rule::{Rule, RuleId};
use crate::time::Moment;

/// A port of a share that rests after use.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Resting {
    address: IpAddr,
    /// Which of [`Share::pools`].
    pool: u8,
    port: u16,
    /// Nanoseconds that it goes on resting.
    left: u64,
}

/// What a rule has counted, or the end of a table behind its last rule.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hits {
    layer: u8,
    outbound: bool,
    /// A sum over the rule as it reads: identifiers are given anew. `None`: the end of the table.
    rule: Option<u64>,
    hits: u64,
}

/// The most bytes that one of them takes in a page.
pub(super) const LONGEST: usize = 40;

/// The most of them that are taken from pages of one port: what all ports of two addresses, and a million rules, make.
pub(super) const MOST: usize = 1 << 20;

impl<N: Network> Inner<N> {
    /// The ports that rest, from number `from` on, as many as `most`.
    pub(super) fn resting(&self, now: Moment, from: usize, most: usize) -> Vec<Resting> {
        let (shares, hold_down) = (self.shares(), self.hold_down());
        let all = shares.iter().flat_map(|share| {
            let each = share.resting(now, hold_down).into_iter();
            each.map(|(pool, port, left)| Resting {
                address: share.address(),
                pool,
                port,
                left: u64::try_from(left.as_nanos()).unwrap_or(u64::MAX),
            })
        });
        all.skip(from).take(most).collect()
    }

    /// Lays ports to rest again, for as long as they had left.
    pub(super) fn rest(&self, now: Moment, all: &[Resting]) {
        let (shares, hold_down) = (self.shares(), self.hold_down());
        for Resting {
            address,
            pool,
            port,
            left,
        } in all
        {
            let until = now + Duration::from_nanos(*left);
            let of_address = shares.iter().filter(|share| share.address() == *address);
            of_address.for_each(|share| share.rest((*pool, *port), (now, until), hold_down));
        }
    }

    /// How long ports of source NAT rest, if an option says it.
    fn hold_down(&self) -> Option<Duration> {
        self.options.snat_hold_down.map(Into::into)
    }

    /// What rules have counted, from number `from` on, as many as `most`.
    pub(super) fn hits(&self, from: usize, most: usize) -> Vec<Hits> {
        let all = self.layers.iter().enumerate().flat_map(|(layer, rules)| {
            Direction::BOTH.into_iter().flat_map(move |dir| {
                let rules = rules.rules(dir);
                let hits = move |rule, hits| Hits {
                    // There are fewer layers than that.
                    layer: layer as u8,
                    outbound: dir == Direction::Out,
                    rule,
                    hits,
                };
                let counted = rules.entries().filter(|entry| entry.hits != 0);
                counted
                    .map(move |entry| hits(Some(sum_of(&entry.rule)), entry.hits))
                    .chain([hits(None, rules.default_hits())])
            })
        });
        all.skip(from).take(most).collect()
    }

    /// Gives rules that read as those that were saved what those had counted. Of several that read alike each gets its own.
    pub(super) fn count_again(&mut self, all: &[Hits]) {
        for (at, layer) in self.layers.iter_mut().enumerate() {
            for dir in Direction::BOTH {
                let of_table = |hits: &&Hits| {
                    usize::from(hits.layer) == at && hits.outbound == (dir == Direction::Out)
                };
                if !all.iter().any(|hits| of_table(&hits) && hits.hits != 0) {
                    continue;
                }
                let rules = layer.rules_mut(dir);
                let mut by_sum = BTreeMap::<u64, VecDeque<RuleId>>::new();
                for entry in rules.entries() {
                    let alike = by_sum.entry(sum_of(&entry.rule)).or_default();
                    alike.push_back(entry.id);
                }
                for hits in all.iter().filter(of_table) {
                    match hits.rule {
                        None => rules.set_default_hits(hits.hits),
                        Some(sum) => {
                            let alike = by_sum.get_mut(&sum).and_then(VecDeque::pop_front);
                            alike
                                .into_iter()
                                .for_each(|id| rules.set_hits(id, hits.hits));
                        }
                    }
                }
            }
        }
    }

    /// The shares that rules take ports from, each once.
    fn shares(&self) -> Vec<Arc<Share>> {
        let mut shares = Vec::<Arc<Share>>::new();
        for layer in &self.layers {
            for dir in Direction::BOTH {
                for entry in layer.rules(dir).entries() {
                    if let Action::Stateful(action) = entry.rule.action()
                        && let Some(share) = action.share()
                        && !shares.iter().any(|there| Arc::ptr_eq(there, share))
                    {
                        shares.push(Arc::clone(share));
                    }
                }
            }
        }
        shares
    }
}

/// Sums up what is written to it.
struct Sum(u64);

impl Write for Sum {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // FNV-1a.
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// A sum over a rule as it reads.
fn sum_of<N: Network>(rule: &Rule<N>) -> u64 {
    let mut sum = Sum(0xcbf2_9ce4_8422_2325);
    // Nothing fails to be written to it.
    let _ = write!(sum, "{} {}", rule.priority(), rule.action());
    for predicate in rule.predicates() {
        let _ = write!(sum, " {predicate}");
    }
    let Sum(sum) = sum;
    sum
}
