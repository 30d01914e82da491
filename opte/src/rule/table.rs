//! The table of a layer's rules.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::bits::BLOCK;
use super::classifier::{Classifier, Visitor};
use super::condition::{Condition, conditions, value_of};
use super::few::{Few, Met};
use super::order::{LAST, Move, Order, Rank};
use super::subject::{Gist, Glance, Rest, Subject};
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
    /// The places. Rules that ask for the same things are together, so that most blocks have no candidates.
    order: Order,
    /// All rules in the order in which they are asked, at places of its own, and what of the others these stand for.
    listing: Order,
    listed: Vec<u32>,
    kinds: Kinds,
    classifier: Classifier,
    /// By identifier.
    places: BTreeMap<RuleId, u32>,
    /// The rules as long as they are few.
    few: Few,
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
            listing: Order::default(),
            listed: Vec::new(),
            kinds: Kinds::default(),
            classifier: Classifier::default(),
            places: BTreeMap::new(),
            few: Few::default(),
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
        if let Some(at) = self.listing.place_of(self.order.rank(place)) {
            let moves = self.listing.remove(at);
            self.relist(moves);
        }
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
        if self.is_many {
            return self.search(after, &subject.fields, meta);
        }
        self.find_few(after, &subject.glance, || subject.fields, meta)
    }

    /// What became of a packet that was as this one is, so far as few rules ask. None if none is remembered.
    #[inline(always)]
    pub(crate) fn met(&self, glance: &Glance) -> Option<&Met> {
        self.few.met(glance)
    }

    /// The first match of a packet that is as another one was.
    #[inline(never)]
    pub(crate) fn find_met(
        &self,
        met: &Met,
        glance: &Glance,
        fields: impl Fn() -> Fields,
        meta: &N::Meta,
    ) -> Match {
        if let Some(place) = met.place
            && self.grants(met.rest, place, &fields, meta)
        {
            return Match::Rule(place);
        }
        let mut behind = self.few.behind(met, glance);
        let found = behind.find(|rule| self.grants(rule.rest, rule.place, &fields, meta));
        found.map_or(Match::Default, |rule| Match::Rule(rule.place))
    }

    /// As [`RuleTable::find`], of a packet that may be worth to be remembered.
    pub(crate) fn meet(
        &mut self,
        after: Option<u32>,
        glance: &Glance,
        fields: impl Fn() -> Fields,
        meta: &N::Meta,
    ) -> Match {
        if self.is_many {
            return self.search(after, &fields(), meta);
        }
        if after.is_none() {
            self.few.remember(glance);
        }
        self.find_few(after, glance, fields, meta)
    }

    fn find_few(
        &self,
        after: Option<u32>,
        glance: &Glance,
        fields: impl Fn() -> Fields,
        meta: &N::Meta,
    ) -> Match {
        let after = after.map(|place| self.order.rank(place));
        let found = self.few.candidates(glance).find(|rule| {
            after.is_none_or(|after| self.order.rank(rule.place) > after)
                && self.grants(rule.rest, rule.place, &fields, meta)
        });
        found.map_or(Match::Default, |rule| Match::Rule(rule.place))
    }

    /// Whether a rule grants what is beside its gist.
    fn grants(&self, rest: Rest, place: u32, fields: impl Fn() -> Fields, meta: &N::Meta) -> bool {
        match rest {
            Rest::Nothing => true,
            Rest::Meta => self.suits(place, meta),
            Rest::Anything => self.is_match(place, &fields(), meta),
        }
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
        let matching = self.in_order(0).find(|&place| {
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
        self.entries_from(0)
    }

    /// As [`RuleTable::entries`], from the one on that `skipped` others come before. Those cost little.
    pub fn entries_from(&self, skipped: usize) -> impl Iterator<Item = &TableEntry<N>> {
        let places = self.in_order(skipped);
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

    /// Counts so many packets that no rule matched.
    #[inline(always)]
    pub(crate) fn count_default(&mut self, packets: u64) {
        self.default_hits += packets;
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
        let rank = rank_of(&entry);
        let (at, moves) = self.listing.insert(rank, 0);
        self.relist(moves);
        let conditions = conditions(entry.rule.predicates());
        let group = self.kinds.group_of(&conditions);
        let (place, moves) = self.order.insert(rank, group);
        self.make(moves);
        self.list(at, place);
        self.settle(place, entry, &conditions);
        self.note_few();
    }

    fn note_few(&mut self) {
        self.few = Few::default();
        self.always = None;
        self.is_many = self.len() > FEW;
        if self.is_many {
            return;
        }
        let few = self.in_order(0).filter_map(|place| {
            let entry = self.entry(place)?;
            Some((Gist::of(entry.rule.predicates()), place))
        });
        self.few = Few::of(few);
        self.always = match self.few.first() {
            None => Some(Match::Default),
            Some(rule) if rule.asks_nothing() => Some(Match::Rule(rule.place)),
            Some(_) => None,
        };
    }

    fn settle(&mut self, place: u32, entry: TableEntry<N>, conditions: &[Condition]) {
        if self.entries.len() < self.order.places() {
            self.entries.resize_with(self.order.places(), || None);
        }
        self.places.insert(entry.id, place);
        self.classifier.insert(place, conditions);
        if let Some(slot) = self.entries.get_mut(place as usize) {
            *slot = Some(entry);
        }
    }

    /// The places of all rules in their order, but for the first `skipped`.
    fn in_order(&self, skipped: usize) -> impl Iterator<Item = u32> + '_ {
        let listed = self.listing.iter_from(skipped);
        listed.filter_map(|at| self.listed.get(at as usize).copied())
    }

    /// Notes that the rule at a place of the listing has this place.
    fn list(&mut self, at: u32, place: u32) {
        if self.listed.len() < self.listing.places() {
            self.listed.resize(self.listing.places(), 0);
        }
        if let Some(listed) = self.listed.get_mut(at as usize) {
            *listed = place;
        }
    }

    fn relist(&mut self, moves: Vec<Move>) {
        for Move { from, to } in moves {
            if let Some(&place) = self.listed.get(from as usize) {
                self.list(to, place);
            }
        }
    }

    fn make(&mut self, moves: Vec<Move>) {
        for Move { from, to } in moves {
            let Some(entry) = self.entries.get_mut(from as usize).and_then(Option::take) else {
                continue;
            };
            let conditions = conditions(entry.rule.predicates());
            self.classifier.remove(from, &conditions);
            if let Some(at) = self.listing.place_of(rank_of(&entry)) {
                self.list(at, to);
            }
            self.settle(to, entry, &conditions);
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

/// Kinds of rules, by what they ask for: the dimensions, by bit.
#[derive(Default)]
struct Kinds(Vec<u32>);

impl Kinds {
    /// Groups that rules are kept in. Where there are more kinds some share one.
    const GROUPS: usize = 16;

    /// The group of a rule with these conditions.
    fn group_of(&mut self, conditions: &[Condition]) -> u8 {
        let wanted = conditions.iter().filter(|condition| condition.wanted);
        let kind = wanted.fold(0, |kind, condition| kind | 1 << condition.dimension);
        let Self(kinds) = self;
        match kinds.iter().position(|known| *known == kind) {
            Some(group) => group as u8,
            None if kinds.len() < Self::GROUPS => {
                kinds.push(kind);
                kinds.len() as u8 - 1
            }
            None => (kind % Self::GROUPS as u32) as u8,
        }
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
