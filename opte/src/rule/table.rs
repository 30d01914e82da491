//! The table of a layer's rules.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::bits::BLOCK;
use super::classifier::{Classifier, Visitor};
use super::condition::{conditions, value_of};
use super::order::{LAST, Move, Order, Rank};
use super::subject::{First, Gist, Glance, Rest, Subject};
use super::{DefaultAction, Rule, RuleId};
use crate::flow::Fields;
use crate::network::Network;
use crate::predicate::Predicate;

/// A rule in its table.
pub struct TableEntry<N: Network> {
    /// Its identifier.
    pub id: RuleId,
    /// How many packets it decided over: first packets of flows, and packets that are no flow's.
    pub hits: u64,
    /// The rule.
    pub rule: Rule<N>,
}

/// The rules of one direction of a layer, asked by priority, denials before others of the same priority, then the newer first.
///
/// They are compiled as they come and go: to find the first that matches costs hardly more for many than for few, and
/// a change costs no more than what the rule itself asks for.
pub struct RuleTable<N: Network> {
    /// By place.
    entries: Vec<Option<TableEntry<N>>>,
    order: Order,
    classifier: Classifier,
    /// By identifier.
    places: BTreeMap<RuleId, u32>,
    /// The rules in order with their gists, as long as they are few.
    few: Vec<(Gist, u32)>,
    /// The first words of these.
    firsts: Vec<First>,
    /// Whether they are not.
    is_many: bool,
    /// What the table says to every packet, if its first rule asks nothing or it has none.
    always: Option<Match>,
    default: DefaultAction,
    default_hits: u64,
    /// Identifiers below it were given out before the table was made.
    first_id: RuleId,
    next_id: RuleId,
}

/// What a table says to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The rule at this place matches. Places hold until the table is changed.
    Rule(u32),
    /// No rule matches.
    Default,
}

/// As few rules as this are asked one after another.
const FEW: usize = 16;

impl<N: Network> RuleTable<N> {
    /// An empty table.
    pub fn new(default: DefaultAction) -> Self {
        Self {
            entries: Vec::new(),
            order: Order::default(),
            classifier: Classifier::default(),
            places: BTreeMap::new(),
            few: Vec::new(),
            firsts: Vec::new(),
            is_many: false,
            always: Some(Match::Default),
            default,
            default_hits: 0,
            first_id: 0,
            next_id: 0,
        }
    }

    /// Adds a rule and says its identifier.
    pub fn add(&mut self, rule: Rule<N>) -> RuleId {
        let id = self.next_id;
        self.next_id += 1;
        self.enter(TableEntry { id, hits: 0, rule });
        id
    }

    /// Takes the rule `id` out, if it is there.
    pub fn remove(&mut self, id: RuleId) -> Option<Rule<N>> {
        let place = self.places.remove(&id)?;
        let entry = self.entries.get_mut(place as usize)?.take()?;
        let conditions = conditions(entry.rule.predicates());
        self.classifier.remove(place, &conditions);
        let moves = self.order.remove(place);
        self.make(moves);
        self.note_few();
        Some(entry.rule)
    }

    /// Whether the rule `id` is there.
    pub fn contains(&self, id: RuleId) -> bool {
        self.places.contains_key(&id)
    }

    /// Puts `rules` in the place of all there are. Identifiers go on.
    pub fn replace(&mut self, rules: impl IntoIterator<Item = Rule<N>>) {
        let mut heir = self.heir();
        heir.fill(rules);
        self.give_way(&mut heir);
    }

    /// An empty table with the default of this one, whose identifiers go on where those of this one end: to be
    /// [filled](Self::fill) beside it, and then to [take its place](Self::give_way).
    #[must_use]
    pub fn heir(&self) -> Self {
        Self {
            first_id: self.next_id,
            next_id: self.next_id,
            ..Self::new(self.default)
        }
    }

    /// Adds rules. Of many at once none has to make room for another.
    pub fn fill(&mut self, rules: impl IntoIterator<Item = Rule<N>>) {
        let mut entries = Vec::new();
        for rule in rules {
            let id = self.next_id;
            self.next_id += 1;
            entries.push(TableEntry { id, hits: 0, rule });
        }
        entries.sort_by_key(rank_of);
        for entry in entries {
            self.enter(entry);
        }
    }

    /// Changes places with an heir. What was counted of packets without a rule stays.
    pub fn give_way(&mut self, heir: &mut Self) {
        if self.next_id > heir.first_id {
            // Rules were added here meanwhile: no identifier is given twice.
            let entries = core::mem::take(&mut heir.entries);
            let mut entries: Vec<_> = entries.into_iter().flatten().collect();
            entries.sort_by_key(|entry| entry.id);
            *heir = self.heir();
            heir.fill(entries.into_iter().map(|entry| entry.rule));
        }
        heir.default_hits = self.default_hits;
        core::mem::swap(self, heir);
    }

    /// What the table says to every packet, if its first rule asks nothing or it has none.
    #[inline(always)]
    pub fn unconditional(&self) -> Option<Match> {
        self.always
    }

    /// The first match; with `after`, the first of those that are asked after the rule there.
    pub fn find(&self, after: Option<u32>, subject: &Subject, meta: &N::Meta) -> Match {
        self.find_by(after, &subject.glance, || subject.fields, meta)
    }

    /// The same, given the fields only if they are asked for.
    #[inline]
    pub(crate) fn find_by(
        &self,
        after: Option<u32>,
        glance: &Glance,
        fields: impl Fn() -> Fields,
        meta: &N::Meta,
    ) -> Match {
        if self.is_many {
            return self.search(after, &fields(), meta);
        }
        for (at, first) in self.firsts.iter().enumerate() {
            if first.admits(glance)
                && let Some((gist, place)) = self.few.get(at)
                && gist.admits(glance)
                && after.is_none_or(|after| self.order.rank(*place) > self.order.rank(after))
                && match gist.rest {
                    Rest::Nothing => true,
                    Rest::Meta => self.suits(*place, meta),
                    Rest::Anything => self.is_match(*place, &fields(), meta),
                }
            {
                return Match::Rule(*place);
            }
        }
        Match::Default
    }

    /// Whether metadata is as the rule asks by itself.
    fn suits(&self, place: u32, meta: &N::Meta) -> bool {
        self.entry(place).is_some_and(|entry| {
            entry
                .rule
                .predicates()
                .iter()
                .all(|predicate| match predicate {
                    Predicate::Meta(predicate) => predicate.matches(meta),
                    _ => true,
                })
        })
    }

    #[inline(never)]
    fn search(&self, after: Option<u32>, fields: &Fields, meta: &N::Meta) -> Match {
        let after = after.map(|place| self.order.rank(place));
        let mut search = Search {
            table: self,
            fields,
            meta,
            after,
            best: LAST,
            found: Match::Default,
        };
        self.classifier.candidates(
            |dimension| value_of::<N>(dimension, fields, meta),
            &mut search,
        );
        search.found
    }

    fn is_match(&self, place: u32, fields: &Fields, meta: &N::Meta) -> bool {
        self.entry(place)
            .is_some_and(|entry| entry.rule.matches(fields, meta))
    }

    /// As [`RuleTable::find`], by asking each rule in order: as it is defined.
    pub fn find_one_by_one(&self, after: Option<u32>, subject: &Subject, meta: &N::Meta) -> Match {
        let after = after.map(|place| self.order.rank(place));
        let matching = self.order.iter().find(|&place| {
            after.is_none_or(|after| self.order.rank(place) > after)
                && self.is_match(place, &subject.fields, meta)
        });
        matching.map_or(Match::Default, Match::Rule)
    }

    /// The rule at `place`.
    pub fn entry(&self, place: u32) -> Option<&TableEntry<N>> {
        self.entries.get(place as usize)?.as_ref()
    }

    /// The same, to be counted.
    pub(crate) fn entry_mut(&mut self, place: u32) -> Option<&mut TableEntry<N>> {
        self.entries.get_mut(place as usize)?.as_mut()
    }

    /// The rules in the order in which they are asked.
    pub fn entries(&self) -> impl Iterator<Item = &TableEntry<N>> {
        self.order.iter().filter_map(|place| self.entry(place))
    }

    /// As [`RuleTable::entries`], from the one on that `skipped` others come before. Those cost little.
    pub fn entries_from(&self, skipped: usize) -> impl Iterator<Item = &TableEntry<N>> {
        let places = self.order.iter_from(skipped);
        places.filter_map(|place| self.entry(place))
    }

    /// Rules there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Counts a packet that `matched` decided over.
    pub fn count(&mut self, matched: Match) {
        match matched {
            Match::Rule(place) => {
                if let Some(Some(entry)) = self.entries.get_mut(place as usize) {
                    entry.hits += 1;
                }
            }
            Match::Default => self.default_hits += 1,
        }
    }

    /// What happens to packets that no rule matches.
    pub fn default_action(&self) -> DefaultAction {
        self.default
    }

    /// How many packets no rule matched.
    pub fn default_hits(&self) -> u64 {
        self.default_hits
    }

    /// Says how many packets a rule has decided over.
    pub(crate) fn set_hits(&mut self, id: RuleId, hits: u64) {
        let place = self.places.get(&id);
        let slot = place.and_then(|place| self.entries.get_mut(*place as usize));
        if let Some(Some(entry)) = slot {
            entry.hits = hits;
        }
    }

    /// Says how many packets no rule matched.
    pub(crate) fn set_default_hits(&mut self, hits: u64) {
        self.default_hits = hits;
    }

    fn enter(&mut self, entry: TableEntry<N>) {
        let (place, moves) = self.order.insert(rank_of(&entry));
        self.make(moves);
        self.settle(place, entry);
        self.note_few();
    }

    fn note_few(&mut self) {
        self.few.clear();
        self.firsts.clear();
        self.always = None;
        self.is_many = self.len() > FEW;
        if self.is_many {
            return;
        }
        for place in self.order.iter() {
            if let Some(Some(entry)) = self.entries.get(place as usize) {
                self.few.push((Gist::of(entry.rule.predicates()), place));
            }
        }
        self.firsts
            .extend(self.few.iter().map(|(gist, _)| gist.first()));
        self.always = match self.few.first() {
            None => Some(Match::Default),
            Some((gist, place)) if gist.asks_nothing() => Some(Match::Rule(*place)),
            Some(_) => None,
        };
    }

    fn settle(&mut self, place: u32, entry: TableEntry<N>) {
        if self.entries.len() < self.order.places() {
            self.entries.resize_with(self.order.places(), || None);
        }
        self.places.insert(entry.id, place);
        let conditions = conditions(entry.rule.predicates());
        self.classifier.insert(place, &conditions);
        if let Some(slot) = self.entries.get_mut(place as usize) {
            *slot = Some(entry);
        }
    }

    fn make(&mut self, moves: Vec<Move>) {
        for Move { from, to } in moves {
            let Some(entry) = self.entries.get_mut(from as usize).and_then(Option::take) else {
                continue;
            };
            let conditions = conditions(entry.rule.predicates());
            self.classifier.remove(from, &conditions);
            self.settle(to, entry);
        }
    }
}

impl<N: Network> fmt::Debug for RuleTable<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries().map(|entry| &entry.rule))
            .finish()
    }
}

/// Where a rule comes: by priority, then denials, then by identifier downwards.
fn rank_of<N: Network>(entry: &TableEntry<N>) -> Rank {
    /// More identifiers than can be given out in the life of a table.
    const IDS: u64 = 1 << 47;
    let priority = u64::from(entry.rule.priority()) << 48;
    let allows = u64::from(!entry.rule.action().is_deny()) << 47;
    priority | allows | ((IDS - 1).wrapping_sub(entry.id) % IDS)
}

/// A search among candidates.
struct Search<'a, N: Network> {
    table: &'a RuleTable<N>,
    fields: &'a Fields,
    meta: &'a N::Meta,
    after: Option<Rank>,
    /// The rank of what was found.
    best: Rank,
    found: Match,
}

impl<N: Network> Visitor for Search<'_, N> {
    #[inline]
    fn is_worth(&self, block: u32) -> bool {
        self.table.order.first_of(block) < self.best
    }

    #[inline]
    fn visit(&mut self, block: u32, candidates: u64) {
        let mut left = candidates;
        while left != 0 {
            let place = block * BLOCK + left.trailing_zeros();
            left &= left - 1;
            let rank = self.table.order.rank(place);
            if rank >= self.best || self.after.is_some_and(|after| rank <= after) {
                continue;
            }
            // A candidate may ask for more than was looked up.
            if self.table.is_match(place, self.fields, self.meta) {
                self.best = rank;
                self.found = Match::Rule(place);
            }
        }
    }
}
