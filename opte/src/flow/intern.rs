//! Programs, each kept once however many flows run it.

use alloc::sync::Arc;
use core::ops::Deref;

use hashbrown::HashTable;
use opte_headers::program::Program;
use zerocopy::IntoBytes;

/// The programs in use. Whoever holds one gives it back by [`Interner::release`].
#[derive(Debug, Default)]
pub(super) struct Interner {
    programs: HashTable<Arc<Program>>,
}

/// A program that is held by the interner too.
#[derive(Clone, Debug)]
pub(crate) struct Interned(Arc<Program>);

impl Deref for Interned {
    type Target = Program;

    #[inline]
    fn deref(&self) -> &Program {
        &self.0
    }
}

impl Interner {
    /// The one copy of `program`.
    pub(super) fn intern(&mut self, program: &Program) -> Interned {
        let entry = self.programs.entry(
            hash(program),
            |held| held.as_bytes() == program.as_bytes(),
            |held| hash(held),
        );
        Interned(Arc::clone(
            entry.or_insert_with(|| Arc::new(*program)).get(),
        ))
    }

    /// Gives a program back. The last one to do so frees it.
    pub(super) fn release(&mut self, program: Interned) {
        // Two: this one and the table's.
        if Arc::strong_count(&program.0) > 2 {
            return;
        }
        let is_it = |held: &Arc<Program>| Arc::ptr_eq(held, &program.0);
        if let Ok(entry) = self.programs.find_entry(hash(&program), is_it) {
            entry.remove();
        }
    }

    /// Distinct programs in use.
    pub(super) fn len(&self) -> usize {
        self.programs.len()
    }
}

/// No secret is needed: programs are made of rules and of what NAT chose, and there are no more of them than flows.
fn hash(program: &Program) -> u64 {
    let (words, _) = program.as_bytes().as_chunks::<8>();
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum, word| {
        let mixed = u128::from(sum ^ u64::from_le_bytes(*word)) * 0xa076_1d64_78bd_642f;
        (mixed >> 64) as u64 ^ mixed as u64
    })
}
