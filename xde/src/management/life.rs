//! Ports are paused, saved, restored and started.

use opte::api::{OpteError, RestorePortReq, RestorePortResp, SavePortReq, SavePortResp};
use opte::port::{PortError, PortState, RestoreError};
use oxide_vpc::port::VpcPort;

use super::refused;
use crate::Driver;
use crate::platform::Platform;

impl<P: Platform> Driver<P> {
    pub(super) fn pause(&self, name: &str) -> Result<(), OpteError> {
        let management = self.management.lock();
        let paused = management.vpc(name)?.port().pause();
        paused.map_err(|error| refused(name, error))
    }

    pub(super) fn start(&self, name: &str) -> Result<(), OpteError> {
        let management = self.management.lock();
        let vpc = management.vpc(name)?;
        match vpc.port().state() {
            PortState::Running => Err(bad_state(name, PortState::Running)),
            _ => {
                vpc.port().start();
                Ok(())
            }
        }
    }

    pub(super) fn save(&self, req: &SavePortReq) -> Result<SavePortResp, OpteError> {
        let vpc = self.vpc(&req.port_name)?;
        let limit = usize::try_from(req.limit).unwrap_or(usize::MAX);
        let saved = vpc.port().save(self.platform.now(), req.cursor, limit);
        match saved {
            Ok(page) => Ok(SavePortResp {
                page: page.bytes,
                next: page.next,
            }),
            Err(error @ PortError::Stale) => Err(OpteError::InvalidArgument {
                name: "cursor".into(),
                reason: alloc::format!("{error}"),
            }),
            Err(error) => Err(refused(&req.port_name, error)),
        }
    }

    pub(super) fn restore(&self, req: &RestorePortReq) -> Result<RestorePortResp, OpteError> {
        let management = self.management.lock();
        let vpc = management.vpc(&req.port_name)?;
        ready(&req.port_name, &vpc)?;
        drop(management);
        match vpc.port().restore(self.platform.now(), &req.page) {
            Ok(so_far) => Ok(RestorePortResp {
                flows: so_far.flows,
                refused: so_far.refused,
                complete: so_far.complete,
            }),
            Err(RestoreError::BadState(state)) => Err(bad_state(&req.port_name, state)),
            Err(error) => Err(OpteError::InvalidArgument {
                name: "saved state".into(),
                reason: alloc::format!("{error}"),
            }),
        }
    }
}

/// Makes a port ready to be restored that was paused before it had a flow.
fn ready(name: &str, vpc: &VpcPort) -> Result<(), OpteError> {
    match vpc.port().state() {
        PortState::Paused if vpc.port().counters().flows == 0 => {
            vpc.port().reset();
            Ok(())
        }
        PortState::Ready => Ok(()),
        state => Err(bad_state(name, state)),
    }
}

fn bad_state(name: &str, state: PortState) -> OpteError {
    OpteError::BadState {
        port: name.into(),
        state: alloc::format!("{state}"),
    }
}
