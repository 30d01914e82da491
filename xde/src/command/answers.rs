//! Answers that are kept, so that a command is never done twice.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use opte::api::{OpteCmd, OpteError};

/// Who asked, and by which of their requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestId {
    /// The client.
    pub(super) client: u64,
    /// The request.
    pub(super) sequence: u64,
}

/// An answer that is kept for a retry.
#[derive(Debug)]
pub(super) struct Answer {
    command: OpteCmd,
    /// Two requests under one id are told apart by the whole of them; a digest of this width is enough for a client's mistake.
    digest: u64,
    /// The flags of its header.
    pub(super) flags: u32,
    /// Its body.
    pub(super) body: Vec<u8>,
}

/// The last answers, bounded in number and octets.
#[derive(Debug, Default)]
pub(super) struct Answers {
    by_id: BTreeMap<RequestId, Answer>,
    /// Oldest first; may name answers that are gone.
    order: VecDeque<RequestId>,
    octets: usize,
}

impl Answers {
    /// The answer kept for the request `id`.
    ///
    /// Errors: [`OpteError::RequestIdReused`] if that was an answer to another request.
    pub(super) fn find(
        &self,
        id: RequestId,
        command: OpteCmd,
        request: &[u8],
    ) -> Result<Option<&Answer>, OpteError> {
        match self.by_id.get(&id) {
            Some(kept) if kept.command != command || kept.digest != digest(request) => {
                Err(OpteError::RequestIdReused {
                    sequence: id.sequence,
                })
            }
            found => Ok(found),
        }
    }

    /// Keeps an answer; the oldest go if there are too many.
    pub(super) fn keep(
        &mut self,
        id: RequestId,
        command: OpteCmd,
        request: &[u8],
        flags: u32,
        body: Vec<u8>,
    ) {
        self.forget(id);
        self.octets = self.octets.saturating_add(body.len());
        self.by_id.insert(
            id,
            Answer {
                command,
                digest: digest(request),
                flags,
                body,
            },
        );
        self.order.push_back(id);
        while self.order.len() > MAX_ANSWERS || self.octets > MAX_OCTETS {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.remove(oldest);
        }
    }

    /// Keeps the answer for the request `id` no longer.
    pub(super) fn forget(&mut self, id: RequestId) {
        if self.remove(id) {
            self.order.retain(|kept| *kept != id);
        }
    }

    fn remove(&mut self, id: RequestId) -> bool {
        let removed = self.by_id.remove(&id);
        if let Some(answer) = &removed {
            self.octets = self.octets.saturating_sub(answer.body.len());
        }
        removed.is_some()
    }
}

/// FNV-1a.
fn digest(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |state, octet| {
        (state ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A client retries the request it has just made; this many others may come between.
const MAX_ANSWERS: usize = 256;

/// Four of the longest answers.
const MAX_OCTETS: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> RequestId {
        RequestId {
            client: 1,
            sequence,
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut answers = Answers::default();
        for sequence in 0..1000 {
            answers.keep(id(sequence), OpteCmd::ClearUft, b"", 0, Vec::new());
        }
        assert_eq!((answers.by_id.len(), answers.order.len()), (256, 256));
        assert!(
            answers
                .find(id(999), OpteCmd::ClearUft, b"")
                .unwrap()
                .is_some()
        );
        assert!(
            answers
                .find(id(743), OpteCmd::ClearUft, b"")
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn octets_are_bounded() {
        let mut answers = Answers::default();
        for sequence in 0..100 {
            answers.keep(
                id(sequence),
                OpteCmd::DumpUft,
                b"",
                0,
                alloc::vec![0; 1 << 20],
            );
            assert!(answers.octets <= MAX_OCTETS);
        }
        assert_eq!(answers.by_id.len(), 4);
        for sequence in 0..100 {
            answers.forget(id(sequence));
        }
        assert_eq!((answers.octets, answers.order.len()), (0, 0));
    }
}
