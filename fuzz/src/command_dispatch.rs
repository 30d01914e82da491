//! The command entry of a driver: any octets get an answer; what fails has changed nothing.

use crate::input::Input;
use crate::memory::World;
use opte::api::frame::{FLAG_ERROR, MAGIC, MAX_RESPONSE, RequestHeader, ResponseHeader};
use opte::api::{OpteCmd, OpteError, Page};
use oxide_vpc::api::{
    API_VERSION, DumpConfigReq, DumpVirt2BoundaryReq, DumpVirt2PhysReq, ListPortsReq,
};
use xde::command::{Control, Dispatcher};
use zerocopy::{FromBytes, IntoBytes};

/// One command after another: which, the length of its body, the body.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let world = World::new();
    let driver = &world.hosts[0];
    let mut dispatcher = Dispatcher::new(1);
    let mut sequence = 0;
    for _ in 0..24 {
        if input.is_empty() {
            break;
        }
        let (which, len) = (input.byte(), usize::from(input.word()));
        let body = input.up_to(len);
        let request = match which {
            255 => body.to_vec(),
            252..=254 => {
                let step = ["create", "start", "delete"][usize::from(which - 252)];
                *driver.platform().fails.lock().unwrap() = Some(step);
                continue;
            }
            _ => {
                sequence += 1;
                let command = OpteCmd::ALL[usize::from(which) % OpteCmd::ALL.len()];
                let small = which > 200;
                [
                    header(command, sequence, body.len(), small).as_bytes(),
                    body,
                ]
                .concat()
            }
        };
        let before = state(driver);
        let answer = dispatcher.dispatch(driver, &request);
        let (header, body) = ResponseHeader::ref_from_prefix(&answer).unwrap();
        assert_eq!(header.body_len.get() as usize, body.len());
        assert!(body.len() <= MAX_RESPONSE as usize);
        if header.flags.get() & FLAG_ERROR != 0 {
            let error: OpteError = postcard::from_bytes(body).unwrap();
            let _ = error.to_string();
            let done = matches!(error, OpteError::RespTooLarge { .. });
            assert!(done || state(driver) == before, "changed, and {error}");
        }
    }
}

fn header(command: OpteCmd, sequence: u64, len: usize, small: bool) -> RequestHeader {
    RequestHeader {
        magic: MAGIC.into(),
        command: command.code().into(),
        api_version: API_VERSION.into(),
        client: 1.into(),
        sequence: sequence.into(),
        instance: 0.into(),
        body_len: (len as u32).into(),
        response_max: if small { 16 } else { MAX_RESPONSE }.into(),
        reserved: 0.into(),
    }
}

/// What there is, as lists tell it.
fn state(driver: &impl Control) -> String {
    let page = Page::FIRST;
    let guests = driver.dump_v2p(DumpVirt2PhysReq { page });
    let boundary = driver.dump_v2b(DumpVirt2BoundaryReq { page });
    let config = driver.dump_config(DumpConfigReq { page });
    format!(
        "{:?} {guests:?} {boundary:?} {config:?}",
        driver.list_ports(ListPortsReq { page })
    )
}
