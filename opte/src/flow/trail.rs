//! The ways that flows have gone before: what the transformations of all their layers come to is found out once, and then known of
//! every flow that goes the same way.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashTable;
use opte_headers::frame::FlowKey;
use opte_headers::program::{Keyed, Program, Template};

use super::key::Key;
use crate::Direction;
use crate::direction::PerDirection;

/// Trails, which begin where packets come and fork where flows are transformed one way or another.
pub(crate) struct Trails {
    places: Vec<Place>,
    /// Where they begin, by the headers of the packets; [`NOWHERE`] where none has begun yet.
    starts: [u32; STARTS],
    steps: HashTable<Step>,
    /// What was done so far to the packet of either direction that goes beside all trails.
    alone: PerDirection<Program>,
    bytes: usize,
}

/// A place on a trail.
pub(super) struct Place {
    /// What all steps from the start on come to.
    pub(super) template: Template,
    pub(super) keyed: Keyed,
    /// The number of its program in the flow table; zero if it has none yet.
    pub(super) number: u32,
    /// The steps that were taken last from here, by a program each: by that of TCP and by that of UDP, say.
    recent: [Recent; 2],
}

/// A step that was taken, of a program that is kept.
#[derive(Clone, Copy)]
struct Recent {
    /// The address of the program; zero is none.
    address: usize,
    to: u32,
    effect: Effect,
}

/// What a step does to any packet that takes it.
#[derive(Clone, Copy)]
pub(crate) struct Effect {
    /// How far the innermost IP header moves, as many headers are put in front of it or taken away.
    moved: u8,
    /// Whether the key changes: to what `keep` leaves of its words, with `value`.
    rewrites: bool,
    keep: [u64; 6],
    value: [u64; 6],
}

/// From a place by a program to another place.
struct Step {
    from: u32,
    /// Kept, so that its address stays its own.
    program: Arc<Program>,
    to: u32,
}

const NOWHERE: u32 = u32::MAX;

/// Positions of the innermost IP header, and kinds of headers around it.
const STARTS: usize = 16 * 8;

/// Places that are kept. When there are as many, all are forgotten.
const PLACES: usize = 1024;

impl Recent {
    const NONE: Self = Self {
        address: 0,
        to: NOWHERE,
        effect: Effect::NONE,
    };
}

impl Place {
    fn remember(&mut self, recent: Recent) {
        let [last, _] = self.recent;
        self.recent = [recent, last];
    }
}

impl Default for Trails {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            starts: [NOWHERE; STARTS],
            steps: HashTable::new(),
            alone: PerDirection::default(),
            bytes: 0,
        }
    }
}

impl Trails {
    /// Sees to room for the trails of another flow. Places that were known before may be others afterwards.
    #[inline]
    pub(crate) fn make_room(&mut self) {
        if self.places.len() >= PLACES {
            self.clear();
        }
    }

    /// Where packets with this key begin, whose innermost IP header stands at position `l3`.
    #[inline]
    pub(crate) fn start<K: Key>(&mut self, key: &K, l3: u8) -> Option<u32> {
        let start = usize::from(l3) << 3 | usize::from(key.stack()?);
        match *self.starts.get(start)? {
            NOWHERE => self.begin(key, l3, start),
            place => Some(place),
        }
    }

    /// Where a program that is kept leads from a place, and what it does; if it was one of the last that were met there.
    #[inline(always)]
    pub(crate) fn again(&self, from: u32, program: &Arc<Program>) -> Option<(u32, &Effect)> {
        let recent = &self.places.get(from as usize)?.recent;
        let address = Arc::as_ptr(program).addr();
        let recent = recent.iter().find(|recent| recent.address == address)?;
        Some((recent.to, &recent.effect))
    }

    /// Remembers a step by a program that is as one that is kept but for its ends: it led to a place, and made one key the other.
    pub(crate) fn remember_like<K: Key>(
        &mut self,
        (from, to): (u32, u32),
        form: &Arc<Program>,
        (before, l3): (&K, u8),
        (after, ends): (&K, &FlowKey),
    ) -> Option<()> {
        let effect = Effect::of(form, before, l3)?;
        let mut key = *before;
        effect.rewrite_like(&mut key, K::words_of(ends)?);
        // Where that is something else, it writes more than ends.
        if key == *after {
            self.places.get_mut(from as usize)?.remember(Recent {
                address: Arc::as_ptr(form).addr(),
                to,
                effect,
            });
        }
        Some(())
    }

    /// Where `program`, of the form that `form` has, leads from a place. The flow's packets `came` with a key, their innermost IP
    /// header at a position, and have the key `now` here. None if that is not known, nor to be found out once for all flows.
    pub(crate) fn step<K: Key>(
        &mut self,
        from: u32,
        (form, program): (&Arc<Program>, &Program),
        came: (&K, u8),
        (now, l3): (&K, u8),
    ) -> Option<u32> {
        let hash = hash(from, Arc::as_ptr(form).addr());
        let is_it = |step: &Step| step.from == from && Arc::ptr_eq(&step.program, form);
        let to = match self.steps.find(hash, is_it) {
            Some(step) => step.to,
            None => {
                let to = self.explore(from, program, came, now)?;
                let of = |step: &Step| self::hash(step.from, Arc::as_ptr(&step.program).addr());
                self.steps.try_reserve(1, of).ok()?;
                let program = Arc::clone(form);
                self.steps
                    .insert_unique(hash, Step { from, program, to }, of);
                self.bytes += size_of::<Step>() + size_of::<Program>();
                to
            }
        };
        if core::ptr::eq(&**form, program)
            && let Some(effect) = Effect::of(program, now, l3)
        {
            self.places.get_mut(from as usize)?.remember(Recent {
                address: Arc::as_ptr(form).addr(),
                to,
                effect,
            });
        }
        Some(to)
    }

    /// What was done to packets of a flow up to a place: they `came` with one key, and have another one `now`.
    pub(crate) fn program<K: Key>(&self, at: u32, came: &K, now: &K) -> Option<Program> {
        let place = self.places.get(at as usize)?;
        let translation = came.translation_to(now, &place.keyed)?;
        Some(place.template.program(&translation))
    }

    /// What was done to a packet that goes `dir`, beside all trails.
    pub(crate) fn alone(&self, dir: Direction) -> &Program {
        self.alone.get(dir)
    }

    /// The same, to be added to.
    pub(crate) fn alone_mut(&mut self, dir: Direction) -> &mut Program {
        self.alone.get_mut(dir)
    }

    /// Bytes of all that is kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn place_mut(&mut self, at: u32) -> Option<&mut Place> {
        self.places.get_mut(at as usize)
    }

    #[cold]
    fn begin<K: Key>(&mut self, key: &K, l3: u8, start: usize) -> Option<u32> {
        let (template, _) = key.bind(&Program::IDENTITY, l3);
        // Packets of a tunnel are not of a flow yet before they are out of it: then the template is the program.
        let place = self.add(template, Keyed::NOTHING)?;
        *self.starts.get_mut(start)? = place;
        Some(place)
    }

    /// Finds out what a program comes to after all that was done before.
    fn explore<K: Key>(
        &mut self,
        from: u32,
        program: &Program,
        (came, l3): (&K, u8),
        now: &K,
    ) -> Option<u32> {
        let mut all = self.program(from, came, now)?;
        all.append(program).ok()?;
        let (template, _) = came.bind(&all, l3);
        let keyed = template.keyed()?;
        self.add(template, keyed)
    }

    fn add(&mut self, template: Template, keyed: Keyed) -> Option<u32> {
        if self.places.len() >= PLACES {
            return None;
        }
        self.places.try_reserve(1).ok()?;
        self.places.push(Place {
            template,
            keyed,
            number: 0,
            recent: [Recent::NONE; 2],
        });
        self.bytes += size_of::<Place>();
        Some(self.places.len() as u32 - 1)
    }

    #[cold]
    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Effect {
    const NONE: Self = Self {
        moved: 0,
        rewrites: false,
        keep: [u64::MAX; 6],
        value: [0; 6],
    };

    /// What `program` does to packets that have headers as those with this key have. None if that cannot be told.
    fn of<K: Key>(program: &Program, key: &K, l3: u8) -> Option<Self> {
        let moved = program.prefix.pushed() as u8;
        let moved = moved.wrapping_sub(program.prefix.popped() as u8);
        let other = key.contrast();
        let after = [key, &other].map(|key| key.rewritten(program, l3).words());
        let mut effect = Self {
            moved,
            ..Self::NONE
        };
        let [one, two] = after;
        let places = effect.keep.iter_mut().zip(&mut effect.value);
        let words = key.words().into_iter().zip(other.words());
        for (((keep, value), (was, contrast)), (one, two)) in
            places.zip(words).zip(one.into_iter().zip(two))
        {
            // Written is what comes out the same of whatever goes in.
            let written = (was ^ contrast) & !(one ^ two);
            if (was & !written | one & written) != one {
                // Something was written that the other key does not tell.
                return None;
            }
            (*keep, *value) = (!written, one & written);
            effect.rewrites |= written != 0;
        }
        Some(effect)
    }

    /// Does it to a key; says whether that may be another one now.
    #[inline(always)]
    pub(crate) fn rewrite<K: Key>(&self, key: &mut K) -> bool {
        if self.rewrites {
            let [a, b, c, d, e, f] = key.words();
            let ([g, h, i, j, k, l], [p, q, r, s, t, u]) = (self.keep, self.value);
            *key = K::from_words([
                a & g | p,
                b & h | q,
                c & i | r,
                d & j | s,
                e & k | t,
                f & l | u,
            ]);
        }
        self.rewrites
    }

    /// The same for a program that writes, in the place of what this one's writes, what stands there in a key of these words.
    #[inline(always)]
    pub(crate) fn rewrite_like<K: Key>(&self, key: &mut K, ends: [u64; 6]) {
        let mut words = key.words();
        for ((word, end), keep) in words.iter_mut().zip(ends).zip(self.keep) {
            *word = *word & keep | end & !keep;
        }
        *key = K::from_words(words);
    }

    /// The position of the innermost IP header afterwards.
    #[inline(always)]
    pub(crate) fn position(&self, l3: u8) -> u8 {
        l3.wrapping_add(self.moved)
    }
}

fn hash(from: u32, address: usize) -> u64 {
    let mixed = (address as u64 ^ u64::from(from) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}
