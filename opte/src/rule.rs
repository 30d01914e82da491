//! Rules and the tables they stand in.

mod bits;
mod classifier;
mod condition;
mod few;
mod order;
mod subject;
mod table;

use alloc::vec::Vec;
use core::fmt;

pub(crate) use subject::Ip;
pub use subject::{Glance, Subject};
pub use table::{Match, RuleTable, TableEntry};

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
