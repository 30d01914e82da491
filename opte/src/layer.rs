//! Layers: the rules of both directions under one name.

use alloc::sync::Arc;

use crate::Direction;
use crate::direction::PerDirection;
use crate::network::Network;
use crate::rule::{DefaultAction, Match, Rule, RuleId, RuleTable};

/// A layer of a port: a name, and for each direction rules and a default.
#[derive(Debug)]
pub struct Layer<N: Network> {
    name: Arc<str>,
    tables: PerDirection<RuleTable<N>>,
    counters: PerDirection<LayerCounters>,
}

/// What happened to packets in one direction of a layer. A flow counts with its first packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerCounters {
    /// Packets that matched a rule.
    pub rule_match: u64,
    /// Packets left to the default.
    pub rule_no_match: u64,
    /// Packets denied, by a rule, an action or the default.
    pub deny: u64,
    /// Packets decided by what the layer had decided for their flow before.
    pub flow_hit: u64,
}

impl<N: Network> Layer<N> {
    /// A layer without rules.
    pub fn new(
        name: impl Into<Arc<str>>,
        default_in: DefaultAction,
        default_out: DefaultAction,
    ) -> Self {
        Self {
            name: name.into(),
            tables: PerDirection {
                inbound: RuleTable::new(default_in),
                outbound: RuleTable::new(default_out),
            },
            counters: PerDirection::default(),
        }
    }

    /// The layer with one more rule, for building.
    #[must_use]
    pub fn with_rule(mut self, dir: Direction, rule: Rule<N>) -> Self {
        self.add_rule(dir, rule);
        self
    }

    /// Adds a rule and says its identifier.
    pub fn add_rule(&mut self, dir: Direction, rule: Rule<N>) -> RuleId {
        self.tables.get_mut(dir).add(rule)
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The rules of `dir`.
    pub fn rules(&self, dir: Direction) -> &RuleTable<N> {
        self.tables.get(dir)
    }

    /// The rules of `dir`, to be changed.
    pub fn rules_mut(&mut self, dir: Direction) -> &mut RuleTable<N> {
        self.tables.get_mut(dir)
    }

    /// What happened to packets that went `dir`.
    pub fn counters(&self, dir: Direction) -> &LayerCounters {
        self.counters.get(dir)
    }

    /// The rules of `dir`, and what is counted of them.
    #[inline(always)]
    pub(crate) fn asked(&mut self, dir: Direction) -> (&mut RuleTable<N>, &mut LayerCounters) {
        (self.tables.get_mut(dir), self.counters.get_mut(dir))
    }

    /// Counts a packet that `matched` decided over.
    pub(crate) fn count(&mut self, dir: Direction, matched: Match) {
        self.tables.get_mut(dir).count(matched);
        let counters = self.counters.get_mut(dir);
        match matched {
            Match::Rule(_) => counters.rule_match += 1,
            Match::Default => counters.rule_no_match += 1,
        }
    }

    pub(crate) fn counters_mut(&mut self, dir: Direction) -> &mut LayerCounters {
        self.counters.get_mut(dir)
    }
}
