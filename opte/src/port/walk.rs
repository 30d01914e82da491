//! The walk of a flow's first packet through the layers, and of the answer to it.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use opte_headers::frame::Parsed;
use opte_headers::program::Program;

use super::Step;
use crate::action::{
    Action, ActionError, AllowOrDeny, Context, Descriptor, Hairpin, Shown, StatefulAction,
    StaticAction,
};
use crate::flow::{Decision, Decisions, Key, Made, Trails};
use crate::layer::Layer;
use crate::memory;
use crate::network::{Handled, Network};
use crate::rule::{DefaultAction, Glance, Match, RuleTable};
use crate::saved::Saved;
use crate::{Direction, DropReason};

/// A packet on its way through the layers.
pub(super) struct Walk<N: Network> {
    pub(super) stand: Stand<N::Key>,
    pub(super) meta: N::Meta,
    /// What the layers decided over its flow.
    pub(super) decisions: Decisions<N>,
    /// Whether what was done follows from the key alone, so that it holds for the flow.
    pub(super) of_flow: bool,
    counts: bool,
    special: Option<Box<Special>>,
}

/// How a packet stands on its way: what transformations change.
pub(super) struct Stand<K> {
    pub(super) dir: Direction,
    /// Its key as it stands.
    pub(super) key: K,
    /// Where its innermost IP header stands.
    pub(super) l3: u8,
    /// Its key and where its innermost IP header stood when it came.
    pub(super) came: (K, u8),
    /// The key for rules to be asked about, as soon as one is.
    glance: Option<Glance>,
    way: Way,
}

impl<K> Stand<K> {
    /// All that was done to the packet.
    pub(super) fn made(&self) -> Made<'_, K> {
        match &self.way {
            Way::Trail(to) => Made::Trail {
                to: *to,
                after: &self.key,
            },
            Way::Alone => Made::Alone(self.dir),
        }
    }
}

/// What most walks have not.
#[derive(Default)]
struct Special {
    /// What the layers did, if anybody asks.
    steps: Option<Vec<Step>>,
    /// What layers had for the flow, by their numbers, if it was saved.
    saved: Vec<(u8, Saved)>,
}

/// All that was done to a packet so far.
enum Way {
    /// What leads to this place on the trails.
    Trail(u32),
    /// What the trails hold for a packet that goes beside them ([`Trails::alone`]).
    Alone,
}

impl Way {
    fn alone(dir: Direction, trails: &mut Trails) -> Self {
        *trails.alone_mut(dir) = Program::IDENTITY;
        Self::Alone
    }
}

/// What is around a walk.
pub(super) struct Setting<'a, N: Network> {
    pub(super) network: &'a N,
    pub(super) context: Context<'a>,
    pub(super) trails: &'a mut Trails,
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

/// Why a walk stopped before its end: in a word, since every step may say so.
enum Stop {
    Reply(u32),
    Drop(DropReason),
}

impl Stop {
    fn reply(len: usize) -> Self {
        u32::try_from(len).map_or(Self::Drop(DropReason::HairpinTooLong), Self::Reply)
    }
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
    /// A packet before its first layer, on a trail if there is one.
    pub(super) fn new(dir: Direction, key: N::Key, l3: u8, trails: &mut Trails) -> Self {
        let way = match trails.start(&key, l3) {
            Some(start) => Way::Trail(start),
            None => Way::alone(dir, trails),
        };
        Self {
            stand: Stand {
                dir,
                key,
                l3,
                came: (key, l3),
                glance: None,
                way,
            },
            meta: N::Meta::default(),
            decisions: Decisions::new(),
            of_flow: true,
            counts: true,
            special: None,
        }
    }

    /// A packet that is not counted.
    pub(super) fn uncounted(dir: Direction, key: N::Key, l3: u8, trails: &mut Trails) -> Self {
        Self {
            counts: false,
            ..Self::new(dir, key, l3, trails)
        }
    }

    /// A packet that is not counted, and whose steps are recorded.
    pub(super) fn observed(dir: Direction, key: N::Key, l3: u8, trails: &mut Trails) -> Self {
        let mut walk = Self::uncounted(dir, key, l3, trails);
        walk.record(trails);
        walk
    }

    /// The first packet of a flow that was saved with these states of layers; not counted.
    pub(super) fn restored(
        dir: Direction,
        key: N::Key,
        l3: u8,
        saved: Vec<(u8, Saved)>,
        trails: &mut Trails,
    ) -> Self {
        let special = Special { steps: None, saved };
        Self {
            special: Some(Box::new(special)),
            ..Self::uncounted(dir, key, l3, trails)
        }
    }

    /// Has the steps recorded of a walk that has not begun.
    pub(super) fn record(&mut self, trails: &mut Trails) {
        self.special.get_or_insert_default().steps = Some(Vec::new());
        // Each layer's own doing is to be told from that of others.
        self.stand.way = Way::alone(self.stand.dir, trails);
    }

    /// The steps recorded so far.
    pub(super) fn take_steps(&mut self) -> Vec<Step> {
        let special = self.special.as_mut();
        let steps = special.and_then(|special| special.steps.take());
        steps.unwrap_or_default()
    }

    /// All that was done to the packet, as a program.
    pub(super) fn program(&self, trails: &Trails) -> Result<Program, DropReason> {
        match &self.stand.way {
            Way::Trail(at) => trails
                .program(*at, &self.stand.came.0, &self.stand.key)
                .ok_or(DropReason::ProgramApply),
            Way::Alone => Ok(*trails.alone(self.stand.dir)),
        }
    }

    /// Takes the packet through all layers by their rules. A descriptor among `held` is kept where the rules still ask for
    /// one and it still holds. Without a `frame` the rules that look at the packet are passed over.
    pub(super) fn forward(
        &mut self,
        mut setting: Setting<'_, N>,
        layers: &mut [Layer<N>],
        held: impl Fn(usize) -> Option<Arc<dyn Descriptor<N>>>,
        mut frame: Option<Frame<'_>>,
    ) -> End {
        let special = self.special.as_ref();
        let observed = special.is_some_and(|special| special.steps.is_some());
        for step in 0..layers.len() {
            let at = place(self.stand.dir, step, layers.len());
            let Some(layer) = layers.get_mut(at) else {
                continue;
            };
            let plain = match observed {
                true => None,
                false => self.pass(&mut setting, layer, at, &held),
            };
            let passed = match plain {
                Some(passed) => passed,
                None => self.ask(&mut setting, layer, at, &held, frame.as_mut()),
            };
            match passed {
                Ok(()) => {}
                Err(Stop::Reply(len)) => return End::Reply(len as usize),
                Err(Stop::Drop(reason)) => {
                    if self.counts {
                        layer.counters_mut(self.stand.dir).deny += 1;
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
    pub(super) fn back(
        &mut self,
        layers: &mut [Layer<N>],
        decisions: &Decisions<N>,
        trails: &mut Trails,
    ) -> Option<()> {
        for step in 0..layers.len() {
            let at = place(self.stand.dir, step, layers.len());
            let layer = layers.get_mut(at)?;
            match decisions.get(at) {
                Decision::Allow => {}
                Decision::Descriptor(descriptor) => {
                    descriptor.mark(self.stand.dir, &mut self.meta);
                    self.transform_by(&**descriptor, trails).ok()?;
                }
                Decision::None => self.answer(layer, trails)?,
            }
        }
        Some(())
    }

    fn answer(&mut self, layer: &mut Layer<N>, trails: &mut Trails) -> Option<()> {
        let rules = layer.rules_mut(self.stand.dir);
        let Match::Rule(place) = self.matching(rules) else {
            return (rules.default_action() != DefaultAction::Deny).then_some(());
        };
        match rules.entry(place)?.rule.action() {
            // State is made by the first packet of a flow: where that one made none, its answer passes as it is.
            Action::Allow | Action::StatefulAllow | Action::Stateful(_) => Some(()),
            Action::Meta(action) => {
                match action.modify(self.stand.dir, &self.stand.key, &mut self.meta) {
                    Ok(AllowOrDeny::Allow(())) => Some(()),
                    _ => None,
                }
            }
            Action::Static(action) => self.transform(&**action, trails).ok(),
            Action::Deny | Action::Reject | Action::Hairpin(_) | Action::HandlePacket => None,
        }
    }

    /// One layer, by its rules, if nothing special has to be done. None, and nothing done, otherwise: then [`Walk::ask`] does all.
    #[inline(always)]
    fn pass(
        &mut self,
        setting: &mut Setting<'_, N>,
        layer: &mut Layer<N>,
        at: usize,
        held: &impl Fn(usize) -> Option<Arc<dyn Descriptor<N>>>,
    ) -> Option<Result<(), Stop>> {
        let counts = u64::from(self.counts);
        let (rules, counters) = layer.asked(self.stand.dir);
        let place = match self.matching(rules) {
            Match::Rule(place) => place,
            Match::Default => {
                counters.rule_no_match += counts;
                rules.count_default(counts);
                return Some(self.fall_back(rules.default_action(), at));
            }
        };
        let entry = rules.entry_mut(place)?;
        let done = self.act_by_key(setting, entry.rule.action(), at, held)?;
        entry.hits += counts;
        counters.rule_match += counts;
        Some(done)
    }

    /// One layer, by its rules.
    #[inline(never)]
    fn ask(
        &mut self,
        setting: &mut Setting<'_, N>,
        layer: &mut Layer<N>,
        at: usize,
        held: &impl Fn(usize) -> Option<Arc<dyn Descriptor<N>>>,
        mut frame: Option<&mut Frame<'_>>,
    ) -> Result<(), Stop> {
        let dir = self.stand.dir;
        let special = self.special.as_ref();
        let observed = special.is_some_and(|special| special.steps.is_some());
        let mut after = None;
        loop {
            let before = observed.then(|| self.set_out(setting.trails));
            let (rules, _) = layer.asked(dir);
            let matched = match after {
                None => self.matching(rules),
                Some(_) => self.find_anew(rules, after),
            };
            let done = match matched {
                Match::Rule(place) => {
                    after = Some(place);
                    let Some(entry) = rules.entry(place) else {
                        return Ok(());
                    };
                    self.act(setting, entry.rule.action(), at, held, frame.as_deref_mut())
                }
                Match::Default => {
                    let passed = self.fall_back(rules.default_action(), at);
                    passed.map(|()| Done::NextLayer)
                }
            };
            let own = before.map(|(key, so_far)| (key, self.arrive(so_far, setting.trails)));
            if matches!(done, Ok(Done::NextRule)) {
                continue;
            }
            if self.counts {
                layer.count(dir, matched);
            }
            if let Some((before, own)) = own {
                self.note(layer, matched, &before, &own?, setting.trails);
            }
            return done.map(|_| ());
        }
    }

    /// The first rule for the packet.
    #[inline(always)]
    fn matching(&mut self, rules: &mut RuleTable<N>) -> Match {
        match rules.unconditional() {
            Some(matched) => matched,
            None => self.find(rules),
        }
    }

    /// Stands apart, so that tables that ask nothing need no call.
    #[inline(never)]
    fn find(&mut self, rules: &mut RuleTable<N>) -> Match {
        // What more may be to be done stands apart, too.
        let Some(glance) = &self.stand.glance else {
            return self.look(rules);
        };
        let Some(met) = rules.met(glance) else {
            return self.find_anew(rules, None);
        };
        match met.matched() {
            Some(matched) => matched,
            None => rules.find_met(met, glance, || self.stand.key.fields(), &self.meta),
        }
    }

    #[inline(never)]
    fn look(&mut self, rules: &mut RuleTable<N>) -> Match {
        self.stand.glance = Some(self.stand.key.glance());
        self.find(rules)
    }

    /// The first rule for the packet, after the one at `after`.
    #[cold]
    #[inline(never)]
    fn find_anew(&self, rules: &mut RuleTable<N>, after: Option<u32>) -> Match {
        let key = &self.stand.key;
        match &self.stand.glance {
            Some(glance) => rules.meet(after, glance, || key.fields(), &self.meta),
            None => rules.meet(after, &key.glance(), || key.fields(), &self.meta),
        }
    }

    fn fall_back(&mut self, default: DefaultAction, at: usize) -> Result<(), Stop> {
        match default {
            DefaultAction::Allow => {}
            DefaultAction::StatefulAllow => self.decisions.allow(at),
            DefaultAction::Deny => return Err(Stop::Drop(DropReason::LayerDefaultDeny)),
        }
        Ok(())
    }

    /// Before a layer whose own doing is recorded: the key, and what was done so far, which is put aside.
    fn set_out(&self, trails: &mut Trails) -> (N::Key, Program) {
        let so_far = core::mem::replace(trails.alone_mut(self.stand.dir), Program::IDENTITY);
        (self.stand.key, so_far)
    }

    /// Behind it: what the layer has done, which is added to what was done before.
    fn arrive(&self, so_far: Program, trails: &mut Trails) -> Result<Program, Stop> {
        let all = trails.alone_mut(self.stand.dir);
        let own = core::mem::replace(all, so_far);
        all.append(&own)
            .map_err(|_| Stop::Drop(DropReason::ProgramCapacity))?;
        Ok(own)
    }

    /// Records what a layer did, if anybody asks.
    fn note(
        &mut self,
        layer: &Layer<N>,
        matched: Match,
        before: &N::Key,
        own: &Program,
        trails: &Trails,
    ) {
        let special = self.special.as_mut();
        let steps = special.and_then(|special| special.steps.as_mut());
        let Some(steps) = steps else { return };
        let rules = layer.rules(self.stand.dir);
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
            after: self.stand.key.id(),
            transformation: before.text_of(own),
            so_far: *trails.alone(self.stand.dir),
        });
    }

    /// Does what an action says that looks at nothing but the key and the metadata, and never denies. None of others.
    #[inline(always)]
    fn act_by_key(
        &mut self,
        setting: &mut Setting<'_, N>,
        action: &Action<N>,
        at: usize,
        held: &impl Fn(usize) -> Option<Arc<dyn Descriptor<N>>>,
    ) -> Option<Result<(), Stop>> {
        let dir = self.stand.dir;
        Some(match action {
            Action::Allow => Ok(()),
            Action::StatefulAllow => {
                self.decisions.allow(at);
                Ok(())
            }
            Action::Meta(action) => {
                let answer = action.modify(dir, &self.stand.key, &mut self.meta);
                answer.map_err(Stop::from).and_then(allowed)
            }
            Action::Static(action) => self.transform(&**action, setting.trails),
            Action::Stateful(action) => self.hold(setting, &**action, at, held),
            Action::Deny | Action::Reject | Action::Hairpin(_) | Action::HandlePacket => {
                return None;
            }
        })
    }

    /// Transforms the packet by the state of its flow in this layer, which is made, or goes on.
    #[inline(always)]
    fn hold(
        &mut self,
        setting: &mut Setting<'_, N>,
        action: &dyn StatefulAction<N>,
        at: usize,
        held: &impl Fn(usize) -> Option<Arc<dyn Descriptor<N>>>,
    ) -> Result<(), Stop> {
        let (dir, key, meta) = (self.stand.dir, &self.stand.key, &mut self.meta);
        let descriptor = match held(at) {
            Some(held) if action.retains(dir, key, meta, &*held) => held,
            // What holds the state of a flow is made where it must not fail.
            _ if action.takes_memory(setting.context) && !memory::is_at_hand() => {
                return Err(Stop::Drop(DropReason::OutOfMemory));
            }
            _ => allowed(match saved_at(&self.special, at) {
                Some(saved) => action.restore(dir, key, meta, &saved, setting.context)?,
                None => action.descriptor(dir, key, meta, setting.context)?,
            })?,
        };
        descriptor.mark(dir, meta);
        self.transform_by(&*descriptor, setting.trails)?;
        self.decisions.hold(at, descriptor);
        Ok(())
    }

    fn act(
        &mut self,
        setting: &mut Setting<'_, N>,
        action: &Action<N>,
        at: usize,
        held: &impl Fn(usize) -> Option<Arc<dyn Descriptor<N>>>,
        frame: Option<&mut Frame<'_>>,
    ) -> Result<Done, Stop> {
        let dir = self.stand.dir;
        if let Some(done) = self.act_by_key(setting, action, at, held) {
            return done.map(|()| Done::NextLayer);
        }
        match action {
            Action::Deny => Err(Stop::Drop(DropReason::LayerRuleDeny)),
            Action::Reject => Err(Stop::Drop(DropReason::LayerRuleReject)),
            Action::Hairpin(action) => {
                self.of_flow = false;
                let Some(frame) = frame else {
                    return Ok(Done::NextRule);
                };
                match action.reply(dir, frame.parsed, frame.bytes, frame.reply) {
                    Hairpin::Reply(len) => Err(Stop::reply(len)),
                    Hairpin::Pass => Ok(Done::NextRule),
                    Hairpin::Deny => Err(Stop::Drop(DropReason::LayerActionDeny)),
                    Hairpin::TooLong => Err(Stop::Drop(DropReason::HairpinTooLong)),
                }
            }
            _ => {
                self.of_flow = false;
                let Some(frame) = frame else {
                    return Ok(Done::NextRule);
                };
                let Frame {
                    parsed,
                    bytes,
                    reply,
                } = frame;
                match setting.network.handle_packet(dir, parsed, bytes, reply) {
                    Handled::Allow => Ok(Done::NextLayer),
                    Handled::Deny => Err(Stop::Drop(DropReason::HandlerDeny)),
                    Handled::Reply(len) => Err(Stop::reply(len)),
                    Handled::TooLong => Err(Stop::Drop(DropReason::HairpinTooLong)),
                }
            }
        }
    }

    /// Transforms the packet by a static action.
    fn transform(&mut self, action: &dyn StaticAction<N>, trails: &mut Trails) -> Result<(), Stop> {
        let (dir, key) = (self.stand.dir, self.stand.key);
        let stand = &mut self.stand;
        let mut packet = OnItsWay { stand, trails };
        let mut done = Ok(());
        let shown = action.show(dir, &key, &mut self.meta, &mut |shown| {
            if let Err(stop) = packet.then(shown) {
                done = Err(stop);
            }
        });
        allowed(shown?)?;
        done
    }

    /// Transforms the packet as its flow's state in a layer says.
    fn transform_by(
        &mut self,
        descriptor: &dyn Descriptor<N>,
        trails: &mut Trails,
    ) -> Result<(), Stop> {
        let dir = self.stand.dir;
        let stand = &mut self.stand;
        let mut packet = OnItsWay { stand, trails };
        let mut done = Ok(());
        descriptor.show(dir, &mut |shown| {
            if let Err(stop) = packet.then(shown) {
                done = Err(stop);
            }
        })?;
        done
    }
}

/// A packet that is transformed.
struct OnItsWay<'a, K> {
    stand: &'a mut Stand<K>,
    trails: &'a mut Trails,
}

impl<K: Key> OnItsWay<'_, K> {
    /// Adds a layer's transformation to what was done before.
    #[inline(always)]
    fn then(&mut self, shown: Shown<'_>) -> Result<(), Stop> {
        if let Way::Trail(at) = self.stand.way
            && let Some(form) = shown.form()
            && let Some((to, effect)) = self.trails.again(at, form)
        {
            if let Shown::Like(_, ends) = shown {
                let Some(ends) = K::words_of(ends) else {
                    return self.then_any(shown);
                };
                effect.rewrite_like(&mut self.stand.key, ends);
                self.stand.glance = None;
            } else if effect.rewrite(&mut self.stand.key) {
                self.stand.glance = None;
            }
            self.stand.l3 = effect.position(self.stand.l3);
            self.stand.way = Way::Trail(to);
            return Ok(());
        }
        self.then_any(shown)
    }

    /// The same of any transformation.
    #[inline(never)]
    fn then_any(&mut self, shown: Shown<'_>) -> Result<(), Stop> {
        let program = &*shown.program();
        if program.is_identity() {
            return Ok(());
        }
        let before = self.stand.key;
        if !program.rewrite.is_empty() {
            let key = self.stand.key.rewritten(program, self.stand.l3);
            if key != before {
                self.stand.key = key;
                self.stand.glance = None;
            }
        }
        let l3_before = self.stand.l3;
        let l3 = usize::from(l3_before) + program.prefix.pushed();
        // A program that takes the IP header itself off leaves nothing that it could be applied to.
        let l3 = l3
            .checked_sub(program.prefix.popped())
            .ok_or(Stop::Drop(DropReason::ProgramApply))?;
        self.stand.l3 = l3 as u8;
        if let Way::Trail(at) = self.stand.way
            && let Some(form) = shown.form()
        {
            let (came, l3) = &self.stand.came;
            let step = self
                .trails
                .step(at, (form, program), (came, *l3), (&before, l3_before));
            if let Some(to) = step {
                self.stand.way = Way::Trail(to);
                if let Shown::Like(form, ends) = shown {
                    let (before, after) = ((&before, l3_before), (&self.stand.key, ends));
                    self.trails.remember_like((at, to), form, before, after);
                }
                return Ok(());
            }
        }
        self.go_alone(program, &before)
    }

    /// The same beside all trails.
    #[inline(never)]
    fn go_alone(&mut self, program: &Program, before: &K) -> Result<(), Stop> {
        if let Way::Trail(at) = self.stand.way {
            let so_far = self.trails.program(at, &self.stand.came.0, before);
            let so_far = so_far.ok_or(Stop::Drop(DropReason::ProgramApply))?;
            *self.trails.alone_mut(self.stand.dir) = so_far;
            self.stand.way = Way::Alone;
        }
        let all = self.trails.alone_mut(self.stand.dir);
        all.append(program)
            .map_err(|_| Stop::Drop(DropReason::ProgramCapacity))
    }
}

enum Done {
    NextLayer,
    NextRule,
}

/// What the layer at this place had for the flow, if it was saved.
fn saved_at(special: &Option<Box<Special>>, layer: usize) -> Option<Saved> {
    let mut saved = special.as_ref()?.saved.iter();
    let (_, saved) = saved.find(|(at, _)| usize::from(*at) == layer)?;
    Some(*saved)
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
