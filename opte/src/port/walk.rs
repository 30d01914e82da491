//! The walk of a flow's first packet through the layers, and of the answer to it.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use opte_headers::frame::Parsed;
use opte_headers::program::Program;

use super::Step;
use crate::action::{Action, ActionError, AllowOrDeny, Context, Descriptor, Hairpin, StaticAction};
use crate::flow::{Decision, Decisions, Key};
use crate::layer::Layer;
use crate::memory;
use crate::network::{Handled, Network};
use crate::rule::{DefaultAction, Match, RuleTable, Subject};
use crate::saved::Saved;
use crate::{Direction, DropReason};

/// A packet on its way through the layers.
pub(super) struct Walk<N: Network> {
    pub(super) dir: Direction,
    /// Its key as it stands.
    pub(super) key: N::Key,
    /// Where its innermost IP header stands.
    pub(super) l3: u8,
    pub(super) meta: N::Meta,
    /// All that was done to it so far.
    pub(super) program: Program,
    /// What the layers decided over its flow.
    pub(super) decisions: Decisions<N>,
    /// Whether what was done follows from the key alone, so that it holds for the flow.
    pub(super) of_flow: bool,
    /// The same for rules to be asked about, as soon as one is.
    subject: Option<Subject>,
    counts: bool,
    /// What the layers did, if anybody asks.
    steps: Option<Vec<Step>>,
    /// What layers had for the flow, by their numbers, if it was saved.
    saved: Vec<(u8, Saved)>,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The packet passed all layers.
    Pass,
    /// It was answered: so many bytes of the reply buffer.
    Reply(usize),
    /// It was dropped.
    Drop(DropReason),
}

/// The packet itself, for the actions that look at it.
pub(super) struct Frame<'a> {
    pub(super) parsed: &'a Parsed,
    pub(super) bytes: &'a [u8],
    pub(super) reply: &'a mut [u8],
}

/// Why a walk stopped before its end.
enum Stop {
    Reply(usize),
    Drop(DropReason),
}

impl From<ActionError> for Stop {
    fn from(error: ActionError) -> Self {
        Stop::Drop(match error {
            ActionError::Exhausted(_) => DropReason::ActionResourceExhausted,
            ActionError::Program(_) => DropReason::ProgramCapacity,
            ActionError::Refused(reason) => reason,
            ActionError::MissingMeta(_) | ActionError::Unsupported(_) => DropReason::ActionFailed,
        })
    }
}

impl<N: Network> Walk<N> {
    /// A packet before its first layer.
    pub(super) fn new(dir: Direction, key: N::Key, l3: u8) -> Self {
        Self {
            dir,
            key,
            l3,
            meta: N::Meta::default(),
            program: Program::IDENTITY,
            decisions: Decisions::new(),
            of_flow: true,
            subject: None,
            counts: true,
            steps: None,
            saved: Vec::new(),
        }
    }

    /// A packet that is not counted.
    pub(super) fn uncounted(dir: Direction, key: N::Key, l3: u8) -> Self {
        Self {
            counts: false,
            ..Self::new(dir, key, l3)
        }
    }

    /// A packet that is not counted, and whose steps are recorded.
    pub(super) fn observed(dir: Direction, key: N::Key, l3: u8) -> Self {
        Self {
            steps: Some(Vec::new()),
            ..Self::uncounted(dir, key, l3)
        }
    }

    /// The first packet of a flow that was saved with these states of layers; not counted.
    pub(super) fn restored(dir: Direction, key: N::Key, l3: u8, saved: Vec<(u8, Saved)>) -> Self {
        Self {
            saved,
            ..Self::uncounted(dir, key, l3)
        }
    }

    /// Has the steps recorded.
    pub(super) fn record(&mut self) {
        self.steps = Some(Vec::new());
    }

    /// The steps recorded so far.
    pub(super) fn take_steps(&mut self) -> Vec<Step> {
        self.steps.take().unwrap_or_default()
    }

    /// Takes the packet through all layers by their rules. A descriptor among `held` is kept where the rules still ask for
    /// one and it still holds. Without a `frame` the rules that look at the packet are passed over.
    pub(super) fn forward(
        &mut self,
        network: &N,
        layers: &mut [Layer<N>],
        held: impl Fn(usize) -> Option<Arc<dyn Descriptor<N>>>,
        mut frame: Option<Frame<'_>>,
        context: Context<'_>,
    ) -> End {
        for step in 0..layers.len() {
            let at = place(self.dir, step, layers.len());
            let Some(layer) = layers.get_mut(at) else {
                continue;
            };
            match self.ask(network, layer, at, held(at), frame.as_mut(), context) {
                Ok(()) => {}
                Err(Stop::Reply(len)) => return End::Reply(len),
                Err(Stop::Drop(reason)) => {
                    if self.counts {
                        layer.counters_mut(self.dir).deny += 1;
                    }
                    return End::Drop(reason);
                }
            }
        }
        End::Pass
    }

    /// Takes the packet, which answers the first one of a flow, through all layers: by what they have decided over the
    /// flow, and by their rules where they have decided nothing. `None` if that cannot be told before it comes, because a
    /// rule would drop it or look at it.
    pub(super) fn back(&mut self, layers: &[Layer<N>], decisions: &Decisions<N>) -> Option<()> {
        for step in 0..layers.len() {
            let at = place(self.dir, step, layers.len());
            let layer = layers.get(at)?;
            match decisions.get(at) {
                Decision::Allow => {}
                Decision::Descriptor(descriptor) => {
                    descriptor.mark(self.dir, &mut self.meta);
                    self.transform_by(&**descriptor).ok()?;
                }
                Decision::None => self.answer(layer)?,
            }
        }
        Some(())
    }

    fn answer(&mut self, layer: &Layer<N>) -> Option<()> {
        let rules = layer.rules(self.dir);
        let Match::Rule(place) = self.matching(rules, None) else {
            return (rules.default_action() != DefaultAction::Deny).then_some(());
        };
        match rules.entry(place)?.rule.action() {
            // State is made by the first packet of a flow: where that one made none, its answer passes as it is.
            Action::Allow | Action::StatefulAllow | Action::Stateful(_) => Some(()),
            Action::Meta(action) => match action.modify(self.dir, &self.key, &mut self.meta) {
                Ok(AllowOrDeny::Allow(())) => Some(()),
                _ => None,
            },
            Action::Static(action) => self.transform(&**action).ok(),
            Action::Deny | Action::Reject | Action::Hairpin(_) | Action::HandlePacket => None,
        }
    }

    /// One layer, by its rules.
    fn ask(
        &mut self,
        network: &N,
        layer: &mut Layer<N>,
        at: usize,
        held: Option<Arc<dyn Descriptor<N>>>,
        mut frame: Option<&mut Frame<'_>>,
        context: Context<'_>,
    ) -> Result<(), Stop> {
        let dir = self.dir;
        let mut after = None;
        loop {
            let before = self.steps.is_some().then(|| self.set_out());
            let matched = self.matching(layer.rules(dir), after);
            let done = match matched {
                Match::Rule(place) => {
                    after = Some(place);
                    let Some(entry) = layer.rules(dir).entry(place) else {
                        return Ok(());
                    };
                    let action = entry.rule.action();
                    self.act(
                        network,
                        action,
                        at,
                        held.as_ref(),
                        frame.as_deref_mut(),
                        context,
                    )
                }
                Match::Default => self.fall_back(layer.rules(dir).default_action(), at),
            };
            let own = before.map(|(key, so_far)| (key, self.arrive(so_far)));
            if matches!(done, Ok(Done::NextRule)) {
                continue;
            }
            if self.counts {
                layer.rules_mut(dir).count(matched);
                let counters = layer.counters_mut(dir);
                match matched {
                    Match::Rule(_) => counters.rule_match += 1,
                    Match::Default => counters.rule_no_match += 1,
                }
            }
            if let Some((before, own)) = own {
                self.note(layer, matched, &before, &own?);
            }
            return done.map(|_| ());
        }
    }

    /// The first rule for the packet, after the one at `after`.
    #[inline(always)]
    fn matching(&mut self, rules: &RuleTable<N>, after: Option<u32>) -> Match {
        if after.is_none()
            && let Some(matched) = rules.unconditional()
        {
            return matched;
        }
        self.find(rules, after)
    }

    /// Stands apart, so that tables that ask nothing need no call.
    #[inline(never)]
    fn find(&mut self, rules: &RuleTable<N>, after: Option<u32>) -> Match {
        let key = &self.key;
        let subject = self
            .subject
            .get_or_insert_with(|| Subject::new(key.fields()));
        rules.find(after, subject, &self.meta)
    }

    fn fall_back(&mut self, default: DefaultAction, at: usize) -> Result<Done, Stop> {
        match default {
            DefaultAction::Allow => {}
            DefaultAction::StatefulAllow => self.decisions.allow(at),
            DefaultAction::Deny => return Err(Stop::Drop(DropReason::LayerDefaultDeny)),
        }
        Ok(Done::NextLayer)
    }

    /// Before a layer whose own doing is recorded: the key, and what was done so far, which is put aside.
    fn set_out(&mut self) -> (N::Key, Program) {
        let so_far = core::mem::replace(&mut self.program, Program::IDENTITY);
        (self.key, so_far)
    }

    /// Behind it: what the layer has done, which is added to what was done before.
    fn arrive(&mut self, so_far: Program) -> Result<Program, Stop> {
        let own = core::mem::replace(&mut self.program, so_far);
        self.program
            .append(&own)
            .map_err(|_| Stop::Drop(DropReason::ProgramCapacity))?;
        Ok(own)
    }

    /// Records what a layer did, if anybody asks.
    fn note(&mut self, layer: &Layer<N>, matched: Match, before: &N::Key, own: &Program) {
        let so_far = self.program;
        let Some(steps) = &mut self.steps else {
            return;
        };
        let rules = layer.rules(self.dir);
        let entry = match matched {
            Match::Rule(place) => rules.entry(place),
            Match::Default => None,
        };
        steps.push(Step {
            layer: layer.name().to_string(),
            rule: entry.map(|entry| entry.id),
            action: entry.map_or_else(
                || rules.default_action().to_string(),
                |entry| entry.rule.action().to_string(),
            ),
            before: before.id(),
            after: self.key.id(),
            transformation: before.text_of(own),
            so_far,
        });
    }

    fn act(
        &mut self,
        network: &N,
        action: &Action<N>,
        at: usize,
        held: Option<&Arc<dyn Descriptor<N>>>,
        frame: Option<&mut Frame<'_>>,
        context: Context<'_>,
    ) -> Result<Done, Stop> {
        let dir = self.dir;
        match action {
            Action::Allow => {}
            Action::StatefulAllow => self.decisions.allow(at),
            Action::Deny => return Err(Stop::Drop(DropReason::LayerRuleDeny)),
            Action::Reject => return Err(Stop::Drop(DropReason::LayerRuleReject)),
            Action::Meta(action) => allowed(action.modify(dir, &self.key, &mut self.meta)?)?,
            Action::Static(action) => self.transform(&**action)?,
            Action::Stateful(action) => {
                let descriptor = match held {
                    Some(held) if action.retains(dir, &self.key, &self.meta, &**held) => {
                        held.clone()
                    }
                    // What holds the state of a flow is made where it must not fail.
                    _ if !memory::is_at_hand() => {
                        return Err(Stop::Drop(DropReason::OutOfMemory));
                    }
                    _ => allowed(match self.saved_at(at) {
                        Some(saved) => {
                            action.restore(dir, &self.key, &mut self.meta, &saved, context)?
                        }
                        None => action.descriptor(dir, &self.key, &mut self.meta, context)?,
                    })?,
                };
                descriptor.mark(dir, &mut self.meta);
                self.transform_by(&*descriptor)?;
                self.decisions.hold(at, descriptor);
            }
            Action::Hairpin(action) => {
                self.of_flow = false;
                let Some(frame) = frame else {
                    return Ok(Done::NextRule);
                };
                return match action.reply(dir, frame.parsed, frame.bytes, frame.reply) {
                    Hairpin::Reply(len) => Err(Stop::Reply(len)),
                    Hairpin::Pass => Ok(Done::NextRule),
                    Hairpin::Deny => Err(Stop::Drop(DropReason::LayerActionDeny)),
                    Hairpin::TooLong => Err(Stop::Drop(DropReason::HairpinTooLong)),
                };
            }
            Action::HandlePacket => {
                self.of_flow = false;
                let Some(frame) = frame else {
                    return Ok(Done::NextRule);
                };
                return match network.handle_packet(dir, frame.parsed, frame.bytes, frame.reply) {
                    Handled::Allow => Ok(Done::NextLayer),
                    Handled::Deny => Err(Stop::Drop(DropReason::HandlerDeny)),
                    Handled::Reply(len) => Err(Stop::Reply(len)),
                    Handled::TooLong => Err(Stop::Drop(DropReason::HairpinTooLong)),
                };
            }
        }
        Ok(Done::NextLayer)
    }

    /// What the layer at this place had for the flow, if it was saved.
    fn saved_at(&self, layer: usize) -> Option<Saved> {
        let mut saved = self.saved.iter();
        let (_, saved) = saved.find(|(at, _)| usize::from(*at) == layer)?;
        Some(*saved)
    }

    /// Transforms the packet by a static action.
    fn transform(&mut self, action: &dyn StaticAction<N>) -> Result<(), Stop> {
        let (dir, key) = (self.dir, self.key);
        let (mut packet, meta) = self.packet();
        let mut done = Ok(());
        let shown = action.show(dir, &key, meta, &mut |program| done = packet.then(program));
        allowed(shown?)?;
        done
    }

    /// Transforms the packet as its flow's state in a layer says.
    fn transform_by(&mut self, descriptor: &dyn Descriptor<N>) -> Result<(), Stop> {
        let dir = self.dir;
        let (mut packet, _) = self.packet();
        let mut done = Ok(());
        descriptor.show(dir, &mut |program| done = packet.then(program))?;
        done
    }

    fn packet(&mut self) -> (OnItsWay<'_, N::Key>, &mut N::Meta) {
        let packet = OnItsWay {
            key: &mut self.key,
            subject: &mut self.subject,
            l3: &mut self.l3,
            program: &mut self.program,
        };
        (packet, &mut self.meta)
    }
}

/// What of a walk the transformations change.
struct OnItsWay<'a, K> {
    key: &'a mut K,
    subject: &'a mut Option<Subject>,
    l3: &'a mut u8,
    program: &'a mut Program,
}

impl<K: Key> OnItsWay<'_, K> {
    /// Adds a layer's transformation to what was done before.
    fn then(&mut self, program: &Program) -> Result<(), Stop> {
        if program.is_identity() {
            return Ok(());
        }
        if !program.rewrite.is_empty() {
            let key = self.key.rewritten(program, *self.l3);
            if key != *self.key {
                *self.key = key;
                *self.subject = None;
            }
        }
        let l3 = usize::from(*self.l3) + program.prefix.pushed();
        // A program that takes the IP header itself off leaves nothing that it could be applied to.
        let l3 = l3
            .checked_sub(program.prefix.popped())
            .ok_or(Stop::Drop(DropReason::ProgramApply))?;
        *self.l3 = l3 as u8;
        self.program
            .append(program)
            .map_err(|_| Stop::Drop(DropReason::ProgramCapacity))
    }
}

enum Done {
    NextLayer,
    NextRule,
}

/// The layers stand in outbound order; inbound packets meet them the other way round.
fn place(dir: Direction, step: usize, layers: usize) -> usize {
    match dir {
        Direction::Out => step,
        Direction::In => layers - 1 - step,
    }
}

fn allowed<T>(answer: AllowOrDeny<T>) -> Result<T, Stop> {
    match answer {
        AllowOrDeny::Allow(value) => Ok(value),
        AllowOrDeny::Deny => Err(Stop::Drop(DropReason::LayerActionDeny)),
    }
}
