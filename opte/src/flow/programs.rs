//! What flows run, each kept once however many flows run it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashTable;
use opte_headers::program::{Bound, Program, Template, Translation};
use spin::Once;
use zerocopy::IntoBytes;

use super::chunks::{Chunks, boxed};
use super::key::Key;
use crate::sync::Apart;

/// Programs that packets find without a lock, by number. They stay as long as the table: they are without what is a flow's own,
/// so there are few, as many as ways that flows go, and the same ones come back.
pub(super) struct Programs {
    /// Those of the lowest numbers, most often all there are.
    first: Box<[Once<One>; FIRST as usize]>,
    others: Chunks<Once<One>>,
}

/// One program on the heap. An array, since only slices can be told that there is no memory for them. Every packet of its flows
/// reads it, so nothing stands beside it that new flows write.
type One = Box<[Apart<Bound>; 1]>;

/// How many are kept so. Flows with yet other programs are served by whoever holds the port's lock.
const KEPT: u32 = 1 << 14;
const FIRST: u32 = 64;

impl Programs {
    pub(super) fn new() -> Self {
        Self {
            first: Box::new([const { Once::new() }; FIRST as usize]),
            others: Chunks::new(KEPT),
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> Option<&Bound> {
        self.place(number)?.get()?.first().map(|one| &**one)
    }

    pub(super) fn own_bytes(&self) -> usize {
        size_of_val(&*self.first) + self.others.own_bytes()
    }

    #[inline(always)]
    fn place(&self, number: u32) -> Option<&Once<One>> {
        match self.first.get(number as usize) {
            Some(place) => Some(place),
            None => self.other(number),
        }
    }

    #[inline(never)]
    fn other(&self, number: u32) -> Option<&Once<One>> {
        self.others.get(number)
    }
}

/// Which programs are in use, and by how many flows. Whoever has the number of one gives it back by [`Interner::release`].
#[derive(Default)]
pub(super) struct Interner {
    numbers: HashTable<u32>,
    /// Of the programs that are kept, from number 1 on. New flows write them, so packets read nothing beside them.
    kept: Vec<Apart<Entry>>,
    /// Of the others.
    others: Vec<Entry>,
    /// The numbers of `others` that nothing has.
    free: Vec<u32>,
    /// The ones asked for last, by their sketches; zero is none.
    recent: [u32; RECENT],
    in_use: usize,
    bytes: usize,
}

const RECENT: usize = 32;

struct Entry {
    flows: u32,
    /// Of those that are not kept, the program.
    program: Option<One>,
}

impl Interner {
    /// The number of the program that `key` binds to, and what it leaves to the flow; `None` without memory for it.
    pub(super) fn bind<K: Key>(
        &mut self,
        programs: &Programs,
        key: &K,
        program: &Program,
        l3: u8,
    ) -> Option<(u32, Translation)> {
        let sketch = sketch(program);
        let recent = self.recent.get(sketch).copied().unwrap_or_default();
        if let Some(held) = programs.get(recent)
            && let Some(translation) = key.translation(held.template(), program, l3)
        {
            self.take(recent)?;
            return Some((recent, translation));
        }
        let (template, translation) = key.bind(program, l3);
        let number = self.intern(programs, &template)?;
        if let Some(recent) = self.recent.get_mut(sketch) {
            *recent = number;
        }
        Some((number, translation))
    }

    /// The number of the program of `template`; `None` without memory for it.
    pub(super) fn intern(&mut self, programs: &Programs, template: &Template) -> Option<u32> {
        let hash = hash(template);
        let is_it = |number: &u32| {
            self.get(programs, *number)
                .is_some_and(|held| held.template().as_bytes() == template.as_bytes())
        };
        let number = match self.numbers.find(hash, is_it) {
            Some(number) => *number,
            None => self.add(programs, hash, template)?,
        };
        self.take(number)?;
        Some(number)
    }

    /// Whether the program of this number is kept as long as the table.
    pub(super) fn is_kept(number: u32) -> bool {
        number < KEPT
    }

    /// Counts a flow of the program.
    pub(super) fn take(&mut self, number: u32) -> Option<()> {
        let entry = self.entry(number)?;
        entry.flows += 1;
        if entry.flows == 1 {
            self.in_use += 1;
        }
        Some(())
    }

    /// Gives a program back. Of those that are not kept the last one to do so frees it.
    pub(super) fn release(&mut self, number: u32) {
        let Some(entry) = self.entry(number) else {
            return;
        };
        entry.flows = entry.flows.saturating_sub(1);
        if entry.flows != 0 {
            return;
        }
        let freed = entry.program.take();
        self.in_use -= 1;
        let Some(freed) = freed else { return };
        self.bytes -= size_of::<Apart<Bound>>();
        let hash = freed.first().map_or(0, |Apart(one)| hash_of(one));
        if let Ok(found) = self.numbers.find_entry(hash, |n| *n == number) {
            found.remove();
        }
        // Without memory for it, the number is not given out again.
        if self.free.try_reserve(1).is_ok() {
            self.free.push(number);
        }
    }

    /// The program of this number.
    pub(super) fn get<'a>(&'a self, programs: &'a Programs, number: u32) -> Option<&'a Bound> {
        match number.checked_sub(KEPT) {
            None => programs.get(number),
            Some(at) => self
                .others
                .get(at as usize)?
                .program
                .as_ref()?
                .first()
                .map(|one| &**one),
        }
    }

    /// Distinct programs in use.
    pub(super) fn len(&self) -> usize {
        self.in_use
    }

    /// Bytes of programs and of what is known of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
            + self.kept.capacity() * size_of::<Apart<Entry>>()
            + self.others.capacity() * size_of::<Entry>()
            + self.numbers.capacity() * 5
            + self.free.capacity() * 4
    }

    fn entry(&mut self, number: u32) -> Option<&mut Entry> {
        match number.checked_sub(KEPT) {
            None => self
                .kept
                .get_mut((number as usize).checked_sub(1)?)
                .map(|Apart(entry)| entry),
            Some(at) => self.others.get_mut(at as usize),
        }
    }

    fn add(&mut self, programs: &Programs, hash: u64, template: &Template) -> Option<u32> {
        let of_number = |number: &u32| match number.checked_sub(KEPT) {
            None => programs.get(*number).map_or(0, hash_of),
            Some(at) => self
                .others
                .get(at as usize)
                .and_then(|entry| entry.program.as_ref()?.first().map(|one| &**one))
                .map_or(0, hash_of),
        };
        self.numbers.try_reserve(1, of_number).ok()?;
        // One that is not bound is a flow's own.
        let kept = template
            .is_bound()
            .then(|| self.keep(programs, template))
            .flatten();
        let number = match kept {
            Some(number) => number,
            None => self.hold(template)?,
        };
        self.bytes += size_of::<Apart<Bound>>();
        self.numbers.insert_unique(hash, number, |_| hash);
        Some(number)
    }

    fn keep(&mut self, programs: &Programs, template: &Template) -> Option<u32> {
        let number = self.kept.len() as u32 + 1;
        if number >= KEPT {
            return None;
        }
        self.kept.try_reserve(1).ok()?;
        let place = match programs.place(number) {
            Some(place) => place,
            None => {
                programs.others.grow(number, Once::new)?;
                programs.place(number)?
            }
        };
        let kept = one(template)?;
        place.call_once(|| kept);
        self.kept.push(Apart(Entry {
            flows: 0,
            program: None,
        }));
        Some(number)
    }

    fn hold(&mut self, template: &Template) -> Option<u32> {
        let entry = Entry {
            flows: 0,
            program: Some(one(template)?),
        };
        if let Some(number) = self.free.pop() {
            *self.entry(number)? = entry;
            return Some(number);
        }
        self.others.try_reserve(1).ok()?;
        self.others.push(entry);
        Some(KEPT + self.others.len() as u32 - 1)
    }
}

fn one(template: &Template) -> Option<One> {
    boxed(1, || Apart(template.compile()))?.try_into().ok()
}

fn hash_of(program: &Bound) -> u64 {
    hash(program.template())
}

/// Tells most programs that go different ways apart by what they put in front of frames, at hardly any cost.
fn sketch(program: &Program) -> usize {
    let (words, _) = IntoBytes::as_bytes(&program.prefix).as_chunks::<8>();
    let all = words
        .iter()
        .fold(0, |all, word| all ^ u64::from_le_bytes(*word));
    let [.., rewrite] = program.rewrite.as_bytes().as_chunks::<8>().0 else {
        return 0;
    };
    let mixed = (all ^ u64::from_le_bytes(*rewrite)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - RECENT.ilog2())) as usize
}

/// No secret is needed: programs are made of rules and of what NAT chose, and there are no more of them than flows.
fn hash(template: &Template) -> u64 {
    let (words, _) = template.as_bytes().as_chunks::<8>();
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum, word| {
        let mixed = u128::from(sum ^ u64::from_le_bytes(*word)) * 0xa076_1d64_78bd_642f;
        (mixed >> 64) as u64 ^ mixed as u64
    })
}
