//! The examples, run against the real driver over a system in memory, and the asynchronous client beside the other.

#[path = "../examples/async.rs"]
#[allow(dead_code, reason = "the example has a main")]
mod asynchronous;
#[path = "../../xde/tests/memory/mod.rs"]
mod memory;
#[path = "../examples/sync.rs"]
#[allow(dead_code, reason = "the example has a main")]
mod synchronous;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use memory::{Memory, create_req, guest_cfg};
use opte::api::frame::{REQUEST_HEADER_LEN, RequestHeader};
use opte::api::{ClearUftReq, OpteError};
use opteadm::config::{Config, Plan};
use opteadm::{AsyncClient, Client, Error};
use oxide_vpc::api::{AddFwRuleReq, BatchStep, SetXdeUnderlayReq};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use xde::Driver;
use xde::command::Control;
use xde::linux::control::{ControlServer, Limits};
use zerocopy::FromBytes;

struct Host {
    directory: PathBuf,
    driver: Arc<Driver<Memory>>,
    server: Option<ControlServer>,
}

impl Host {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("opteadm-examples-{}-{number}", std::process::id());
        let mut host = Self {
            directory: std::env::temp_dir().join(name),
            driver: Arc::new(Driver::new(Memory::default(), false)),
            server: None,
        };
        std::fs::create_dir_all(&host.directory).unwrap();
        host.serve(1);
        let underlay = SetXdeUnderlayReq {
            u1: "u0".into(),
            u2: None,
        };
        host.driver.set_xde_underlay(underlay).unwrap();
        let create = create_req("opte0", guest_cfg(0, 10, 5));
        host.driver.create_xde(create).unwrap();
        host
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("xde.sock")
    }

    fn serve(&mut self, instance: u64) {
        let control = Arc::clone(&self.driver);
        let server = ControlServer::bind(self.socket(), instance, control, Limits::default());
        self.server = Some(server.unwrap());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server = None;
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn rule(text: &str) -> AddFwRuleReq {
    AddFwRuleReq {
        port_name: "opte0".into(),
        rule: text.parse().unwrap(),
    }
}

#[test]
fn the_synchronous_example() {
    let host = Host::new();
    let said = |socket: PathBuf, port: &str| {
        let mut out = Vec::new();
        let done = synchronous::open_ssh(&socket, port, &mut out);
        done.map(|()| String::from_utf8(out).unwrap())
            .map_err(|error| error.to_string())
    };
    let rule = said(host.socket(), "opte0").unwrap();
    assert!(rule.starts_with("rule 0: "), "{rule}");
    assert!(rule.contains("inner.ulp.dst=22"), "{rule}");
    assert_eq!(
        said(host.socket(), "opte9").unwrap(),
        "there is no opte9, but: opte0\n"
    );
    assert_eq!(
        said("/nonexistent".into(), "opte0").unwrap_err(),
        "start xde: xde is not running: there is no socket /nonexistent"
    );
}

#[tokio::test]
async fn the_asynchronous_example() {
    let (one, other) = (Host::new(), Host::new());
    let mac = guest_cfg(0, 10, 5).guest_mac;
    let mut out = Vec::new();
    let sockets = vec![one.socket(), other.socket(), "/nonexistent".into()];
    asynchronous::find(mac, sockets, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let expected = [
        "no driver at /nonexistent",
        "opte0 has 0 flows",
        "opte0 has 0 flows",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn both_clients_say_the_same() {
    let host = Host::new();
    let mut sync = Client::connect(host.socket()).unwrap();
    let mut other = AsyncClient::connect(host.socket()).await.unwrap();
    // More rules than a page has.
    for n in 0..1500 {
        let rule = rule(&format!("dir=in action=allow priority={}", n + 1));
        assert_eq!(other.call(&rule).await.unwrap().id, n);
    }
    let layer = other.dump_layer("opte0", "firewall").await.unwrap();
    assert_eq!(layer.rules.len(), 1500);
    assert_eq!(layer, sync.dump_layer("opte0", "firewall").unwrap());
    assert_eq!(
        other.list_ports().await.unwrap(),
        sync.list_ports().unwrap()
    );
    assert_eq!(
        other.dump_uft("opte0").await.unwrap(),
        sync.dump_uft("opte0").unwrap()
    );
    assert_eq!(
        other.dump_config().await.unwrap(),
        sync.dump_config().unwrap()
    );

    let stranger = ClearUftReq {
        port_name: "opte9".into(),
    };
    let refused = |result: Result<_, Error>| match result {
        Err(Error::Refused { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    let expected = OpteError::PortNotFound {
        port: "opte9".into(),
    };
    assert_eq!(refused(other.call(&stranger).await), expected);
    assert_eq!(refused(sync.call(&stranger)), expected);

    // A whole configuration, away and back.
    let before = other.dump_config().await.unwrap();
    let wanted = before.to_config();
    let plan = Plan::new(&before, &Config::default()).unwrap();
    other.carry_out(&plan).await.unwrap();
    assert_eq!(other.list_ports().await.unwrap(), []);
    let empty = other.dump_config().await.unwrap();
    let plan = Plan::new(&empty, &wanted).unwrap();
    other.carry_out(&plan).await.unwrap();
    assert_eq!(sync.dump_config().unwrap().to_config(), wanted);
    let outdated = other.carry_out(&plan).await;
    assert!(matches!(
        outdated,
        Err(Error::Refused {
            error: OpteError::ConfigChanged { .. },
            ..
        })
    ));
    let none: &[BatchStep] = &[];
    other.run_batch(none, None).await.unwrap();
}

#[tokio::test]
async fn a_driver_that_ends_is_told_from_one_that_is_restarted() {
    let mut host = Host::new();
    let mut client = AsyncClient::connect(host.socket()).await.unwrap();
    client.list_ports().await.unwrap();
    host.server = None;
    let clear = ClearUftReq {
        port_name: "opte0".into(),
    };
    assert!(matches!(client.call(&clear).await, Err(Error::Gone { .. })));
    assert!(matches!(
        client.list_ports().await,
        Err(Error::NotRunning { .. })
    ));
    host.serve(2);
    assert!(matches!(
        client.call(&clear).await,
        Err(Error::Restarted { .. })
    ));
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_made_once() {
    let host = Host::new();
    let between = host.directory.join("between.sock");
    let listener = UnixListener::bind(&between).unwrap();
    let lossy = tokio::spawn(lose_an_answer(listener, host.socket(), 1));
    let mut client = AsyncClient::connect(between).await.unwrap();
    client.list_ports().await.unwrap();
    let allow = rule("dir=in action=allow priority=1");
    assert_eq!(client.call(&allow).await.unwrap().id, 0);
    let layer = client.dump_layer("opte0", "firewall").await.unwrap();
    assert_eq!(layer.rules.len(), 1);
    lossy.abort();
}

#[tokio::test]
async fn a_call_that_is_dropped_does_not_confuse_the_next() {
    let host = Host::new();
    let between = host.directory.join("between.sock");
    let listener = UnixListener::bind(&between).unwrap();
    let mut client = AsyncClient::connect(between).await.unwrap();
    let (silent, _) = listener.accept().await.unwrap();
    tokio::select! {
        biased;
        _ = client.dump_config() => panic!("nobody answers"),
        () = std::future::ready(()) => {}
    }
    let forwarding = tokio::spawn(lose_an_answer(listener, host.socket(), u32::MAX));
    assert_eq!(client.list_ports().await.unwrap().len(), 1);
    forwarding.abort();
    drop(silent);
}

/// Stands between a client and the driver: everything goes through, but an answer, which is lost with the connection.
async fn lose_an_answer(listener: UnixListener, driver: PathBuf, which: u32) {
    let mut answers = 0;
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut driver = UnixStream::connect(&driver).await.unwrap();
        let mut head = [0; REQUEST_HEADER_LEN];
        while client.read_exact(&mut head).await.is_ok() {
            let header = RequestHeader::read_from_bytes(&head).unwrap();
            let mut body = vec![0; header.body_len.get() as usize];
            client.read_exact(&mut body).await.unwrap();
            driver
                .write_all(&[&head[..], &body].concat())
                .await
                .unwrap();
            let mut answer = vec![0; 1 << 16];
            let octets = driver.read(&mut answer).await.unwrap();
            answers += 1;
            if answers - 1 == which {
                break;
            }
            client.write_all(&answer[..octets]).await.unwrap();
        }
    }
}
