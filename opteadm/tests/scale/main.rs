//! Commands at scale, against the real driver over a system in memory. The figures are printed, not judged:
//!
//! `cargo test --release -p opteadm --test scale -- --ignored --nocapture --test-threads 1`

#[path = "../../../xde/tests/memory/mod.rs"]
mod memory;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::frames::{Frame, udp};
use memory::{Memory, create_req, guest_cfg};
use opte::packet::Offload;
use opteadm::Client;
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, PhysNet, RouterClass, RouterEntry, SetVirt2PhysReq,
    SetXdeUnderlayReq,
};
use oxide_vpc::network::GATEWAY_MAC;
use xde::command::Control;
use xde::linux::control::{ControlServer, Limits};
use xde::{Driver, Outbox};

struct Host {
    directory: PathBuf,
    driver: Arc<Driver<Memory>>,
    _server: ControlServer,
}

impl Host {
    fn new(name: &str) -> Self {
        let name = format!("opteadm-scale-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let driver = Arc::new(Driver::new(Memory::default(), false));
        let control = Arc::clone(&driver);
        let socket = directory.join("xde.sock");
        let server = ControlServer::bind(socket, 1, control, Limits::default()).unwrap();
        Self {
            directory,
            driver,
            _server: server,
        }
    }

    /// Runs a command; how long it took within 400 MB of address space, and how many lines and octets it printed.
    fn run(&self, arguments: &[&str]) -> (Duration, u64, u64) {
        let out = self.directory.join("out");
        let begin = Instant::now();
        let output = Command::new("/usr/bin/env")
            .args(["bash", "-c", "ulimit -v 400000; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_opteadm"))
            .args(arguments)
            .env("XDE_SOCKET", self.directory.join("xde.sock"))
            .stdout(fs::File::create(&out).unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let took = begin.elapsed();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{complaint}");
        let text = fs::read(&out).unwrap();
        let lines = text.iter().filter(|octet| **octet == b'\n').count() as u64;
        let octets = text.len() as u64;
        (took, lines, octets)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// This process's resident memory in kB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kb = line.unwrap().split_whitespace().nth(1).unwrap();
    kb.parse().unwrap()
}

#[test]
#[ignore = "a figure, for release"]
fn a_long_unified_flow_table() {
    const FLOWS: u32 = 500_000;
    let host = Host::new("uft");
    let driver = &host.driver;
    driver
        .set_xde_underlay(SetXdeUnderlayReq {
            u1: "u0".into(),
            u2: Some("u1".into()),
        })
        .unwrap();
    let cfg = guest_cfg(0, 10, 5);
    driver.create_xde(create_req("opte0", cfg.clone())).unwrap();
    let entry = RouterEntry {
        dest: "172.30.0.0/22".parse().unwrap(),
        target: "sub4=172.30.0.0/22".parse().unwrap(),
        class: RouterClass::System,
    };
    driver
        .add_router_entry(AddRouterEntryReq {
            port_name: "opte0".into(),
            entry,
        })
        .unwrap();
    let vip = "172.30.0.9".parse().unwrap();
    let phys = PhysNet {
        ether: "a8:40:25:f0:0a:09".parse().unwrap(),
        ip: memory::underlay_address(1),
        vni: cfg.vni,
    };
    driver.set_v2p(SetVirt2PhysReq { vip, phys }).unwrap();
    let port = driver.switch().ports().next().map(|port| port.id).unwrap();
    let mut outbox = Outbox::new(0);
    let source = "172.30.0.5".parse().unwrap();
    for flow in 0..FLOWS {
        let ports = ((flow >> 10) as u16 + 1024, (flow & 1023) as u16 + 1024);
        let body = udp(ports.0, ports.1, b"x");
        let frame = Frame::new((cfg.guest_mac, source), (GATEWAY_MAC, vip), body).bytes();
        let mut buf = outbox.pool.take();
        buf.space()[..frame.len()].copy_from_slice(&frame);
        buf.received(frame.len(), Offload::default());
        driver.from_guest(port, [buf], &mut outbox);
        outbox = Outbox::new(0);
    }
    let before = resident();
    for arguments in [
        &["dump-uft", "-p", "opte0"][..],
        &["dump-uft", "-p", "opte0", "--json"],
        &["dump-uft", "-p", "opte0", "--l4-port", "2000"],
        &["dump-layer", "-p", "opte0", "firewall"],
    ] {
        let (took, lines, octets) = host.run(arguments);
        println!("{arguments:?}: {took:.2?}, {lines} lines, {octets} octets");
    }
    println!("driver: {before} kB before, {} kB after", resident());

    // A rule that no flow is under, and how long until the answer.
    let mut client = Client::connect(host.directory.join("xde.sock")).unwrap();
    let begin = Instant::now();
    client
        .call(&AddFwRuleReq {
            port_name: "opte0".into(),
            rule: "dir=out action=deny priority=1 protocol=udp port=2000"
                .parse()
                .unwrap(),
        })
        .unwrap();
    println!(
        "a rule on a port with {FLOWS} flows: {:.3?}",
        begin.elapsed()
    );
}

#[test]
#[ignore = "a figure, for release"]
fn many_ports_rules_and_mappings() {
    let host = Host::new("apply");
    let mut text = String::from("underlay = [\"u0\", \"u1\"]\n");
    for port in 0..1000_u32 {
        let (high, low) = (port >> 8, port & 0xff);
        write!(
            text,
            "\n[[port]]\nname = \"opte{port}\"\nvni = 10\nguest-mac = \"a8:40:25:f0:{high:02x}:{low:02x}\"\n\
             gateway-mac = \"a8:40:25:ff:77:77\"\nunderlay-address = \"fd00:1::1\"\nfirewall = [\n"
        )
        .unwrap();
        for rule in 0..100 {
            writeln!(
                text,
                "  \"dir=in action=allow priority={} protocol=tcp port={}\",",
                rule + 1,
                rule + 1000
            )
            .unwrap();
        }
        write!(
            text,
            "]\n[port.ipv4]\naddress = \"10.0.{}.{low}\"\nsubnet = \"10.0.0.0/16\"\ngateway = \"10.0.255.1\"\n",
            high + 1
        )
        .unwrap();
    }
    for mapping in 0..10_000_u32 {
        let (high, low) = (mapping >> 8, mapping & 0xff);
        write!(
            text,
            "\n[[v2p]]\nvni = 10\naddress = \"10.0.{}.{low}\"\nmac = \"a8:40:25:f1:{high:02x}:{low:02x}\"\n\
             underlay-address = \"fd00:2::1\"\n",
            high + 100
        )
        .unwrap();
    }
    let file = host.directory.join("host.toml");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    for what in ["apply", "again"] {
        let (took, lines, ..) = host.run(&["apply", &file]);
        println!("{what}: {took:.2?}, {lines} changes");
    }
}
