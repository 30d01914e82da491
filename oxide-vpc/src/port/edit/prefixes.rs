//! Prefixes beside the guest's own addresses: what they make of the gateway and of NAT.

use alloc::collections::BTreeSet;
use alloc::string::ToString;

use opte::Direction;
use opte::api::{IpCidr, OpteError};
use opte::port::RuleChange;

use super::{Added, Draft, Programmed, family_is_there};
use crate::api::{AttachedSubnet, TransitCidr};
use crate::layer::nat::Plan;
use crate::layer::{GATEWAY, NAT, gateway};
use crate::port::VpcPort;

/// The prefixes of a port beside the guest's own addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::port) struct Prefixes {
    pub(in crate::port) transit: BTreeSet<(IpCidr, Direction)>,
    pub(in crate::port) attached: BTreeSet<AttachedSubnet>,
}

impl Prefixes {
    /// What passes the gateway.
    fn holes(&self) -> BTreeSet<(Direction, IpCidr)> {
        let transit = self.transit.iter().map(|&(cidr, dir)| (dir, cidr));
        let attached = self.attached.iter();
        let attached = attached.flat_map(|subnet| Direction::BOTH.map(|dir| (dir, subnet.cidr)));
        transit.chain(attached).collect()
    }

    /// What leaves the VPC as it is.
    fn external(&self) -> impl Iterator<Item = IpCidr> {
        let external = self.attached.iter().filter(|subnet| subnet.is_external);
        external.map(|subnet| subnet.cidr)
    }

    fn subnet(&self, cidr: IpCidr) -> Option<AttachedSubnet> {
        let mut attached = self.attached.iter();
        attached.find(|subnet| subnet.cidr == cidr).copied()
    }
}

impl Draft {
    pub(super) fn allow(
        &mut self,
        port: &VpcPort,
        programmed: &Programmed,
        transit: TransitCidr,
    ) -> Result<(), OpteError> {
        transit.validate()?;
        family_of_prefix(port, &transit.cidr)?;
        self.prefixes(programmed).transit.extend(transit.each());
        Ok(())
    }

    pub(super) fn disallow(
        &mut self,
        port: &VpcPort,
        programmed: &Programmed,
        transit: TransitCidr,
    ) -> Result<(), OpteError> {
        let allowed = &mut self.prefixes(programmed).transit;
        let mut removed = false;
        for each in transit.each() {
            removed |= allowed.remove(&each);
        }
        if removed {
            return Ok(());
        }
        Err(OpteError::TransitCidrNotFound {
            port: port.port.name().to_string(),
            cidr: transit.cidr,
            dir: transit.dir,
        })
    }

    pub(super) fn attach(
        &mut self,
        port: &VpcPort,
        programmed: &Programmed,
        subnet: AttachedSubnet,
    ) -> Result<(), OpteError> {
        subnet.validate()?;
        family_of_prefix(port, &subnet.cidr)?;
        let prefixes = self.prefixes(programmed);
        if let Some(before) = prefixes.subnet(subnet.cidr) {
            prefixes.attached.remove(&before);
        }
        prefixes.attached.insert(subnet);
        Ok(())
    }

    pub(super) fn detach(
        &mut self,
        port: &VpcPort,
        programmed: &Programmed,
        cidr: IpCidr,
    ) -> Result<(), OpteError> {
        let prefixes = self.prefixes(programmed);
        let Some(subnet) = prefixes.subnet(cidr) else {
            let port = port.port.name().to_string();
            return Err(OpteError::SubnetNotFound { port, cidr });
        };
        prefixes.attached.remove(&subnet);
        Ok(())
    }

    /// The changes of rules that follow from external addresses and prefixes as they are after all edits.
    pub(super) fn finish(&mut self, port: &VpcPort, programmed: &Programmed) {
        let before = &programmed.prefixes;
        let prefixes = self.prefixes.take().unwrap_or_else(|| before.clone());
        self.move_holes(port, programmed, &prefixes);
        if self.external.is_some() || !prefixes.external().eq(before.external()) {
            self.replace_nat(port, programmed, &prefixes);
        }
        self.prefixes = Some(prefixes);
    }

    /// Rules that are to stay are not touched: they keep their counters.
    fn move_holes(&mut self, port: &VpcPort, programmed: &Programmed, prefixes: &Prefixes) {
        let wanted = prefixes.holes();
        for (hole, &id) in &programmed.holes {
            if !wanted.contains(hole) {
                self.removed_holes.push(*hole);
                self.changes.push(RuleChange::Remove {
                    layer: GATEWAY.to_string(),
                    dir: hole.0,
                    id,
                });
            }
        }
        for hole @ (dir, cidr) in wanted {
            if !programmed.holes.contains_key(&hole) {
                self.added.push(Added::Hole(dir, cidr));
                self.changes.push(RuleChange::Add {
                    layer: GATEWAY.to_string(),
                    dir,
                    rule: gateway::hole(dir, &cidr, port.cfg.gateway_mac, &port.reach),
                });
            }
        }
    }

    fn replace_nat(&mut self, port: &VpcPort, programmed: &Programmed, prefixes: &Prefixes) {
        let (v4, v6, gateways) = match &self.external {
            Some(new) => (&new.v4, &new.v6, &new.gateways),
            None => (
                &programmed.external_v4,
                &programmed.external_v6,
                &programmed.gateways,
            ),
        };
        let private = (
            port.cfg.ipv4().map(|v4| v4.private_ip),
            port.cfg.ipv6().map(|v6| v6.private_ip),
        );
        let mut plan = Plan::new(&programmed.external, private, v4, v6, gateways);
        plan.leave_alone(prefixes.external());
        self.changes.push(RuleChange::Set {
            layer: NAT.to_string(),
            inbound: plan.inbound,
            outbound: plan.outbound,
        });
        self.known = Some(plan.known);
    }

    fn prefixes(&mut self, programmed: &Programmed) -> &mut Prefixes {
        self.prefixes
            .get_or_insert_with(|| programmed.prefixes.clone())
    }
}

fn family_of_prefix(port: &VpcPort, cidr: &IpCidr) -> Result<(), OpteError> {
    if cidr.is_ipv4() {
        family_is_there(port, "IPv4", port.cfg.ipv4().is_some(), false)
    } else {
        family_is_there(port, "IPv6", port.cfg.ipv6().is_some(), false)
    }
}
