//! Ports are paused, saved, restored and started.

use opte::api::{OpteError, RestorePortReq, RestorePortResp, SavePortReq, SavePortResp};
use opte::port::{PortError, PortState, RestoreError};

use super::managed::EnginePort;
use super::refused;
use crate::Driver;
use crate::platform::Platform;

impl<P: Platform> Driver<P> {
    pub(super) fn pause(&self, name: &str) -> Result<(), OpteError> {
        let management = self.management.lock();
        let paused = management.engine(name)?.pause();
        paused.map_err(|error| refused(name, error))
    }

    pub(super) fn start(&self, name: &str) -> Result<(), OpteError> {
        let management = self.management.lock();
        let port = management.engine(name)?;
        match port.state() {
            PortState::Running => Err(bad_state(name, PortState::Running)),
            _ => {
                port.start();
                Ok(())
            }
        }
    }

    pub(super) fn save(&self, req: &SavePortReq) -> Result<SavePortResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        let limit = usize::try_from(req.limit).unwrap_or(usize::MAX);
        let saved = port.save(self.platform.now(), req.cursor, limit);
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
        let port = management.engine(&req.port_name)?;
        ready(&req.port_name, &*port)?;
        drop(management);
        match port.restore(self.platform.now(), &req.page) {
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
fn ready(name: &str, port: &dyn EnginePort) -> Result<(), OpteError> {
    match port.state() {
        PortState::Paused if port.counters().flows == 0 => {
            port.reset();
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
