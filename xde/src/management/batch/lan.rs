//! Steps about ports on LANs.

use alloc::sync::Arc;
use alloc::vec::Vec;

use opte::api::{OpteCmd, OpteError, SetMeterReq};
use oxide_vpc::api::{CreateLanPortReq, SetIpConfigReq};
use oxide_vpc::port::PortEdit;

use super::super::lan::Stations;
use super::Draft;
use crate::platform::Platform;

impl<P: Platform> Draft<'_, P> {
    pub(super) fn create_lan(&mut self, req: CreateLanPortReq) -> Result<(), OpteError> {
        self.name_must_be_new(&req.name)?;
        let station = (self.at, req.lan.clone(), req.cfg);
        let name = req.name.clone();
        let kind = self.driver.lan_kind(req)?;
        self.lan.insert(name, station);
        self.make(kind);
        Ok(())
    }

    pub(super) fn set_ip_config(&mut self, req: &SetIpConfigReq) -> Result<(), OpteError> {
        let (at, name) = (self.at, &req.port_name);
        let port = Arc::clone(self.kind(name)?.lan(name)?);
        let Some((step, _, station)) = self.lan.get_mut(name) else {
            return Ok(());
        };
        let cfg = req.change.change(station)?;
        port.check(&cfg)?;
        (*step, *station) = (at, cfg);
        if self.created.contains_key(name) {
            // Nobody sees it before all is done.
            return port.set(&cfg);
        }
        self.plan.lan_changes.insert(name.clone(), (at, cfg));
        Ok(())
    }

    pub(super) fn set_meter(&mut self, req: SetMeterReq) -> Result<(), OpteError> {
        let SetMeterReq {
            port_name,
            dir,
            limits,
        } = req;
        let Ok(port) = self.kind(&port_name)?.lan(&port_name).cloned() else {
            return self.edit(&port_name, PortEdit::SetMeter(dir, limits));
        };
        if self.created.contains_key(&port_name) {
            // Nobody sees it before all is done.
            port.port().set_meter(dir, &limits);
        } else {
            self.plan.lan_meters.push((port, dir, limits));
        }
        Ok(())
    }

    /// Whether no two ports are one station, those of before first: the later step is at fault.
    pub(super) fn check_stations(&self) -> Result<(), OpteError> {
        let mut all: Vec<_> = self.lan.iter().collect();
        all.sort_by_key(|(_, (step, ..))| (step.command != OpteCmd::RunBatch, step.at));
        let mut stations = Stations::default();
        all.into_iter().try_for_each(|(name, (step, link, cfg))| {
            let added = stations.add(link, cfg, name);
            added.map_err(|error| step.failed(&error))
        })
    }
}
