//! Steps of batches that are not complete yet.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use opte::api::OpteError;
use oxide_vpc::api::{BatchStep, MAX_STAGED, StageBatchReq, StageBatchResp};

/// The batches of all clients, bounded in number and steps.
#[derive(Debug, Default)]
pub(super) struct Staging {
    by_client: BTreeMap<u64, Batch>,
    /// Steps of all batches.
    steps: u64,
    /// Counts additions, to tell which batch was left alone longest.
    clock: u64,
}

#[derive(Debug, Default)]
struct Batch {
    steps: Vec<BatchStep>,
    last_added: u64,
}

impl Staging {
    /// Adds steps to a client's batch, or begins another. Where there is no room, batches that others have begun and left
    /// alone longest are forgotten: their clients are told when they go on.
    ///
    /// Errors: [`OpteError::BatchIncomplete`] if steps before these are missing, [`OpteError::MaxCapacity`].
    pub(super) fn add(
        &mut self,
        client: u64,
        req: StageBatchReq,
    ) -> Result<StageBatchResp, OpteError> {
        if req.position == 0 {
            self.take(client);
        }
        let held = self.by_client.get(&client);
        let held = held.map_or(0, |batch| batch.steps.len() as u64);
        if held != req.position {
            return Err(OpteError::BatchIncomplete {
                expected: req.position,
                actual: held,
            });
        }
        let new = req.steps.len() as u64;
        if held.saturating_add(new) > MAX_STAGED {
            self.take(client);
            return Err(OpteError::MaxCapacity {
                what: "a batch".into(),
                limit: MAX_STAGED,
            });
        }
        while self.steps.saturating_add(new) > MAX_STAGED || self.by_client.len() > MAX_BATCHES {
            let others = self.by_client.iter().filter(|(id, _)| **id != client);
            let oldest = others.min_by_key(|(_, batch)| batch.last_added);
            let Some(oldest) = oldest.map(|(id, _)| *id) else {
                break;
            };
            self.take(oldest);
        }
        self.clock += 1;
        self.steps += new;
        let batch = self.by_client.entry(client).or_default();
        batch.last_added = self.clock;
        batch.steps.extend(req.steps);
        Ok(StageBatchResp { staged: held + new })
    }

    /// Takes a client's batch out.
    pub(super) fn take(&mut self, client: u64) -> Vec<BatchStep> {
        let batch = self.by_client.remove(&client).unwrap_or_default();
        self.steps -= batch.steps.len() as u64;
        batch.steps
    }
}

/// How many clients may have begun a batch, one more for the client that goes on.
const MAX_BATCHES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use oxide_vpc::api::ClearXdeUnderlayReq;

    fn add(
        staging: &mut Staging,
        client: u64,
        position: u64,
        steps: usize,
    ) -> Result<u64, OpteError> {
        let steps = vec![BatchStep::from(ClearXdeUnderlayReq {}); steps];
        let staged = staging.add(client, StageBatchReq { position, steps })?;
        Ok(staged.staged)
    }

    #[test]
    fn parts_come_in_order() {
        let mut staging = Staging::default();
        assert_eq!(add(&mut staging, 1, 0, 2), Ok(2));
        assert_eq!(add(&mut staging, 1, 2, 1), Ok(3));
        assert_eq!(
            add(&mut staging, 1, 2, 1),
            Err(OpteError::BatchIncomplete {
                expected: 2,
                actual: 3
            })
        );
        // From the beginning again.
        assert_eq!(add(&mut staging, 1, 0, 1), Ok(1));
        assert_eq!(add(&mut staging, 2, 0, 4), Ok(4));
        assert_eq!(staging.take(1).len(), 1);
        assert_eq!(staging.take(1).len(), 0);
        assert_eq!(staging.steps, 4);
    }

    #[test]
    fn what_was_left_alone_makes_room() {
        let mut staging = Staging::default();
        for client in 0..100 {
            assert_eq!(add(&mut staging, client, 0, 1), Ok(1));
        }
        assert!(staging.by_client.len() <= MAX_BATCHES + 1);
        assert_eq!(staging.take(0).len(), 0);
        assert_eq!(staging.take(99).len(), 1);
        let most = MAX_STAGED as usize;
        assert_eq!(add(&mut staging, 7, 0, most), Ok(MAX_STAGED));
        assert_eq!(staging.steps, MAX_STAGED);
        assert!(matches!(
            add(&mut staging, 7, MAX_STAGED, 1),
            Err(OpteError::MaxCapacity { .. })
        ));
        assert_eq!(staging.steps, 0);
    }
}
