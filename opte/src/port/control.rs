//! What a port is told.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Inner, MAX_LAYERS, Port, PortError, PortState};
use crate::Direction;
use crate::direction::PerDirection;
use crate::flow::Expired;
use crate::network::Network;
use crate::provider::Level;
use crate::rule::{Rule, RuleId, RuleTable};
use crate::sync::atomic::Ordering;
use crate::time::Moment;

/// A change of a layer's rules.
pub enum RuleChange<N: Network> {
    /// Adds a rule.
    Add {
        /// The layer.
        layer: String,
        /// The direction the rule is for.
        dir: Direction,
        /// The rule.
        rule: Rule<N>,
    },
    /// Takes a rule out.
    Remove {
        /// The layer.
        layer: String,
        /// The direction the rule is for.
        dir: Direction,
        /// The rule's identifier.
        id: RuleId,
    },
    /// Puts rules in the place of all there are, in both directions.
    Set {
        /// The layer.
        layer: String,
        /// The rules for packets to the guest.
        inbound: Vec<Rule<N>>,
        /// The rules for packets from the guest.
        outbound: Vec<Rule<N>>,
    },
}

impl<N: Network> Port<N> {
    /// Lets packets through.
    pub fn start(&self) {
        let _one = self.commands.lock();
        let mut inner = self.inner.lock();
        inner.give_up_restoring();
        self.starts.fetch_add(1, Ordering::Release);
        self.set_state(PortState::Running);
        drop(inner);
        self.note("started");
    }

    /// Stops packets and keeps all state.
    pub fn pause(&self) -> Result<(), PortError> {
        let _one = self.commands.lock();
        let inner = self.inner.lock();
        self.must_be(&[PortState::Running])?;
        self.set_state(PortState::Paused);
        drop(inner);
        self.note("paused");
        Ok(())
    }

    /// Forgets all flows and goes back to [`PortState::Ready`].
    pub fn reset(&self) {
        const SLICE: u32 = 64;
        let _one = self.commands.lock();
        let worker = self.worker();
        let mut inner = self.inner.lock();
        inner.give_up_restoring();
        self.set_state(PortState::Ready);
        inner.forget_fragments(&worker.counts);
        drop(inner);
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.inner.lock().flows.clear(from, SLICE);
        }
        self.note("reset");
    }

    fn note(&self, what: &str) {
        self.log
            .log(Level::Note, format_args!("port {}: {what}", self.name));
    }

    pub(super) fn must_be(&self, states: &[PortState]) -> Result<(), PortError> {
        let state = self.state();
        if states.contains(&state) {
            Ok(())
        } else {
            Err(PortError::BadState(state))
        }
    }

    /// Changes rules, of several layers if need be: all changes are made, and seen together, or none is. Says the
    /// identifiers of the rules added by [`RuleChange::Add`]. Every flow is judged anew before its next packet.
    pub fn change_rules(&self, changes: Vec<RuleChange<N>>) -> Result<Vec<RuleId>, PortError> {
        let _one = self.commands.lock();
        self.must_be(&[PortState::Ready, PortState::Running, PortState::Restored])?;
        // What takes long is done while packets pass: whole tables are made beside those in use.
        let names = self.layer_names();
        let mut touched = [Touched::No; MAX_LAYERS];
        let mut steps = Vec::new();
        for change in changes {
            let step = self.prepare(&names, change)?;
            let step = step.join(&mut steps, &mut touched);
            steps.push(step);
        }
        let mut inner = self.inner.lock();
        let mut removed = Vec::new();
        for step in &steps {
            if let Step::Remove { at, dir, id } = *step {
                let layer = inner.layers.get(at);
                let there = layer.is_some_and(|layer| layer.rules(dir).contains(id));
                if !there || removed.contains(&(at, dir, id)) {
                    return Err(PortError::RuleNotFound(id));
                }
                removed.push((at, dir, id));
            }
        }
        let mut added = Vec::new();
        let mut gone = Vec::new();
        for step in steps {
            added.extend(inner.make(step, &mut gone));
        }
        self.changed();
        drop(inner);
        drop(gone);
        Ok(added)
    }

    fn layer_names(&self) -> Vec<Arc<str>> {
        let inner = self.inner.lock();
        let names = inner.layers.iter().map(|layer| Arc::clone(layer.name()));
        names.collect()
    }

    /// A change with its layer found and its tables made.
    fn prepare(&self, names: &[Arc<str>], change: RuleChange<N>) -> Result<Step<N>, PortError> {
        let place = |layer: String| {
            let at = names.iter().position(|name| **name == *layer);
            at.ok_or(PortError::LayerNotFound(layer))
        };
        Ok(match change {
            RuleChange::Add { layer, dir, rule } => Step::Add {
                at: place(layer)?,
                dir,
                rule,
            },
            RuleChange::Remove { layer, dir, id } => Step::Remove {
                at: place(layer)?,
                dir,
                id,
            },
            RuleChange::Set {
                layer,
                inbound,
                outbound,
            } => {
                let at = place(layer.clone())?;
                let inner = self.inner.lock();
                let Some(present) = inner.layers.get(at) else {
                    return Err(PortError::LayerNotFound(layer));
                };
                let heir = |dir| present.rules(dir).heir();
                let (mut into, mut out) = (heir(Direction::In), heir(Direction::Out));
                drop(inner);
                into.fill(inbound);
                out.fill(outbound);
                Step::Set {
                    at,
                    tables: Box::new(PerDirection {
                        inbound: into,
                        outbound: out,
                    }),
                }
            }
        })
    }

    /// Adds a rule to a layer.
    pub fn add_rule(
        &self,
        layer: &str,
        dir: Direction,
        rule: Rule<N>,
    ) -> Result<RuleId, PortError> {
        let layer = String::from(layer);
        let added = self.change_rules(alloc::vec![RuleChange::Add { layer, dir, rule }])?;
        Ok(added.first().copied().unwrap_or_default())
    }

    /// Takes a rule out of a layer.
    pub fn remove_rule(&self, layer: &str, dir: Direction, id: RuleId) -> Result<(), PortError> {
        let layer = String::from(layer);
        self.change_rules(alloc::vec![RuleChange::Remove { layer, dir, id }])
            .map(|_| ())
    }

    /// Puts rules in the place of all that a layer has. Flows on which the new rules agree with the old ones keep what
    /// they have.
    pub fn set_rules(
        &self,
        layer: &str,
        inbound: Vec<Rule<N>>,
        outbound: Vec<Rule<N>>,
    ) -> Result<(), PortError> {
        let layer = String::from(layer);
        self.change_rules(alloc::vec![RuleChange::Set {
            layer,
            inbound,
            outbound
        }])
        .map(|_| ())
    }

    /// Empties the unified flow table: the next packet of each flow walks the layers. What the layers decided is kept, and
    /// so is the state of connections.
    pub fn clear_uft(&self) -> Result<(), PortError> {
        let _one = self.commands.lock();
        let mut inner = self.inner.lock();
        self.must_be(&[PortState::Running])?;
        inner.cleared = self.changed();
        Ok(())
    }

    /// Forgets what a layer has decided over flows: their next packets are decided by its rules.
    pub fn clear_lft(&self, layer: &str) -> Result<(), PortError> {
        let _one = self.commands.lock();
        let mut inner = self.inner.lock();
        self.must_be(&[PortState::Running])?;
        let at = inner.layer(layer)?;
        let now = self.changed();
        if let Some(forgotten) = inner.forgotten.get_mut(at) {
            *forgotten = now;
        }
        Ok(())
    }

    /// Removes flows whose time is over, looking at `slice` flows at most. To be called every second or oftener, and again
    /// at once while there is more. First packets of flows pass every few flows, packets of known flows at any time.
    pub fn expire(&self, now: Moment, slice: u32) -> Expired {
        /// Flows that a first packet may have to wait for.
        const AT_ONCE: u32 = 16;
        let worker = self.worker();
        let mut all = Expired::default();
        let mut left = slice;
        while left != 0 {
            let mut inner = self.inner.lock();
            if self.state() == PortState::Paused {
                return Expired::default();
            }
            let some = left.min(AT_ONCE);
            inner.expire_fragments(&worker.counts, now, some);
            let expired = inner.flows.expire(now, some);
            all.flows += expired.flows;
            all.looked_at += expired.looked_at;
            all.more = expired.more;
            if self.probes.is_on() {
                let passages = inner.passages();
                drop(inner);
                self.show_passages(now, &[], passages);
            }
            if !expired.more {
                break;
            }
            left -= some;
        }
        all
    }
}

/// What the steps so far do to a layer's tables.
#[derive(Clone, Copy)]
enum Touched {
    No,
    /// The step of this number puts others in their place.
    Set(usize),
    /// More: the identifiers that come next are not yet known.
    Otherwise,
}

impl<N: Network> Step<N> {
    /// The step to make behind those before. A rule that is added to a table that is not yet in use is added at once.
    fn join(self, before: &mut [Self], touched: &mut [Touched; MAX_LAYERS]) -> Self {
        let (Step::Add { at, .. } | Step::Set { at, .. }) = self else {
            return self;
        };
        let Some(touched) = touched.get_mut(at) else {
            return self;
        };
        match (self, *touched) {
            (Step::Add { at, dir, rule }, Touched::Set(number)) => match before.get_mut(number) {
                Some(Step::Set { tables, .. }) => Step::Added(tables.get_mut(dir).add(rule)),
                _ => Step::Add { at, dir, rule },
            },
            (step @ Step::Set { .. }, Touched::No) => {
                *touched = Touched::Set(before.len());
                step
            }
            (step, _) => {
                *touched = Touched::Otherwise;
                step
            }
        }
    }
}

impl<N: Network> Inner<N> {
    pub(super) fn layer(&self, name: &str) -> Result<usize, PortError> {
        let at = self.layers.iter().position(|layer| &**layer.name() == name);
        at.ok_or_else(|| PortError::LayerNotFound(String::from(name)))
    }

    /// Makes a change that was found possible; says the identifier of an added rule. What it displaces is left to be dropped
    /// later.
    fn make(&mut self, step: Step<N>, gone: &mut Vec<Gone<N>>) -> Option<RuleId> {
        match step {
            Step::Add { at, dir, rule } => {
                return Some(self.layers.get_mut(at)?.add_rule(dir, rule));
            }
            Step::Added(id) => return Some(id),
            Step::Remove { at, dir, id } => {
                let rule = self.layers.get_mut(at)?.rules_mut(dir).remove(id)?;
                gone.push(Gone::Rule(rule));
            }
            Step::Set { at, mut tables } => {
                let layer = self.layers.get_mut(at)?;
                for dir in Direction::BOTH {
                    layer.rules_mut(dir).give_way(tables.get_mut(dir));
                }
                gone.push(Gone::Tables(tables));
            }
        }
        None
    }
}

/// A change of rules that is ready to be made.
enum Step<N: Network> {
    Add {
        at: usize,
        dir: Direction,
        rule: Rule<N>,
    },
    /// A rule with this identifier is in a table that is set.
    Added(RuleId),
    Remove {
        at: usize,
        dir: Direction,
        id: RuleId,
    },
    Set {
        at: usize,
        tables: Box<PerDirection<RuleTable<N>>>,
    },
}

/// What a change displaced.
#[expect(dead_code, reason = "held to be dropped")]
enum Gone<N: Network> {
    Rule(Rule<N>),
    Tables(Box<PerDirection<RuleTable<N>>>),
}
