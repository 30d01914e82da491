//! Commands: the octets of a request in, the octets of an answer out.
//!
//! A driver implements [`Control`]; a [`Dispatcher`] finds out what is asked, checks it, has it done once, and answers. However
//! a request got here, by a socket or an `ioctl`, is the platform's matter. Whatever the octets are, there is an answer: bad
//! ones get a typed [`OpteError`] and are counted by what is wrong with them.

mod answers;
mod counters;
mod staging;

use alloc::string::ToString;
use alloc::vec::Vec;

use opte::api::frame::{
    self, FLAG_ERROR, MAGIC, MAX_RESPONSE, RESPONSE_HEADER_LEN, RequestHeader, ResponseHeader,
};
use opte::api::{
    ClearLftReq, ClearUftReq, DumpLayerReq, DumpLayerResp, DumpStatsReq, DumpStatsResp,
    DumpTcpFlowsReq, DumpTcpFlowsResp, DumpUftReq, DumpUftResp, HeavyHittersReq, HeavyHittersResp,
    ListLayersReq, ListLayersResp, NoResp, OpteCmd, OpteError, PausePortReq, Request,
    RestorePortReq, RestorePortResp, SavePortReq, SavePortResp, SetMeterReq, SetPortOptionsReq,
    StartPortReq, TracePacketReq, TracePacketResp,
};
use oxide_vpc::api::{
    API_VERSION, AddFwRuleReq, AddFwRuleResp, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq,
    BatchStep, ClearMcast2PhysReq, ClearMcastForwardingReq, ClearVirt2BoundaryReq,
    ClearVirt2PhysReq, ClearXdeUnderlayReq, CreateLanPortReq, CreateXdeReq, DelRouterEntryReq,
    DeleteXdeReq, DetachSubnetReq, DumpConfigReq, DumpConfigResp, DumpMcast2PhysReq,
    DumpMcast2PhysResp, DumpMcastForwardingReq, DumpMcastForwardingResp, DumpMcastSubscriptionsReq,
    DumpMcastSubscriptionsResp, DumpVirt2BoundaryReq, DumpVirt2BoundaryResp, DumpVirt2PhysReq,
    DumpVirt2PhysResp, ListPortsReq, ListPortsResp, McastSubscribeReq, McastUnsubscribeAllReq,
    McastUnsubscribeReq, RemFwRuleReq, RemoveCidrReq, RunBatchReq, SetExternalIpsReq,
    SetFwRulesReq, SetIpConfigReq, SetMcast2PhysReq, SetMcastForwardingReq, SetPeersReq,
    SetVirt2BoundaryReq, SetVirt2PhysReq, SetXdeUnderlayReq, StageBatchReq,
};
use serde::Serialize;
use zerocopy::IntoBytes;

use answers::{Answers, RequestId};
use staging::Staging;

pub use counters::CommandCounter;
use counters::Counters;

/// What a driver can be told: one method for each command.
///
/// A command that fails has changed nothing. Requests have passed [`Request::validate`] before they come here. A paged answer lists from
/// the page's cursor on at most [`Page::limit`](opte::api::Page::limit) entries.
pub trait Control {
    /// Lists the ports, by name.
    fn list_ports(&self, req: ListPortsReq) -> Result<ListPortsResp, OpteError>;
    /// Creates a port and its link.
    fn create_xde(&self, req: CreateXdeReq) -> Result<NoResp, OpteError>;
    /// Creates a port on a LAN and its link.
    fn create_lan_port(&self, req: CreateLanPortReq) -> Result<NoResp, OpteError>;
    /// Sets the addresses of a port on a LAN.
    fn set_ip_config(&self, req: SetIpConfigReq) -> Result<NoResp, OpteError>;
    /// Deletes a port and its link.
    fn delete_xde(&self, req: DeleteXdeReq) -> Result<NoResp, OpteError>;
    /// Takes the underlay links.
    fn set_xde_underlay(&self, req: SetXdeUnderlayReq) -> Result<NoResp, OpteError>;
    /// Lets go of the underlay links.
    fn clear_xde_underlay(&self, req: ClearXdeUnderlayReq) -> Result<NoResp, OpteError>;
    /// Adds a firewall rule and says its number.
    fn add_fw_rule(&self, req: AddFwRuleReq) -> Result<AddFwRuleResp, OpteError>;
    /// Removes a firewall rule.
    fn rem_fw_rule(&self, req: RemFwRuleReq) -> Result<NoResp, OpteError>;
    /// Replaces the firewall rules of a port.
    fn set_fw_rules(&self, req: SetFwRulesReq) -> Result<NoResp, OpteError>;
    /// Adds a route.
    fn add_router_entry(&self, req: AddRouterEntryReq) -> Result<NoResp, OpteError>;
    /// Removes a route.
    fn del_router_entry(&self, req: DelRouterEntryReq) -> Result<NoResp, OpteError>;
    /// Sets a port's external addresses.
    fn set_external_ips(&self, req: SetExternalIpsReq) -> Result<NoResp, OpteError>;
    /// Lets a port's guest forward packets of a prefix.
    fn allow_cidr(&self, req: AllowCidrReq) -> Result<NoResp, OpteError>;
    /// Takes that back.
    fn remove_cidr(&self, req: RemoveCidrReq) -> Result<NoResp, OpteError>;
    /// Attaches a subnet to a port.
    fn attach_subnet(&self, req: AttachSubnetReq) -> Result<NoResp, OpteError>;
    /// Detaches a subnet from a port.
    fn detach_subnet(&self, req: DetachSubnetReq) -> Result<NoResp, OpteError>;
    /// Says which VPCs a port exchanges packets with beside its own.
    fn set_peers(&self, req: SetPeersReq) -> Result<NoResp, OpteError>;
    /// Sets how much may go one way through a port.
    fn set_meter(&self, req: SetMeterReq) -> Result<NoResp, OpteError>;
    /// Sets the options of a port.
    fn set_port_options(&self, req: SetPortOptionsReq) -> Result<NoResp, OpteError>;
    /// Maps a guest's address to its host.
    fn set_v2p(&self, req: SetVirt2PhysReq) -> Result<NoResp, OpteError>;
    /// Removes the mapping of a guest's address.
    fn clear_v2p(&self, req: ClearVirt2PhysReq) -> Result<NoResp, OpteError>;
    /// Lists where guests are.
    fn dump_v2p(&self, req: DumpVirt2PhysReq) -> Result<DumpVirt2PhysResp, OpteError>;
    /// Adds tunnel endpoints of a prefix.
    fn set_v2b(&self, req: SetVirt2BoundaryReq) -> Result<NoResp, OpteError>;
    /// Removes tunnel endpoints of a prefix.
    fn clear_v2b(&self, req: ClearVirt2BoundaryReq) -> Result<NoResp, OpteError>;
    /// Lists the tunnel endpoints of all prefixes.
    fn dump_v2b(&self, req: DumpVirt2BoundaryReq) -> Result<DumpVirt2BoundaryResp, OpteError>;
    /// Maps a group to the underlay group that stands for it.
    fn set_m2p(&self, req: SetMcast2PhysReq) -> Result<NoResp, OpteError>;
    /// Removes the mapping of a group.
    fn clear_m2p(&self, req: ClearMcast2PhysReq) -> Result<NoResp, OpteError>;
    /// Lists which group is which on the underlay.
    fn dump_m2p(&self, req: DumpMcast2PhysReq) -> Result<DumpMcast2PhysResp, OpteError>;
    /// Adds next hops of an underlay group.
    fn set_mcast_fwd(&self, req: SetMcastForwardingReq) -> Result<NoResp, OpteError>;
    /// Removes next hops of an underlay group.
    fn clear_mcast_fwd(&self, req: ClearMcastForwardingReq) -> Result<NoResp, OpteError>;
    /// Lists the next hops of all underlay groups.
    fn dump_mcast_fwd(
        &self,
        req: DumpMcastForwardingReq,
    ) -> Result<DumpMcastForwardingResp, OpteError>;
    /// Delivers packets of a group to a port.
    fn mcast_subscribe(&self, req: McastSubscribeReq) -> Result<NoResp, OpteError>;
    /// Ends the subscription of a port to a group.
    fn mcast_unsubscribe(&self, req: McastUnsubscribeReq) -> Result<NoResp, OpteError>;
    /// Ends all subscriptions to a group.
    fn mcast_unsubscribe_all(&self, req: McastUnsubscribeAllReq) -> Result<NoResp, OpteError>;
    /// Lists the subscriptions.
    fn dump_mcast_subs(
        &self,
        req: DumpMcastSubscriptionsReq,
    ) -> Result<DumpMcastSubscriptionsResp, OpteError>;
    /// Lists the layers of a port.
    fn list_layers(&self, req: ListLayersReq) -> Result<ListLayersResp, OpteError>;
    /// Lists the rules and flows of a layer.
    fn dump_layer(&self, req: DumpLayerReq) -> Result<DumpLayerResp, OpteError>;
    /// Lists the unified flow table of a port.
    fn dump_uft(&self, req: DumpUftReq) -> Result<DumpUftResp, OpteError>;
    /// Lists the TCP flows of a port.
    fn dump_tcp_flows(&self, req: DumpTcpFlowsReq) -> Result<DumpTcpFlowsResp, OpteError>;
    /// Reads the counters of the driver and its ports. The counters of commands are added by the [`Dispatcher`].
    fn dump_stats(&self, req: DumpStatsReq) -> Result<DumpStatsResp, OpteError>;
    /// Empties the unified flow table of a port.
    fn clear_uft(&self, req: ClearUftReq) -> Result<NoResp, OpteError>;
    /// Empties the flow table of a layer.
    fn clear_lft(&self, req: ClearLftReq) -> Result<NoResp, OpteError>;
    /// Lists everything that was configured. The revision is filled in by the [`Dispatcher`].
    fn dump_config(&self, req: DumpConfigReq) -> Result<DumpConfigResp, OpteError>;
    /// Stops the packets of a port.
    fn pause_port(&self, req: PausePortReq) -> Result<NoResp, OpteError>;
    /// Lets the packets of a port through.
    fn start_port(&self, req: StartPortReq) -> Result<NoResp, OpteError>;
    /// Reads a page of the flows of a paused port.
    fn save_port(&self, req: SavePortReq) -> Result<SavePortResp, OpteError>;
    /// Takes a page of flows in. If it fails, the port has none.
    fn restore_port(&self, req: RestorePortReq) -> Result<RestorePortResp, OpteError>;
    /// Lists the flows of a port that carry most.
    fn heavy_hitters(&self, req: HeavyHittersReq) -> Result<HeavyHittersResp, OpteError>;
    /// Tells what would become of a packet.
    fn trace_packet(&self, req: TracePacketReq) -> Result<TracePacketResp, OpteError>;
    /// Does all steps in their order, or none. They have been validated.
    fn run_batch(&self, steps: Vec<BatchStep>) -> Result<NoResp, OpteError>;
}

/// Takes requests apart, has them done, and answers. One for a driver, however many clients it has.
#[derive(Debug)]
pub struct Dispatcher {
    instance: u64,
    answers: Answers,
    counters: Counters,
    staging: Staging,
    /// How many times the configuration was changed.
    revision: u64,
}

impl Dispatcher {
    /// The dispatcher of a driver.
    ///
    /// `instance` is a number that no other run of the driver has, as far as chance allows; by it clients tell that a driver was restarted.
    pub fn new(instance: u64) -> Self {
        // 0 in a request stands for any driver.
        Self {
            instance: instance.max(1),
            answers: Answers::default(),
            counters: Counters::default(),
            staging: Staging::default(),
            revision: 0,
        }
    }

    /// Has the command in the frame `request` done by `control` and gives the frame of the answer.
    ///
    /// A request that was answered before, by client and sequence number, gets the same answer again and is not done again.
    pub fn dispatch(&mut self, control: &(impl Control + ?Sized), request: &[u8]) -> Vec<u8> {
        match RequestHeader::split(request) {
            Ok((header, rest)) => self.answer(control, header, rest),
            Err(error) => self.refuse(None, &error),
        }
    }

    /// The frame of an answer that says why nothing was done, for what did not get as far as a whole request. It is counted.
    pub fn refuse(&mut self, header: Option<&RequestHeader>, error: &OpteError) -> Vec<u8> {
        self.counters.count_error(error);
        let header = header.copied().unwrap_or_default();
        let body = encode_error(error);
        self.frame(&header, FLAG_ERROR, &body)
    }

    /// Counts what only the platform sees.
    pub fn count(&mut self, counter: CommandCounter) {
        self.counters.count(counter);
    }

    fn answer(
        &mut self,
        control: &(impl Control + ?Sized),
        header: &RequestHeader,
        rest: &[u8],
    ) -> Vec<u8> {
        let checked = header.command(API_VERSION).and_then(|command| {
            let body = header.body(rest)?;
            self.check_instance(header)?;
            Ok((command, body))
        });
        let (command, body) = match checked {
            Ok(checked) => checked,
            Err(error) => return self.refuse(Some(header), &error),
        };

        let id = RequestId {
            client: header.client.get(),
            sequence: header.sequence.get(),
        };
        match self.answers.find(id, command, body) {
            Ok(Some(kept)) => {
                let (flags, body) = (kept.flags | frame::FLAG_KEPT, kept.body.clone());
                self.counters.count(CommandCounter::Kept);
                return self.fit(header, id, command, flags, &body);
            }
            Ok(None) => {}
            Err(error) => return self.refuse(Some(header), &error),
        }

        let (flags, answer) = match self.run(control, id.client, command, body) {
            Ok(answer) => {
                self.revision += u64::from(changes_configuration(command));
                self.counters.count(CommandCounter::Done);
                (0, answer)
            }
            Err(error) => {
                self.counters.count_error(&error);
                (FLAG_ERROR, encode_error(&error))
            }
        };
        if command.changes() || answer.len() > capacity(header) {
            self.answers.keep(id, command, body, flags, answer.clone());
        }
        self.fit(header, id, command, flags, &answer)
    }

    fn check_instance(&self, header: &RequestHeader) -> Result<(), OpteError> {
        match header.instance.get() {
            0 => Ok(()),
            expected if expected == self.instance => Ok(()),
            expected => Err(OpteError::DriverRestarted {
                expected,
                actual: self.instance,
            }),
        }
    }

    /// The frame of an answer, or of the error that it does not fit.
    fn fit(
        &mut self,
        header: &RequestHeader,
        id: RequestId,
        command: OpteCmd,
        flags: u32,
        body: &[u8],
    ) -> Vec<u8> {
        let given = capacity(header);
        if body.len() > given {
            let error = OpteError::RespTooLarge {
                needed: body.len() as u64,
                given: given as u64,
            };
            self.counters.count_error(&error);
            let mut response = self.frame(header, FLAG_ERROR, &encode_error(&error));
            if let Ok((head, _)) =
                <ResponseHeader as zerocopy::FromBytes>::mut_from_prefix(&mut response)
            {
                head.needed = u32::try_from(body.len()).unwrap_or(u32::MAX).into();
            }
            return response;
        }
        if !command.changes() {
            // Delivered; what only reads may be done again.
            self.answers.forget(id);
        }
        self.frame(header, flags, body)
    }

    fn frame(&self, request: &RequestHeader, flags: u32, body: &[u8]) -> Vec<u8> {
        // Bodies are at most MAX_RESPONSE long, errors far shorter.
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let header = ResponseHeader {
            magic: MAGIC.into(),
            command: request.command,
            api_version: API_VERSION.into(),
            client: request.client,
            sequence: request.sequence,
            instance: self.instance.into(),
            body_len: length.into(),
            needed: length.into(),
            flags: flags.into(),
            reserved: 0.into(),
        };
        let mut out = Vec::with_capacity(RESPONSE_HEADER_LEN.saturating_add(body.len()));
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(body);
        out
    }

    fn run(
        &mut self,
        control: &(impl Control + ?Sized),
        client: u64,
        command: OpteCmd,
        body: &[u8],
    ) -> Result<Vec<u8>, OpteError> {
        match command {
            OpteCmd::ListPorts => call(body, |req| control.list_ports(req)),
            OpteCmd::AddFwRule => call(body, |req| control.add_fw_rule(req)),
            OpteCmd::RemFwRule => call(body, |req| control.rem_fw_rule(req)),
            OpteCmd::SetFwRules => call(body, |req| control.set_fw_rules(req)),
            OpteCmd::DumpTcpFlows => call(body, |req| control.dump_tcp_flows(req)),
            OpteCmd::DumpLayer => call(body, |req| control.dump_layer(req)),
            OpteCmd::DumpUft => call(body, |req| control.dump_uft(req)),
            OpteCmd::ListLayers => call(body, |req| control.list_layers(req)),
            OpteCmd::DumpStats => call(body, |req: DumpStatsReq| {
                let mut resp = control.dump_stats(req)?;
                resp.driver.counters.extend(self.counters.read());
                Ok(resp)
            }),
            OpteCmd::ClearUft => call(body, |req| control.clear_uft(req)),
            OpteCmd::ClearLft => call(body, |req| control.clear_lft(req)),
            OpteCmd::SetVirt2Phys => call(body, |req| control.set_v2p(req)),
            OpteCmd::DumpVirt2Phys => call(body, |req| control.dump_v2p(req)),
            OpteCmd::SetVirt2Boundary => call(body, |req| control.set_v2b(req)),
            OpteCmd::ClearVirt2Boundary => call(body, |req| control.clear_v2b(req)),
            OpteCmd::DumpVirt2Boundary => call(body, |req| control.dump_v2b(req)),
            OpteCmd::ClearVirt2Phys => call(body, |req| control.clear_v2p(req)),
            OpteCmd::AddRouterEntry => call(body, |req| control.add_router_entry(req)),
            OpteCmd::DelRouterEntry => call(body, |req| control.del_router_entry(req)),
            OpteCmd::CreateXde => call(body, |req| control.create_xde(req)),
            OpteCmd::CreateLanPort => call(body, |req| control.create_lan_port(req)),
            OpteCmd::SetIpConfig => call(body, |req| control.set_ip_config(req)),
            OpteCmd::DeleteXde => call(body, |req| control.delete_xde(req)),
            OpteCmd::SetXdeUnderlay => call(body, |req| control.set_xde_underlay(req)),
            OpteCmd::ClearXdeUnderlay => call(body, |req| control.clear_xde_underlay(req)),
            OpteCmd::SetExternalIps => call(body, |req| control.set_external_ips(req)),
            OpteCmd::AllowCidr => call(body, |req| control.allow_cidr(req)),
            OpteCmd::RemoveCidr => call(body, |req| control.remove_cidr(req)),
            OpteCmd::AttachSubnet => call(body, |req| control.attach_subnet(req)),
            OpteCmd::DetachSubnet => call(body, |req| control.detach_subnet(req)),
            OpteCmd::SetPeers => call(body, |req| control.set_peers(req)),
            OpteCmd::SetMeter => call(body, |req| control.set_meter(req)),
            OpteCmd::SetPortOptions => call(body, |req| control.set_port_options(req)),
            OpteCmd::SetMcastForwarding => call(body, |req| control.set_mcast_fwd(req)),
            OpteCmd::ClearMcastForwarding => call(body, |req| control.clear_mcast_fwd(req)),
            OpteCmd::DumpMcastForwarding => call(body, |req| control.dump_mcast_fwd(req)),
            OpteCmd::McastSubscribe => call(body, |req| control.mcast_subscribe(req)),
            OpteCmd::McastUnsubscribe => call(body, |req| control.mcast_unsubscribe(req)),
            OpteCmd::McastUnsubscribeAll => call(body, |req| control.mcast_unsubscribe_all(req)),
            OpteCmd::SetMcast2Phys => call(body, |req| control.set_m2p(req)),
            OpteCmd::ClearMcast2Phys => call(body, |req| control.clear_m2p(req)),
            OpteCmd::DumpMcast2Phys => call(body, |req| control.dump_m2p(req)),
            OpteCmd::DumpMcastSubscriptions => call(body, |req| control.dump_mcast_subs(req)),
            OpteCmd::DumpConfig => call(body, |req| {
                let mut resp = control.dump_config(req)?;
                resp.revision = self.revision;
                Ok(resp)
            }),
            OpteCmd::PausePort => call(body, |req| control.pause_port(req)),
            OpteCmd::StartPort => call(body, |req| control.start_port(req)),
            OpteCmd::SavePort => call(body, |req| control.save_port(req)),
            OpteCmd::RestorePort => call(body, |req| control.restore_port(req)),
            OpteCmd::HeavyHitters => call(body, |req| control.heavy_hitters(req)),
            OpteCmd::TracePacket => call(body, |req| control.trace_packet(req)),
            OpteCmd::StageBatch => call(body, |req: StageBatchReq| self.staging.add(client, req)),
            OpteCmd::RunBatch => call(body, |req: RunBatchReq| {
                let steps = self.staging.take(client);
                self.check_batch(&req, &steps)?;
                control.run_batch(steps)
            }),
        }
    }

    fn check_batch(&self, req: &RunBatchReq, steps: &[BatchStep]) -> Result<(), OpteError> {
        if let Some(expected) = req.revision.filter(|revision| *revision != self.revision) {
            return Err(OpteError::ConfigChanged {
                expected,
                actual: self.revision,
            });
        }
        let actual = steps.len() as u64;
        if actual != req.steps {
            return Err(OpteError::BatchIncomplete {
                expected: req.steps,
                actual,
            });
        }
        for (step, of) in (0..).zip(steps) {
            of.validate().map_err(|error| OpteError::BatchStep {
                step,
                command: of.command(),
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }
}

/// Whether a command, once done, has changed what [`Control::dump_config`] lists.
const fn changes_configuration(command: OpteCmd) -> bool {
    command.changes()
        && !matches!(
            command,
            OpteCmd::ClearUft
                | OpteCmd::ClearLft
                | OpteCmd::StageBatch
                | OpteCmd::PausePort
                | OpteCmd::StartPort
                | OpteCmd::RestorePort
        )
}

/// Decodes a request, has it done, and encodes what came of it.
fn call<R: Request>(
    body: &[u8],
    run: impl FnOnce(R) -> Result<R::Response, OpteError>,
) -> Result<Vec<u8>, OpteError> {
    encode(R::COMMAND, &run(frame::decode_request(body)?)?)
}

fn encode(command: OpteCmd, response: &impl Serialize) -> Result<Vec<u8>, OpteError> {
    let body = postcard::to_allocvec(response).map_err(|error| OpteError::SerCmdResp {
        command,
        reason: error.to_string(),
    })?;
    if body.len() > MAX_RESPONSE as usize {
        return Err(OpteError::RespTooLarge {
            needed: body.len() as u64,
            given: u64::from(MAX_RESPONSE),
        });
    }
    Ok(body)
}

/// The body of an answer that says what failed. Errors are short; to encode one into memory cannot fail.
fn encode_error(error: &OpteError) -> Vec<u8> {
    postcard::to_allocvec(error).unwrap_or_default()
}

/// The octets of an answer's body that the client takes. Errors are always sent: they are short.
fn capacity(header: &RequestHeader) -> usize {
    header.response_max.get().min(MAX_RESPONSE) as usize
}

#[cfg(test)]
pub(crate) mod tests;
