//! Few rules, which are asked one after another.

use alloc::vec::Vec;

use super::subject::{First, Gist, Glance, Rest};
use super::table::Match;

/// The rules of a table in order, as far as a [`Glance`] tells whether they match.
#[derive(Debug, Default)]
pub(super) struct Few {
    rules: Vec<Candidate>,
    /// The first words of their gists.
    firsts: Vec<First>,
    met: [Met; MET],
    /// How often none of those was of a packet.
    unmet: u32,
}

/// A rule that may match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    gist: Gist,
    /// Where it stands in the table.
    pub(super) place: u32,
    /// What it asks beside its gist.
    pub(super) rest: Rest,
}

/// What became of a packet: for all that are as it was under a mask, the first candidate is the same. In the mask is one bit of
/// each rule that did not match, by which it did not, and all that the one asks that did.
///
/// (B. Pfaff and others, "The design and implementation of Open vSwitch", NSDI 2015, section 5.)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met {
    mask: [u64; 6],
    value: [u64; 6],
    /// The number of the candidate; where there is none, that of one behind the last.
    at: u32,
    /// Where it stands in the table. There is none if it is not said.
    pub(super) place: Option<u32>,
    /// What it asks beside its gist.
    pub(super) rest: Rest,
}

/// Packets that are remembered: of a guest most are much the same, so far as rules ask.
const MET: usize = 4;

/// One packet is remembered of so many that are like none that is. To remember one takes longer than to ask for one.
const SELDOM: u32 = 4;

impl Candidate {
    /// Whether it matches every packet.
    pub(super) fn asks_nothing(&self) -> bool {
        self.gist.asks_nothing()
    }
}

impl Default for Met {
    /// No packet is as this one.
    fn default() -> Self {
        Self {
            mask: [0; 6],
            value: [1; 6],
            at: 0,
            place: None,
            rest: Rest::Nothing,
        }
    }
}

impl Few {
    /// Of rules in order, by their gists and where they stand.
    pub(super) fn of(rules: impl Iterator<Item = (Gist, u32)>) -> Self {
        let candidate = |(gist, place): (Gist, u32)| Candidate {
            gist,
            place,
            rest: gist.rest,
        };
        let rules: Vec<_> = rules.map(candidate).collect();
        Self {
            firsts: rules.iter().map(|rule| rule.gist.first()).collect(),
            rules,
            ..Self::default()
        }
    }

    /// The first rule.
    pub(super) fn first(&self) -> Option<&Candidate> {
        self.rules.first()
    }

    /// The candidates for a packet, in order.
    pub(super) fn candidates(&self, glance: &Glance) -> impl Iterator<Item = &Candidate> {
        self.candidates_from(0, glance)
    }

    /// What became of a packet, as far as rules ask, that is remembered.
    #[inline(always)]
    pub(super) fn met(&self, glance: &Glance) -> Option<&Met> {
        self.met.iter().find(|met| met.is(glance))
    }

    /// The candidates for a packet behind the one that another packet had, which was as this one is.
    pub(super) fn behind(&self, met: &Met, glance: &Glance) -> impl Iterator<Item = &Candidate> {
        self.candidates_from(met.at as usize + 1, glance)
    }

    fn candidates_from(&self, from: usize, glance: &Glance) -> impl Iterator<Item = &Candidate> {
        let rules = self.firsts.iter().zip(&self.rules).skip(from);
        // Each step by itself: most rules are told by the first.
        rules
            .filter(|(first, rule)| first.admits(glance) && rule.gist.admits(glance))
            .map(|(_, rule)| rule)
    }

    /// Remembers a packet, one of several, that is like none that is remembered.
    pub(super) fn remember(&mut self, glance: &Glance) {
        let unmet = self.unmet;
        self.unmet = unmet.wrapping_add(1);
        if !unmet.is_multiple_of(SELDOM) {
            return;
        }
        let admits =
            |(first, rule): (&First, &Candidate)| first.admits(glance) && rule.gist.admits(glance);
        let found = self.firsts.iter().zip(&self.rules).position(admits);
        let met = Met::of(&self.rules, found, glance);
        if let Some(slot) = self.met.get_mut((unmet / SELDOM) as usize % MET) {
            *slot = met;
        }
    }
}

impl Met {
    /// A packet whose first candidate is a number of `rules`, or none.
    fn of(rules: &[Candidate], found: Option<usize>, glance: &Glance) -> Self {
        let (words, mut mask) = (glance.words(), [0; 6]);
        let at = found.unwrap_or(rules.len());
        for rule in rules.iter().take(at) {
            rule.gist.refuse(&words, &mut mask);
        }
        let rule = rules.get(at);
        if let Some(rule) = rule {
            rule.gist.asks(&mut mask);
        }
        let mut value = words;
        for (value, mask) in value.iter_mut().zip(mask) {
            *value &= mask;
        }
        Self {
            mask,
            value,
            at: at as u32,
            place: rule.map(|rule| rule.place),
            rest: rule.map_or(Rest::Nothing, |rule| rule.rest),
        }
    }

    /// What the table says to such packets, if rules ask nothing else.
    #[inline(always)]
    pub(crate) fn matched(&self) -> Option<Match> {
        match self.place {
            None => Some(Match::Default),
            Some(place) if self.rest == Rest::Nothing => Some(Match::Rule(place)),
            Some(_) => None,
        }
    }

    #[inline(always)]
    fn is(&self, glance: &Glance) -> bool {
        let [a, b, c, d, e, f] = self.mask;
        let [p, q, r, s, t, u] = self.value;
        let [g, h, i, j, k, l] = glance.words();
        // The first words tell most packets apart; of those that are not, nearly all are as the others say too.
        g & a == p && (h & b ^ q | i & c ^ r | j & d ^ s | k & e ^ t | l & f ^ u) == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::rule::subject::tests::gist;
    use proptest::prelude::*;

    /// Words of few values, so that many agree.
    fn words() -> impl Strategy<Value = [u64; 6]> {
        prop::array::uniform6(prop_oneof![0u64..4, Just(u64::MAX >> 1)])
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_found(
            rules in prop::collection::vec((words(), words()), 0..8),
            packets in prop::collection::vec(words(), 1..60),
        ) {
            let rules = rules.iter().zip(0..).map(|((mask, value), place)| (gist(*mask, *value), place));
            let mut few = Few::of(rules);
            for words in packets {
                let glance = Glance::of_words(words);
                let mut candidates = few.candidates(&glance).map(|rule| rule.place);
                match few.met(&glance) {
                    Some(met) => {
                        prop_assert_eq!(met.place, candidates.next());
                        let behind = few.behind(met, &glance).map(|rule| rule.place);
                        prop_assert!(behind.eq(candidates));
                    }
                    None => {
                        drop(candidates);
                        few.remember(&glance);
                    }
                }
            }
        }
    }
}
