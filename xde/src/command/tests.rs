use alloc::string::String;
use alloc::vec;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;

use opte::Direction;
use opte::api::frame::{FLAG_KEPT, MAX_REQUEST};
use opte::api::{FlowDetail, FlowId, Page, UftFlow};
use oxide_vpc::api::{FirewallRule, TunnelEndpoint};
use postcard::from_bytes;
use proptest::prelude::*;
use zerocopy::FromBytes;

use super::*;

/// A driver of which only what the cases need is there: rules are kept, the flow table has `flows` entries.
#[derive(Default)]
pub(crate) struct Recorder {
    rules: Mutex<Vec<FirewallRule>>,
    flows: u64,
    calls: AtomicU32,
}

impl Recorder {
    pub(crate) fn with_flows(flows: u64) -> Self {
        Self {
            flows,
            ..Self::default()
        }
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a command and says that there is no port.
macro_rules! not_found {
    ($($method:ident: $req:ty => $resp:ty,)*) => {
        $(fn $method(&self, _: $req) -> Result<$resp, OpteError> {
            self.called();
            Err(OpteError::PortNotFound { port: String::from("opte0") })
        })*
    };
}

impl Control for Recorder {
    not_found! {
        list_ports: ListPortsReq => ListPortsResp,
        create_xde: CreateXdeReq => NoResp,
        create_lan_port: CreateLanPortReq => NoResp,
        set_ip_config: SetIpConfigReq => NoResp,
        delete_xde: DeleteXdeReq => NoResp,
        set_xde_underlay: SetXdeUnderlayReq => NoResp,
        clear_xde_underlay: ClearXdeUnderlayReq => NoResp,
        rem_fw_rule: RemFwRuleReq => NoResp,
        set_fw_rules: SetFwRulesReq => NoResp,
        add_router_entry: AddRouterEntryReq => NoResp,
        del_router_entry: DelRouterEntryReq => NoResp,
        set_external_ips: SetExternalIpsReq => NoResp,
        allow_cidr: AllowCidrReq => NoResp,
        remove_cidr: RemoveCidrReq => NoResp,
        attach_subnet: AttachSubnetReq => NoResp,
        detach_subnet: DetachSubnetReq => NoResp,
        set_peers: SetPeersReq => NoResp,
        set_meter: SetMeterReq => NoResp,
        set_port_options: SetPortOptionsReq => NoResp,
        set_v2p: SetVirt2PhysReq => NoResp,
        clear_v2p: ClearVirt2PhysReq => NoResp,
        dump_v2p: DumpVirt2PhysReq => DumpVirt2PhysResp,
        set_v2b: SetVirt2BoundaryReq => NoResp,
        clear_v2b: ClearVirt2BoundaryReq => NoResp,
        dump_v2b: DumpVirt2BoundaryReq => DumpVirt2BoundaryResp,
        set_m2p: SetMcast2PhysReq => NoResp,
        clear_m2p: ClearMcast2PhysReq => NoResp,
        dump_m2p: DumpMcast2PhysReq => DumpMcast2PhysResp,
        set_mcast_fwd: SetMcastForwardingReq => NoResp,
        clear_mcast_fwd: ClearMcastForwardingReq => NoResp,
        dump_mcast_fwd: DumpMcastForwardingReq => DumpMcastForwardingResp,
        mcast_subscribe: McastSubscribeReq => NoResp,
        mcast_unsubscribe: McastUnsubscribeReq => NoResp,
        mcast_unsubscribe_all: McastUnsubscribeAllReq => NoResp,
        dump_mcast_subs: DumpMcastSubscriptionsReq => DumpMcastSubscriptionsResp,
        list_layers: ListLayersReq => ListLayersResp,
        dump_layer: DumpLayerReq => DumpLayerResp,
        dump_tcp_flows: DumpTcpFlowsReq => DumpTcpFlowsResp,
        clear_uft: ClearUftReq => NoResp,
        clear_lft: ClearLftReq => NoResp,
        dump_config: DumpConfigReq => DumpConfigResp,
        pause_port: PausePortReq => NoResp,
        start_port: StartPortReq => NoResp,
        save_port: SavePortReq => SavePortResp,
        restore_port: RestorePortReq => RestorePortResp,
        heavy_hitters: HeavyHittersReq => HeavyHittersResp,
        trace_packet: TracePacketReq => TracePacketResp,
    }

    fn run_batch(&self, steps: Vec<BatchStep>) -> Result<NoResp, OpteError> {
        self.calls
            .fetch_add(u32::try_from(steps.len()).unwrap(), Ordering::Relaxed);
        Ok(NoResp {})
    }

    fn add_fw_rule(&self, req: AddFwRuleReq) -> Result<AddFwRuleResp, OpteError> {
        self.called();
        let mut rules = self.rules.lock().unwrap();
        rules.push(req.rule);
        let id = rules.len() as u64 - 1;
        Ok(AddFwRuleResp { id })
    }

    fn dump_uft(&self, req: DumpUftReq) -> Result<DumpUftResp, OpteError> {
        self.called();
        let end = self.flows.min(req.page.cursor + req.page.limit() as u64);
        let flow = FlowId {
            protocol: 17,
            source: "10.0.0.1".parse().unwrap(),
            destination: "10.0.0.2".parse().unwrap(),
            detail: FlowDetail::Ports {
                source: 1,
                destination: 2,
            },
        };
        let entry = |_| UftFlow {
            dir: Direction::Out,
            flow,
            hits: 1,
            program: String::from("encap"),
        };
        Ok(DumpUftResp {
            count_out: self.flows,
            flows: (req.page.cursor..end).map(entry).collect(),
            next: (end < self.flows).then_some(end),
            ..DumpUftResp::default()
        })
    }

    fn dump_stats(&self, _: DumpStatsReq) -> Result<DumpStatsResp, OpteError> {
        Ok(DumpStatsResp::default())
    }
}

const INSTANCE: u64 = 0x1234;

fn header(sequence: u64) -> RequestHeader {
    RequestHeader {
        api_version: API_VERSION.into(),
        client: 1.into(),
        sequence: sequence.into(),
        response_max: MAX_RESPONSE.into(),
        ..RequestHeader::default()
    }
}

fn request<R: Request>(sequence: u64, request: &R) -> Vec<u8> {
    frame::encode_request(header(sequence), request).unwrap()
}

fn answer(frame: &[u8]) -> (ResponseHeader, &[u8]) {
    let (header, body) = ResponseHeader::read_from_prefix(frame).unwrap();
    assert_eq!(header.magic.get(), MAGIC);
    assert_eq!(header.api_version.get(), API_VERSION);
    assert_eq!(header.instance.get(), INSTANCE);
    assert_eq!(header.body_len.get() as usize, body.len());
    (header, body)
}

fn error(frame: &[u8]) -> OpteError {
    let (header, body) = answer(frame);
    assert_eq!(header.flags.get() & FLAG_ERROR, FLAG_ERROR);
    from_bytes(body).unwrap()
}

fn add_rule() -> AddFwRuleReq {
    AddFwRuleReq {
        port_name: String::from("opte0"),
        rule: "dir=in action=allow priority=1".parse().unwrap(),
    }
}

fn dump(cursor: u64) -> DumpUftReq {
    DumpUftReq {
        port_name: String::from("opte0"),
        page: Page {
            cursor,
            limit: 1024,
        },
        filter: opte::api::FlowFilter::ALL,
    }
}

fn counters(dispatcher: &Dispatcher) -> Vec<(String, u64)> {
    dispatcher
        .counters
        .read()
        .filter(|(_, value)| *value > 0)
        .collect()
}

#[test]
fn a_command_is_done_and_answered() {
    let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
    let frame = dispatcher.dispatch(&control, &request(1, &add_rule()));
    let (header, body) = answer(&frame);
    assert_eq!(
        (
            header.flags.get(),
            header.sequence.get(),
            header.client.get()
        ),
        (0, 1, 1)
    );
    assert_eq!(header.command.get(), OpteCmd::AddFwRule.code());
    assert_eq!(from_bytes(body), Ok(AddFwRuleResp { id: 0 }));
    assert_eq!(control.rules.lock().unwrap().len(), 1);
    assert_eq!(counters(&dispatcher), [(String::from("command_done"), 1)]);
}

#[test]
fn a_retry_gets_the_answer_and_is_not_done_again() {
    let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
    let frame = request(1, &add_rule());
    dispatcher.dispatch(&control, &frame);
    for _ in 0..3 {
        let again = dispatcher.dispatch(&control, &frame);
        let (header, body) = answer(&again);
        assert_eq!(header.flags.get(), FLAG_KEPT);
        assert_eq!(from_bytes(body), Ok(AddFwRuleResp { id: 0 }));
    }
    assert_eq!(control.calls(), 1);
    // The next request of the client is another one, and is done.
    dispatcher.dispatch(&control, &request(2, &add_rule()));
    assert_eq!(control.calls(), 2);
}

#[test]
fn a_retry_of_what_failed_fails_the_same_way_and_is_not_tried_again() {
    let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
    let frame = request(
        1,
        &DeleteXdeReq {
            name: String::from("opte0"),
        },
    );
    let expected = OpteError::PortNotFound {
        port: String::from("opte0"),
    };
    assert_eq!(error(&dispatcher.dispatch(&control, &frame)), expected);
    assert_eq!(error(&dispatcher.dispatch(&control, &frame)), expected);
    assert_eq!(control.calls(), 1);
}

#[test]
fn an_id_stands_for_one_request() {
    let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
    dispatcher.dispatch(&control, &request(1, &add_rule()));
    let other = DeleteXdeReq {
        name: String::from("opte0"),
    };
    assert_eq!(
        error(&dispatcher.dispatch(&control, &request(1, &other))),
        OpteError::RequestIdReused { sequence: 1 }
    );
    assert_eq!(control.calls(), 1);
}

#[test]
fn an_answer_that_does_not_fit_is_kept_for_a_larger_buffer() {
    let (control, mut dispatcher) = (
        Recorder {
            flows: 500,
            ..Recorder::default()
        },
        Dispatcher::new(INSTANCE),
    );
    let small = RequestHeader {
        response_max: 100.into(),
        ..header(1)
    };
    let frame = dispatcher.dispatch(&control, &frame::encode_request(small, &dump(0)).unwrap());
    let (head, _) = answer(&frame);
    let needed = head.needed.get();
    assert_eq!(
        error(&frame),
        OpteError::RespTooLarge {
            needed: u64::from(needed),
            given: 100
        }
    );

    let large = RequestHeader {
        response_max: needed.into(),
        ..header(1)
    };
    let frame = dispatcher.dispatch(&control, &frame::encode_request(large, &dump(0)).unwrap());
    let (head, body) = answer(&frame);
    assert_eq!(head.body_len.get(), needed);
    assert_eq!(from_bytes::<DumpUftResp>(body).unwrap().flows.len(), 500);
    assert_eq!(control.calls(), 1);
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let (control, mut dispatcher) = (
        Recorder {
            flows: 2500,
            ..Recorder::default()
        },
        Dispatcher::new(INSTANCE),
    );
    let (mut cursor, mut listed) = (0, vec![]);
    for sequence in 1.. {
        let frame = dispatcher.dispatch(&control, &request(sequence, &dump(cursor)));
        let page: DumpUftResp = from_bytes(answer(&frame).1).unwrap();
        listed.push(page.flows.len());
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(listed, [1024, 1024, 452]);
}

#[test]
fn what_is_wrong_with_a_request_is_said_and_counted() {
    let good = request(1, &add_rule());
    let edit = |edit: &dyn Fn(&mut RequestHeader)| {
        let mut frame = good.clone();
        edit(RequestHeader::mut_from_prefix(&mut frame).unwrap().0);
        frame
    };
    let body_of_another = frame::encode_request(
        header(1),
        &ListLayersReq {
            port_name: String::from("x"),
        },
    )
    .map(|mut frame| {
        let code = OpteCmd::SetFwRules.code();
        RequestHeader::mut_from_prefix(&mut frame)
            .unwrap()
            .0
            .command = code.into();
        frame
    })
    .unwrap();
    let mut trailing = good.clone();
    trailing.push(0);
    let mut trailing_body = edit(&|h| h.body_len = (h.body_len.get() + 1).into());
    trailing_body.push(0);
    let cases: [(&str, Vec<u8>, &str); 10] = [
        (
            "command_truncated",
            vec![],
            "request truncated: 0 of 56 octets",
        ),
        (
            "command_truncated",
            good[..good.len() - 1].to_vec(),
            "request truncated: 12 of 13 octets",
        ),
        (
            "command_bad_magic",
            edit(&|h| h.magic = 7.into()),
            "not a request: it begins with 0x00000007",
        ),
        (
            "command_unknown",
            edit(&|h| h.command = 2.into()),
            "there is no command 2",
        ),
        (
            "command_too_large",
            edit(&|h| h.body_len = (MAX_REQUEST + 1).into()),
            "request too large: 1048577 octets, at most 1048576 are taken",
        ),
        (
            "command_trailing_bytes",
            trailing,
            "1 octets follow the end of the request",
        ),
        (
            "command_trailing_bytes",
            trailing_body,
            "1 octets follow the end of the request",
        ),
        (
            "command_wrong_instance",
            edit(&|h| h.instance = 5.into()),
            "the driver was restarted: instance 0000000000000005 is gone, 0000000000001234 answers",
        ),
        (
            "command_malformed",
            body_of_another,
            "malformed request for SetFwRules: Hit the end of buffer, expected more data",
        ),
        (
            "command_failed",
            request(
                1,
                &DeleteXdeReq {
                    name: String::from("a/b"),
                },
            ),
            "bad name 'a/b': only letters, digits, '_', '-' and '.' may stand in it",
        ),
    ];
    for (counter, frame, message) in cases {
        let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
        assert_eq!(
            error(&dispatcher.dispatch(&control, &frame)).to_string(),
            message
        );
        assert_eq!(
            counters(&dispatcher),
            [(String::from(counter), 1)],
            "{message}"
        );
        assert_eq!(control.calls(), 0, "{message}");
    }
}

#[test]
fn another_version_is_refused_whatever_else_the_request_says() {
    let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
    let old = RequestHeader {
        api_version: 41.into(),
        ..header(1)
    };
    let mut frame = frame::encode_request(old, &add_rule()).unwrap();
    RequestHeader::mut_from_prefix(&mut frame)
        .unwrap()
        .0
        .command = 9999.into();
    assert_eq!(
        error(&dispatcher.dispatch(&control, &frame)),
        OpteError::BadApiVersion {
            client: 41,
            driver: API_VERSION
        }
    );
}

#[test]
fn counters_of_commands_are_among_the_driver_s() {
    let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
    dispatcher.dispatch(&control, b"garbage");
    dispatcher.count(CommandCounter::TimedOut);
    let stats = DumpStatsReq {
        port_name: None,
        page: Page::FIRST,
    };
    let frame = dispatcher.dispatch(&control, &request(1, &stats));
    let resp: DumpStatsResp = from_bytes(answer(&frame).1).unwrap();
    let value = |name: &str| resp.driver.counters.get(name).copied();
    assert_eq!(value("command_truncated"), Some(1));
    assert_eq!(value("command_timed_out"), Some(1));
    assert_eq!(value("command_done"), Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_octets_get_an_answer(octets: Vec<u8>) {
        let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
        error(&dispatcher.dispatch(&control, &octets));
        prop_assert_eq!(control.calls(), 0);
    }

    #[test]
    fn any_body_of_any_command_gets_an_answer(command in prop::sample::select(OpteCmd::ALL), body: Vec<u8>) {
        let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
        let head = RequestHeader {
            magic: MAGIC.into(),
            command: command.code().into(),
            body_len: (body.len() as u32).into(),
            ..header(1)
        };
        let mut frame = head.as_bytes().to_vec();
        frame.extend_from_slice(&body);
        answer(&dispatcher.dispatch(&control, &frame));
    }

    #[test]
    fn a_flipped_bit_gets_an_answer(at: prop::sample::Index, bit in 0_u8..8) {
        let (control, mut dispatcher) = (Recorder::default(), Dispatcher::new(INSTANCE));
        let tep = TunnelEndpoint { ip: "fd00::1".parse().unwrap(), vni: opte_headers::Vni::new(99).unwrap() };
        let mut frame = request(1, &SetVirt2BoundaryReq { vip: "10.0.0.0/8".parse().unwrap(), tep: vec![tep; 3] });
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;
        answer(&dispatcher.dispatch(&control, &frame));
    }
}
