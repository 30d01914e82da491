//! Commands at scale, against the real driver over a system in memory: `name value unit budget` each, chosen by part of their name.
//!
//! `./figures --commands [NAME..]`

#[path = "../../xde/tests/memory/mod.rs"]
mod memory;

use std::cell::Cell;
use std::fs;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use memory::frames::{Frame, udp};
use memory::{Memory, create_req, guest_cfg};
use opte::packet::Offload;
use opteadm::Client;
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, PhysNet, RouterClass, RouterEntry, SetVirt2PhysReq,
    SetXdeUnderlayReq, VpcCfg,
};
use oxide_vpc::network::GATEWAY_MAC;
use xde::command::Control;
use xde::linux::control::{ControlServer, Limits};
use xde::platform::PortId;
use xde::{Driver, Outbox};

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with("--"))
        .collect();
    for (names, figures) in FIGURES {
        let chosen =
            |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
        if names.iter().any(|name| chosen(name)) {
            figures(&|name, value, unit, budget: Option<f64>| {
                if chosen(name) {
                    let budget = budget.map_or_else(|| "-".to_owned(), |budget| budget.to_string());
                    println!("{name} {value:.3} {unit} {budget}");
                }
            });
        }
    }
}

type Say<'a> = &'a dyn Fn(&str, f64, &str, Option<f64>);

/// Names, and what measures them.
type Together = (&'static [&'static str], fn(Say<'_>));

/// What is measured together.
const FIGURES: [Together; 2] = [
    (
        &[
            "apply_1000_ports_100_rules_10000_mappings",
            "apply_again_nothing_to_do",
            "export_1000_ports",
        ],
        many_ports_rules_and_mappings,
    ),
    (
        &[
            "dump_uft_1000000_entries",
            "dump_uft_1000000_entries_json",
            "dump_uft_1000000_entries_one_found",
            "dump_layer_500000_flows",
            "dump_client_memory",
            "dump_driver_memory",
            "rule_takes_effect_500000_flows",
            "rule_for_all_takes_effect_500000_flows",
        ],
        a_full_port,
    ),
];

fn many_ports_rules_and_mappings(say: Say<'_>) {
    let host = Host::new("apply");
    let file = host.directory.join("host.toml");
    configuration(&file).unwrap();
    let file = file.display().to_string();
    let seconds = |arguments: &[&str]| host.run(arguments).0.as_secs_f64();
    let name = "apply_1000_ports_100_rules_10000_mappings";
    say(name, seconds(&["apply", &file]), "s", Some(5.0));
    let again = (0..TRIES).map(|_| {
        let (took, lines) = host.run(&["apply", &file]);
        assert_eq!(lines, 0);
        took.as_secs_f64()
    });
    let again = again.fold(f64::MAX, f64::min);
    say("apply_again_nothing_to_do", again, "s", Some(1.0));
    say("export_1000_ports", seconds(&["export"]), "s", None);
}

fn a_full_port(say: Say<'_>) {
    let guest = Guest::new();
    let host = &guest.host;
    guest.sends(0..500_000);
    let rule = |name: &str, ports: &str, flow| {
        let took = guest.is_denied(ports, flow).as_secs_f64() * 1e3;
        say(name, took, "ms", Some(10.0));
    };
    rule("rule_takes_effect_500000_flows", "1224", 200);
    assert_eq!(guest.sends(201..202), 1);
    // As many as a port holds or a few more, each with an entry for either direction.
    guest.sends(500_000..524_288);

    let before = reset_peak();
    let dump = |name: &str, arguments: &[&str], at_least, budget| {
        let took = (0..TRIES).map(|_| {
            let (took, lines) = host.run(arguments);
            assert!(lines >= at_least, "{arguments:?} has {lines} lines");
            took.as_secs_f64()
        });
        say(name, took.fold(f64::MAX, f64::min), "s", budget);
    };
    let uft = ["dump-uft", "-p", "opte0", "--json"];
    let (one, all) = (2, 1_000_000);
    dump("dump_uft_1000000_entries", &uft[..3], all, Some(5.0));
    dump("dump_uft_1000000_entries_json", &uft, all, Some(5.0));
    let filtered = ["dump-uft", "-p", "opte0", "--l4-port", "2001"];
    dump("dump_uft_1000000_entries_one_found", &filtered, one, None);
    let layer = ["dump-layer", "-p", "opte0", "firewall"];
    dump("dump_layer_500000_flows", &layer, all, None);
    let client = host.largest_client.get() as f64 / 1024.0;
    say("dump_client_memory", client, "MiB", Some(64.0));
    let driver = (peak("self").unwrap() - before) as f64 / 1024.0;
    say("dump_driver_memory", driver, "MiB", Some(64.0));

    rule("rule_for_all_takes_effect_500000_flows", "any", 201);
}

/// Of what can be done again, the least time of so many.
const TRIES: u32 = 3;

/// A host and its control socket.
struct Host {
    directory: PathBuf,
    driver: Arc<Driver<Memory>>,
    _server: ControlServer,
    /// The most memory that a command had, in KiB.
    largest_client: Cell<u64>,
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
            largest_client: Cell::new(0),
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("xde.sock")
    }

    /// Runs a command; how long it took, and how many lines it printed.
    fn run(&self, arguments: &[&str]) -> (Duration, u64) {
        let out = self.directory.join("out");
        let begin = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_opteadm"))
            .args(arguments)
            .env("XDE_SOCKET", self.socket())
            .stdout(fs::File::create(&out).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // What the system tells after the end has the memory in it of whoever started it.
        while child.try_wait().unwrap().is_none() {
            let largest = self.largest_client.get();
            let now = peak(&child.id().to_string()).unwrap_or_default();
            self.largest_client.set(largest.max(now));
            thread::sleep(Duration::from_millis(1));
        }
        let output = child.wait_with_output().unwrap();
        let took = begin.elapsed();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{complaint}");
        (took, lines(&out))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A guest that sends UDP to another on the next host, each packet of a flow of its own.
struct Guest {
    host: Host,
    cfg: VpcCfg,
    port: PortId,
}

impl Guest {
    fn new() -> Self {
        let host = Host::new("uft");
        let underlay = SetXdeUnderlayReq {
            u1: "u0".into(),
            u2: Some("u1".into()),
        };
        host.driver.set_xde_underlay(underlay).unwrap();
        let cfg = guest_cfg(0, 10, 5);
        let create = create_req("opte0", cfg.clone());
        host.driver.create_xde(create).unwrap();
        let route = AddRouterEntryReq {
            port_name: "opte0".into(),
            entry: RouterEntry {
                dest: "172.30.0.0/22".parse().unwrap(),
                target: "sub4=172.30.0.0/22".parse().unwrap(),
                class: RouterClass::System,
            },
        };
        host.driver.add_router_entry(route).unwrap();
        let neighbour = SetVirt2PhysReq {
            vip: "172.30.0.9".parse().unwrap(),
            phys: PhysNet {
                ether: "a8:40:25:f0:0a:09".parse().unwrap(),
                ip: memory::underlay_address(1),
                vni: cfg.vni,
            },
        };
        host.driver.set_v2p(neighbour).unwrap();
        let port = host.driver.switch().ports().next().unwrap().id;
        Self { host, cfg, port }
    }

    /// A packet of each of these flows; how many left the host. The destination port of a flow is `1024 + flow % 1024`.
    fn sends(&self, flows: std::ops::Range<u32>) -> usize {
        let (mut outbox, mut sent) = (Outbox::new(0), 0);
        let source = "172.30.0.5".parse().unwrap();
        let neighbour = "172.30.0.9".parse().unwrap();
        for flow in flows {
            let ports = ((flow >> 10) as u16 + 1024, (flow & 1023) as u16 + 1024);
            let body = udp(ports.0, ports.1, b"x");
            let guest = (self.cfg.guest_mac, source);
            let frame = Frame::new(guest, (GATEWAY_MAC, neighbour), body).bytes();
            let mut buf = outbox.pool.take();
            buf.space()[..frame.len()].copy_from_slice(&frame);
            buf.received(frame.len(), Offload::default());
            self.host.driver.from_guest(self.port, [buf], &mut outbox);
            sent += outbox.to_underlay.len();
            outbox = Outbox::new(0);
        }
        sent
    }

    /// Denies by a command the flows to these ports: how long until a packet of this one of them is dropped.
    fn is_denied(&self, ports: &str, flow: u32) -> Duration {
        let mut client = Client::connect(self.host.socket()).unwrap();
        client.list_ports().unwrap();
        assert_eq!(self.sends(flow..flow + 1), 1);
        let rule = format!("dir=out action=deny priority=1 protocol=udp port={ports}");
        let request = AddFwRuleReq {
            port_name: "opte0".into(),
            rule: rule.parse().unwrap(),
        };
        let begin = Instant::now();
        client.call(&request).unwrap();
        assert_eq!(self.sends(flow..flow + 1), 0);
        begin.elapsed()
    }
}

/// 1,000 ports with 100 rules each, and 10,000 mappings.
/// Written bit by bit: a large piece of memory that is given back makes the allocator take the tables of ports from where it must clear them.
fn configuration(path: &Path) -> io::Result<()> {
    let mut text = BufWriter::new(fs::File::create(path)?);
    writeln!(text, "underlay = [\"u0\", \"u1\"]")?;
    for port in 0..1000_u32 {
        let (high, low) = (port >> 8, port & 0xff);
        write!(
            text,
            "\n[[port]]\nname = \"opte{port}\"\nvni = 10\nguest-mac = \"a8:40:25:f0:{high:02x}:{low:02x}\"\n\
             gateway-mac = \"a8:40:25:ff:77:77\"\nunderlay-address = \"fd00:1::1\"\nfirewall = [\n"
        )?;
        for rule in 1..=100 {
            let port = rule + 1000;
            writeln!(
                text,
                "  \"dir=in action=allow priority={rule} protocol=tcp port={port}\","
            )?;
        }
        write!(
            text,
            "]\n[port.ipv4]\naddress = \"10.0.{}.{low}\"\nsubnet = \"10.0.0.0/16\"\ngateway = \"10.0.255.1\"\n",
            high + 1
        )?;
    }
    for mapping in 0..10_000_u32 {
        let (high, low) = (mapping >> 8, mapping & 0xff);
        write!(
            text,
            "\n[[v2p]]\nvni = 10\naddress = \"10.0.{}.{low}\"\nmac = \"a8:40:25:f1:{high:02x}:{low:02x}\"\n\
             underlay-address = \"fd00:2::1\"\n",
            high + 100
        )?;
    }
    text.flush()
}

/// Lines of a file, of which this process has little in memory at a time.
fn lines(path: &Path) -> u64 {
    let mut file = fs::File::open(path).unwrap();
    let (mut buffer, mut lines) = ([0; 1 << 16], 0);
    loop {
        let octets = file.read(&mut buffer).unwrap();
        if octets == 0 {
            return lines;
        }
        lines += buffer[..octets]
            .iter()
            .filter(|octet| **octet == b'\n')
            .count() as u64;
    }
}

/// Forgets the most memory this process ever had; says what it has, in KiB.
fn reset_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak("self").unwrap()
}

/// The most memory that a process had, in KiB, while there is one.
fn peak(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
