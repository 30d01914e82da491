//! `opteadm save-port` and `restore-port`: a port outlives its driver. The driver is the real one, over a system in memory.

#[path = "../../../xde/tests/memory/mod.rs"]
mod memory;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use memory::frames::{Body, Frame, tcp, udp};
use memory::{Memory, create_req, guest_cfg, underlay_address};
use opte::packet::Offload;
use opte_headers::{MacAddr, TcpFlags};
use opteadm::Client;
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, ExternalIpCfg, IpCfg, RouterClass, RouterEntry, SNatCfg,
    SetVirt2BoundaryReq, SetXdeUnderlayReq, TunnelEndpoint, VpcCfg,
};
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC};
use xde::linux::control::{ControlServer, Limits};
use xde::segment::MAX_HEADERS;
use xde::{Driver, Outbox, WireFrame as _};

/// A directory for files, and the driver that runs now.
struct Host {
    directory: PathBuf,
    driver: Arc<Driver<Memory>>,
    server: Option<ControlServer>,
    runs: u64,
}

impl Host {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("opteadm-saved-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let mut host = Self {
            directory,
            driver: Arc::new(Driver::new(Memory::default(), false)),
            server: None,
            runs: 0,
        };
        host.restart();
        host
    }

    /// Another run of the driver: it knows the underlay and the boundary and nothing else.
    fn restart(&mut self) {
        self.server = None;
        self.runs += 1;
        self.driver = Arc::new(Driver::new(Memory::default(), false));
        let socket = self.directory.join("xde.sock");
        let control = Arc::clone(&self.driver);
        self.server =
            Some(ControlServer::bind(socket, self.runs, control, Limits::default()).unwrap());
        let mut client = self.client();
        let (u1, u2) = ("u0".into(), Some("u1".into()));
        client.call(&SetXdeUnderlayReq { u1, u2 }).unwrap();
        let boundary = TunnelEndpoint {
            ip: underlay_address(1),
            vni: BOUNDARY_VNI,
        };
        let (vip, tep) = ("0.0.0.0/0".parse().unwrap(), vec![boundary]);
        client.call(&SetVirt2BoundaryReq { vip, tep }).unwrap();
    }

    fn client(&self) -> Client {
        Client::connect(self.directory.join("xde.sock")).unwrap()
    }

    /// A guest behind source NAT, with rules and a route.
    fn guest(&self) {
        let mut client = self.client();
        client.call(&create_req("opte0", cfg())).unwrap();
        for rule in [
            "dir=in action=allow priority=10 protocol=tcp port=22",
            "dir=out action=deny priority=20 hosts=ip=192.0.2.9",
        ] {
            let (port_name, rule) = ("opte0".into(), rule.parse().unwrap());
            client.call(&AddFwRuleReq { port_name, rule }).unwrap();
        }
        let entry = RouterEntry {
            dest: "0.0.0.0/0".parse().unwrap(),
            target: "ig".parse().unwrap(),
            class: RouterClass::System,
        };
        let port_name = "opte0".into();
        client
            .call(&AddRouterEntryReq { port_name, entry })
            .unwrap();
        self.ok(&[
            "set-meter",
            "-p",
            "opte0",
            "--dir",
            "out",
            "--packets",
            "1M/s",
            "--flows",
            "1000",
        ]);
        let options = [
            "--timeout-icmp",
            "9s",
            "--snat-filtering",
            "address-and-port",
        ];
        let of_port = ["set-port-options", "-p", "opte0"];
        self.ok(&[&of_port[..], &options].concat());
        self.ok(&["allow-cidr", "-p", "opte0", "10.5.0.0/16"]);
        self.ok(&["attach-subnet", "-p", "opte0", "203.0.113.64/28", "-e"]);
    }

    /// What leaves the host when the guest sends this.
    fn send(&self, frame: &Frame) -> Vec<Vec<u8>> {
        let bytes = frame.bytes();
        let id = self.driver.switch().ports().next().unwrap().id;
        let mut outbox = Outbox::new(0);
        let mut taken = outbox.pool.take();
        taken.space()[..bytes.len()].copy_from_slice(&bytes);
        taken.received(bytes.len(), Offload::default());
        self.driver.from_guest(id, [taken], &mut outbox);
        let mut wire = Vec::new();
        for sent in &outbox.to_underlay {
            sent.for_each_wire_frame(&mut [0; MAX_HEADERS], |head, payload| {
                wire.push([head, payload].concat());
            });
        }
        wire
    }

    fn run(&self, arguments: &[&str]) -> (String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_opteadm"))
            .args(arguments)
            .env("XDE_SOCKET", self.directory.join("xde.sock"))
            .output()
            .unwrap();
        let (out, err) = (output.stdout, output.stderr);
        assert_eq!(output.status.success(), err.is_empty());
        (
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let (out, err) = self.run(arguments);
        assert_eq!(err, "");
        out
    }

    #[track_caller]
    fn complaint(&self, arguments: &[&str]) -> String {
        let (out, err) = self.run(arguments);
        assert_eq!(out, "");
        err.strip_prefix("opteadm: ").unwrap().trim_end().to_owned()
    }

    fn file(&self) -> String {
        self.directory.join("port").display().to_string()
    }

    fn state(&self) -> String {
        self.client().list_ports().unwrap()[0].state.clone()
    }

    fn count(&self, name: &str) -> u64 {
        self.client().dump_stats(None).unwrap().ports[0].counters[name]
    }

    /// Everything that is to be the same after a restart.
    fn dumps(&self) -> Vec<String> {
        let of_port = |command| self.ok(&["--json", command, "-p", "opte0"]);
        let layers = ["gateway", "firewall", "router", "nat", "overlay"];
        // Hits of rules are not saved: what else there is of each layer is in the export, its flows here.
        let flows = layers.map(|layer| {
            let dump = self.client().dump_layer("opte0", layer).unwrap();
            format!("{:?}", dump.flows)
        });
        let mut dumps = vec![
            self.ok(&["export"]),
            of_port("dump-uft"),
            of_port("dump-tcp-flows"),
            of_port("heavy-hitters"),
        ];
        dumps.extend(flows);
        dumps
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server = None;
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn cfg() -> VpcCfg {
    let mut cfg = guest_cfg(0, 7, 11);
    if let IpCfg::DualStack { ipv4, .. } = &mut cfg.ip_cfg {
        ipv4.external_ips = ExternalIpCfg {
            snat: Some(SNatCfg {
                external_ip: "203.0.113.1".parse().unwrap(),
                ports: "1024-2047".parse().unwrap(),
            }),
            ..ExternalIpCfg::NONE
        };
    }
    cfg
}

/// From the guest to a server outside.
fn outside(body: Body) -> Frame {
    let mac: MacAddr = cfg().guest_mac;
    let source = cfg().ipv4().unwrap().private_ip.into();
    let destination = "192.0.2.1".parse().unwrap();
    Frame::new((mac, source), (GATEWAY_MAC, destination), body)
}

fn question(n: u16) -> Frame {
    outside(udp(5000 + n, 53, b"question"))
}

fn segment(flags: TcpFlags, sequence: u32) -> Frame {
    outside(tcp(4000, 443, flags, sequence, 0, b""))
}

#[test]
fn a_port_outlives_its_driver() {
    let mut host = Host::new();
    host.guest();
    let sent: Vec<_> = (0..600).map(|n| host.send(&question(n))).collect();
    assert!(sent.iter().all(|sent| sent.len() == 1));
    assert_eq!(host.send(&segment(TcpFlags::SYN, 100)).len(), 1);
    let hit: Vec<_> = (0..600).map(|n| host.send(&question(n))).collect();
    let file = host.file();

    host.ok(&["pause-port", "-p", "opte0"]);
    let before = host.dumps();
    assert_eq!(host.ok(&["save-port", "-p", "opte0", &file]), "");
    assert_eq!(host.state(), "paused");
    let ports: Vec<_> = ["leased", "ports"]
        .iter()
        .map(|what| host.count(&format!("nat_udp_{what}")))
        .collect();
    assert_eq!(ports[0], 600);

    host.restart();
    let restored = host.ok(&["restore-port", "--pause", &file]);
    assert_eq!(restored, "601 flows restored\n");
    assert_eq!(host.state(), "restored");
    assert_eq!(host.send(&question(0)), Vec::<Vec<u8>>::new());
    assert_eq!(host.dumps(), before);
    assert_eq!(host.count("nat_udp_leased"), 600);
    host.ok(&["start-port", "-p", "opte0"]);
    // Last first, so that ports given out anew would be others.
    for n in (0..600).rev() {
        assert_eq!(host.send(&question(n)), hit[usize::from(n)]);
    }
    assert_eq!(host.count("out_uft_hit"), 600);
    assert_eq!(host.count("out_uft_miss"), 0);
    // A SYN of the connection there is, sent again, begins no other.
    assert_eq!(host.send(&segment(TcpFlags::SYN, 100)).len(), 1);
    assert_eq!(host.count("tcp_connections"), 1);
    // What was refused before is so now, what was not known is a flow of its own.
    let mut denied = question(0);
    denied.destination = "192.0.2.9".parse().unwrap();
    assert_eq!(host.send(&denied), Vec::<Vec<u8>>::new());
    assert_eq!(host.send(&question(700)).len(), 1);
    assert_eq!(host.count("nat_udp_leased"), 601);
}

#[test]
fn a_running_port_runs_on_after_it_was_saved() {
    let host = Host::new();
    host.guest();
    host.send(&question(1));
    let file = host.file();
    host.ok(&["save-port", "-p", "opte0", &file]);
    assert_eq!(host.state(), "running");
    assert_eq!(host.send(&question(1)).len(), 1);
    // Over the old file, and left alone then.
    host.ok(&["save-port", "-p", "opte0", "--pause", &file]);
    assert_eq!(host.state(), "paused");
    let names = fs::read_dir(&host.directory).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["port", "xde.sock"]);
    assert_eq!(
        host.complaint(&["pause-port", "-p", "opte0"]),
        "port 'opte0' is paused"
    );
    assert_eq!(
        host.complaint(&["restore-port", &file]),
        "nothing was done: step 1 of the batch, CreateXde: port 'opte0' exists already"
    );
    host.ok(&["start-port", "-p", "opte0"]);
    assert_eq!(
        host.complaint(&["start-port", "-p", "opte0"]),
        "port 'opte0' is running"
    );
    assert_eq!(
        host.complaint(&["save-port", "-p", "opte1", &file]),
        "port 'opte1' not found (there is: opte0)"
    );
    let nowhere = host.directory.join("none/port").display().to_string();
    assert_eq!(
        host.complaint(&["save-port", "-p", "opte0", &nowhere]),
        format!("{nowhere}: No such file or directory (os error 2)")
    );
    assert_eq!(host.state(), "running");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let mut host = Host::new();
    host.guest();
    (0..50).for_each(|n| assert_eq!(host.send(&question(n)).len(), 1));
    let file = host.file();
    host.ok(&["save-port", "-p", "opte0", &file]);
    let good = fs::read(&file).unwrap();
    host.restart();
    let empty = host.ok(&["export"]);

    let refuse = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let complaint = host.complaint(&["restore-port", &file]);
        assert_eq!(host.ok(&["export"]), empty);
        assert!(host.driver.platform().links.lock().unwrap().is_empty());
        complaint.replace(&file, "port")
    };
    assert_eq!(refuse(b""), "port: the file ends before its end");
    assert_eq!(refuse(&[b'x'; 100]), "port: this is no saved port");
    let mut other = good.clone();
    other[8] = 2;
    assert_eq!(
        refuse(&other),
        "port: the file is of version 2, version 1 can be read"
    );
    // Cut off anywhere, and with any octet another.
    for at in (1..good.len()).step_by(good.len() / 40) {
        assert!(refuse(&good[..at]).starts_with("port: "), "cut off at {at}");
        let mut other = good.clone();
        other[at] ^= 0x10;
        assert!(
            refuse(&other).starts_with("port: "),
            "another octet at {at}"
        );
    }
    let twice = [&good[..], &good[good.len() - 40..]].concat();
    assert!(refuse(&twice).starts_with("port: "));
    // The system refuses the link: that is no matter of the file.
    fs::write(&file, &good).unwrap();
    *host.driver.platform().fails.lock().unwrap() = Some("create");
    assert_eq!(
        host.complaint(&["restore-port", &file]),
        "nothing was done: step 1 of the batch, CreateXde: port 'opte0' could not be created: create fails"
    );
    assert_eq!(host.ok(&["restore-port", &file]), "50 flows restored\n");
    assert_eq!(host.state(), "running");
}

/// The command line on the ports of this file, which have all that a packet can meet.
#[test]
fn a_trace_tells_what_a_packet_would_meet() {
    let host = Host::new();
    host.guest();
    let source = "172.30.0.11";
    let trace = |more: &str| {
        let words = format!("trace -p opte0 {more}");
        host.ok(&words.split(' ').collect::<Vec<_>>())
    };
    let out = format!(
        "--dir out --protocol udp --source {source} --source-port 5000 --destination-port 53"
    );
    let new = trace(&format!("{out} --destination 192.0.2.1"));
    assert!(
        new.starts_with("flow UDP:172.30.0.11:5000:192.0.2.1:53: new\nLAYER"),
        "{new}"
    );
    assert!(new.contains("203.0.113.1:"), "{new}");
    assert!(new.contains("\nforwarded as "), "{new}");
    // Nothing came of it.
    assert_eq!(host.count("flows"), 0);
    let denied = trace(&format!("{out} --destination 192.0.2.9"));
    assert!(denied.ends_with("\ndropped: layer_rule_deny\n"), "{denied}");
    let stranger = "--dir in --external --source 192.0.2.1 --destination 203.0.113.1";
    assert!(trace(stranger).contains("\ndropped: "));
    // The packet comes, and is told byte by byte before it does.
    let wire = host.send(&outside(udp(5000, 53, b"")));
    let known = trace(&format!("{out} --destination 192.0.2.1"));
    assert!(known.contains(": known\n"), "{known}");
    let hex: String = wire[0][14..]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert!(known.trim_end().ends_with(&hex), "{known}{hex}");
    let frame: String = outside(udp(5000, 53, b""))
        .bytes()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert_eq!(trace(&format!("--dir out --hex {frame}")), known);
    let json: serde_json::Value =
        serde_json::from_str(&trace(&format!("{out} --destination 192.0.2.9 --json"))).unwrap();
    assert_eq!(json["known"], false);
    assert_eq!(
        host.complaint(&[
            "trace",
            "-p",
            "opte0",
            "--dir",
            "out",
            "--source",
            "10.0.0.1",
            "--destination",
            "::1"
        ]),
        "invalid packet: a source and a destination of one family are needed"
    );
}
