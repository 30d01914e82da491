//! Rules and the tables they stand in.

use alloc::vec::Vec;
use core::fmt;

use crate::action::Action;
use crate::flow::Fields;
use crate::network::Network;
use crate::predicate::Predicate;

/// The identifier of a rule within its table. It is never used again after the rule is gone.
pub type RuleId = u64;

/// An action for the packets that match every one of the predicates.
pub struct Rule<N: Network> {
    priority: u16,
    predicates: Vec<Predicate<N>>,
    action: Action<N>,
}

impl<N: Network> Rule<N> {
    /// A rule for packets that match all of `predicates`. A lower `priority` is asked first.
    pub fn new(
        priority: u16,
        predicates: impl IntoIterator<Item = Predicate<N>>,
        action: Action<N>,
    ) -> Self {
        Self {
            priority,
            predicates: predicates.into_iter().collect(),
            action,
        }
    }

    /// A rule for every packet.
    pub fn match_any(priority: u16, action: Action<N>) -> Self {
        Self::new(priority, [], action)
    }

    /// Its priority: the lowest matching number wins.
    pub fn priority(&self) -> u16 {
        self.priority
    }

    /// What a packet must match, all of it.
    pub fn predicates(&self) -> &[Predicate<N>] {
        &self.predicates
    }

    /// What is done with a packet that matches.
    pub fn action(&self) -> &Action<N> {
        &self.action
    }

    /// Whether a packet with these fields and this metadata matches.
    pub fn matches(&self, fields: &Fields, meta: &N::Meta) -> bool {
        self.predicates
            .iter()
            .all(|predicate| predicate.matches(fields, meta))
    }
}

impl<N: Network> Clone for Rule<N> {
    fn clone(&self) -> Self {
        Self {
            priority: self.priority,
            predicates: self.predicates.clone(),
            action: self.action.clone(),
        }
    }
}

impl<N: Network> fmt::Debug for Rule<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("priority", &self.priority)
            .field("predicates", &self.predicates)
            .field("action", &self.action)
            .finish()
    }
}

/// What happens to a packet that no rule of the table matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// It passes.
    Allow,
    /// It passes, and with it the whole flow in both directions.
    StatefulAllow,
    /// It is dropped.
    Deny,
}

impl fmt::Display for DefaultAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DefaultAction::Allow => "allow",
            DefaultAction::StatefulAllow => "stateful allow",
            DefaultAction::Deny => "deny",
        })
    }
}

/// A rule in its table.
pub struct TableEntry<N: Network> {
    /// Its identifier.
    pub id: RuleId,
    /// How many packets it decided over: first packets of flows, and packets that are no flow's.
    pub hits: u64,
    /// The rule.
    pub rule: Rule<N>,
}

/// The rules of one direction of a layer, in the order in which they are asked: by priority, denials before others of the
/// same priority, then the newer first.
pub struct RuleTable<N: Network> {
    entries: Vec<TableEntry<N>>,
    default: DefaultAction,
    default_hits: u64,
    next_id: RuleId,
}

/// What a table says to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The rule at this place matches.
    Rule(usize),
    /// No rule matches.
    Default,
}

impl<N: Network> RuleTable<N> {
    /// An empty table.
    pub fn new(default: DefaultAction) -> Self {
        Self {
            entries: Vec::new(),
            default,
            default_hits: 0,
            next_id: 0,
        }
    }

    /// Adds a rule and says its identifier.
    pub fn add(&mut self, rule: Rule<N>) -> RuleId {
        let id = self.next_id;
        self.next_id += 1;
        let rank = |rule: &Rule<N>| (rule.priority, !rule.action.is_deny());
        let place = self
            .entries
            .partition_point(|entry| rank(&entry.rule) < rank(&rule));
        self.entries.insert(place, TableEntry { id, hits: 0, rule });
        id
    }

    /// Takes the rule `id` out, if it is there.
    pub fn remove(&mut self, id: RuleId) -> Option<Rule<N>> {
        let place = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries.remove(place).rule)
    }

    /// Whether the rule `id` is there.
    pub fn contains(&self, id: RuleId) -> bool {
        self.entries.iter().any(|entry| entry.id == id)
    }

    /// Puts `rules` in the place of all there are. Identifiers go on.
    pub fn replace(&mut self, rules: impl IntoIterator<Item = Rule<N>>) {
        self.entries.clear();
        for rule in rules {
            self.add(rule);
        }
    }

    /// The first match at place `from` or later.
    pub fn find(&self, from: usize, fields: &Fields, meta: &N::Meta) -> Match {
        let rest = self.entries.get(from..).unwrap_or_default();
        match rest
            .iter()
            .position(|entry| entry.rule.matches(fields, meta))
        {
            Some(place) => Match::Rule(from + place),
            None => Match::Default,
        }
    }

    /// The rule at `place`.
    pub fn entry(&self, place: usize) -> Option<&TableEntry<N>> {
        self.entries.get(place)
    }

    /// The rules in the order in which they are asked.
    pub fn entries(&self) -> &[TableEntry<N>] {
        &self.entries
    }

    /// Counts a packet that `matched` decided over.
    pub fn count(&mut self, matched: Match) {
        match matched {
            Match::Rule(place) => {
                if let Some(entry) = self.entries.get_mut(place) {
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
}

impl<N: Network> fmt::Debug for RuleTable<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| &entry.rule))
            .finish()
    }
}
