//! `opteadm apply` and `export` against the real driver over a system in memory.

#[path = "../json/mod.rs"]
mod json;
mod killed;
mod lan;
#[path = "../../../xde/tests/memory/mod.rs"]
mod memory;
mod multicast;
mod old_form;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use memory::Memory;
use opte::api::OpteError;
use opteadm::config::{Config, Format, Plan};
use opteadm::{Client, Error};
use oxide_vpc::api::{ClearVirt2PhysReq, ClearXdeUnderlayReq, SetVirt2PhysReq, StageBatchReq};
use xde::Driver;
use xde::linux::control::{ControlServer, Limits};

/// A host with the real driver, and a directory for files.
struct Host {
    directory: PathBuf,
    driver: Arc<Driver<Memory>>,
    _server: ControlServer,
}

impl Host {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("opteadm-apply-{}-{number}", std::process::id());
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

    fn client(&self) -> Client {
        Client::connect(self.directory.join("xde.sock")).unwrap()
    }

    fn file(&self, text: &str) -> String {
        let path = self.directory.join("host.conf");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// What a command prints, and what it complains of.
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
    fn apply(&self, text: &str) -> String {
        self.ok(&["apply", &self.file(text)])
    }

    fn export(&self) -> String {
        self.ok(&["export"])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

const UNDERLAY: &str = "underlay = [\"u0\", \"u1\"]\n";

fn port(name: &str, n: u8, more: &str) -> String {
    format!(
        r#"
[[port]]
name = "{name}"
vni = 10
guest-mac = "a8:40:25:f0:00:{n:02x}"
gateway-mac = "a8:40:25:ff:77:77"
underlay-address = "fd00:1::1"
{more}
[port.ipv4]
address = "10.0.0.{n}"
subnet = "10.0.0.0/24"
gateway = "10.0.0.1"
"#
    )
}

/// A host with something of everything.
fn everything() -> String {
    let full = port(
        "opte0",
        11,
        r#"netns = "guest0"
mtu = 9000
firewall = [
  "dir=in action=allow priority=100 protocol=tcp port=22,8000-8100",
  "dir=out action=deny priority=1 hosts=subnet=192.0.2.0/24",
]
routes = ["10.0.0.0/24 sub4=10.0.0.0/24 system", "0.0.0.0/0 ig system", "::/0 drop custom"]
transit = ["10.5.0.0/16", "fd05::/48 in"]
subnets = ["10.6.0.0/24", "203.0.113.64/28 external"]
peers = [20, 30]
meter-in = "bits=1Gbit/s new-flows=1000/s"
meter-out = "packets=10k/s flows=100000 burst=1s"
options = "timeout-udp=60s flows-per-remote=1000 snat-filtering=address"
[port.internet-gateways]
"203.0.113.7" = ["6e1b9c7e-6a3c-4d5b-9d0e-000000000001"]
[port.dhcp]
hostname = "guest"
domain-search = ["a.example", "b.example"]
dns-servers = ["192.0.2.53", "2001:db8::53"]
[port.ipv6]
address = "fd10::11"
subnet = "fd10::/64"
gateway = "fd10::1"
floating = ["2001:db8::7"]"#,
    );
    format!(
        r#"{UNDERLAY}{full}snat = {{ address = "203.0.113.1", ports = "1024-2047" }}
ephemeral = "203.0.113.7"
{}
[[v2p]]
vni = 10
address = "10.0.0.77"
mac = "a8:40:25:f0:00:77"
underlay-address = "fd00:2::1"

[[v2b]]
prefix = "0.0.0.0/0"
endpoints = ["fd00:99::1", "fd00:99::2"]

[[v2b]]
prefix = "0.0.0.0/0"
vni = 98
endpoints = ["fd00:99::3"]
{}"#,
        port("opte1", 12, "tap = true"),
        multicast::SECTIONS
    )
}

#[test]
fn a_file_is_made_so_and_shown() {
    let host = Host::new();
    let file = host.file(&everything());
    let expected = "\
+ underlay u0 u1
+ port opte0
+ opte0: external addresses SNAT 203.0.113.1 1024-2047, ephemeral 203.0.113.7, floating 2001:db8::7
+ opte0: firewall dir=in action=allow priority=100 hosts=any protocol=tcp port=22,8000-8100
+ opte0: firewall dir=out action=deny priority=1 hosts=subnet=192.0.2.0/24 protocol=any port=any
+ opte0: route 10.0.0.0/24 sub4=10.0.0.0/24 system
+ opte0: route 0.0.0.0/0 ig system
+ opte0: route ::/0 drop custom
+ opte0: peers 20, 30
+ opte0: meter in bits=1Gbit/s new-flows=1k/s burst=100ms
+ opte0: meter out packets=10k/s flows=100000 burst=1000ms
+ opte0: options timeout-udp=60s flows-per-remote=1000 snat-filtering=address
+ opte0: transit 10.5.0.0/16
+ opte0: transit fd05::/48 in
+ opte0: subnet 10.6.0.0/24
+ opte0: subnet 203.0.113.64/28 external
+ port opte1
+ v2p 10.0.0.77 of VNI 10 -> A8:40:25:F0:00:77 at fd00:2::1
+ v2b 0.0.0.0/0 -> fd00:99::1 in VNI 99
+ v2b 0.0.0.0/0 -> fd00:99::2 in VNI 99
+ v2b 0.0.0.0/0 -> fd00:99::3 in VNI 98
+ m2p 239.1.2.3 -> ff04::1
+ m2p ff0e::7 -> ff04::1
+ next hop ff04::1 -> fd00:2::1 underlay EXCLUDE() (any)
+ next hop ff04::1 -> fd00:3::1 both EXCLUDE(10.0.0.9)
+ opte0: subscription 239.1.2.3 INCLUDE(10.0.0.77)
+ opte1: subscription 239.1.2.3 EXCLUDE() (any)
";
    let dry = host.ok(&["apply", "--dry-run", &file]);
    assert_eq!(
        dry,
        format!("{expected}27 to add, 0 to change, 0 to remove; nothing was done\n")
    );
    assert_eq!(host.export(), "");
    assert_eq!(host.ok(&["apply", &file]), expected);
    // Once more, there is nothing to do.
    assert_eq!(host.ok(&["apply", &file]), "");
    assert_eq!(host.ok(&["apply", "--dry-run", &file]), "");
    let links = host.driver.platform().links.lock().unwrap().clone();
    assert_eq!(links.into_iter().collect::<Vec<_>>(), ["opte0", "opte1"]);
}

#[test]
fn an_export_is_what_there_is() {
    let host = Host::new();
    host.apply(&everything());
    let (toml, json) = (host.export(), host.ok(&["export", "--format", "json"]));
    assert_eq!(json, host.ok(&["--json", "export"]));
    for text in [&toml, &json] {
        assert_eq!(host.apply(text), "");
        let other = Host::new();
        assert_ne!(other.apply(text), "");
        assert_eq!(other.export(), toml);
    }
    assert_eq!(Config::parse(&toml).unwrap(), Config::parse(&json).unwrap());
}

#[test]
fn exactly_what_is_gone_is_removed() {
    let host = Host::new();
    let two = |rules: &str| {
        let ports = port("opte0", 11, rules) + &port("opte1", 12, "");
        format!("{UNDERLAY}{ports}")
    };
    host.apply(&two(
        r#"firewall = ["dir=in action=allow priority=1", "dir=in action=allow priority=2", "dir=in action=allow priority=2"]"#,
    ));
    let rules = || host.client().dump_layer("opte0", "firewall").unwrap().rules;
    let kept = rules()[0].id;
    // One of two equal rules goes, one is new, and the one that stays keeps its number.
    let diff = host.apply(&two(
        r#"firewall = ["dir=out action=deny priority=3", "dir=in action=allow priority=1", "dir=in action=allow priority=2"]"#,
    ));
    assert_eq!(
        diff,
        "- opte0: firewall dir=in action=allow priority=2 hosts=any protocol=any port=any\n\
         + opte0: firewall dir=out action=deny priority=3 hosts=any protocol=any port=any\n"
    );
    assert_eq!(rules()[0].id, kept);
    assert_eq!(rules().len(), 3);
    // Exchange of links, a route for another, an address more.
    let one = port("opte0", 11, "routes = [\"0.0.0.0/0 ig system\"]");
    let diff = host.apply(&format!("underlay = [\"u2\"]\n{one}"));
    assert!(diff.starts_with("~ underlay u0 u1 -> u2\n"), "{diff}");
    assert!(diff.contains("\n- port opte1\n"), "{diff}");
    let one = port("opte0", 11, "routes = [\"0.0.0.0/0 drop system\"]");
    let diff = host.apply(&format!(
        "underlay = [\"u2\"]\n{one}floating = [\"203.0.113.9\"]\n"
    ));
    assert_eq!(
        diff,
        "~ opte0: external addresses floating 203.0.113.9\n\
         - opte0: route 0.0.0.0/0 ig system\n\
         + opte0: route 0.0.0.0/0 drop system\n"
    );
    let peers = |more: &str| format!("underlay = [\"u2\"]\n{}", port("opte0", 11, more));
    host.apply(&peers("peers = [20]"));
    let diff = host.apply(&peers("peers = [30, 20]"));
    assert_eq!(diff, "~ opte0: peers 20, 30\n");
    assert_eq!(host.apply(&peers("")), "~ opte0: peers none\n");
    for (text, diff) in [
        (
            "meter-out = \"bits=1G/s\"",
            "+ opte0: meter out bits=1Gbit/s burst=100ms\n",
        ),
        (
            "meter-out = \"bits=1Gbit/s burst=1s\"\nmeter-in = \"flows=7\"",
            "+ opte0: meter in flows=7 burst=100ms\n~ opte0: meter out bits=1Gbit/s burst=1000ms\n",
        ),
        (
            "meter-out = \"burst=1000ms bits=1000M\"\nmeter-in = \"none\"",
            "- opte0: meter in flows=7 burst=100ms\n",
        ),
        ("", "- opte0: meter out bits=1Gbit/s burst=1000ms\n"),
        (
            "options = \"timeout-icmp=9s dscp=uniform\"",
            "+ opte0: options timeout-icmp=9s dscp=uniform\n",
        ),
        ("options = \"dscp=uniform timeout-icmp=9000ms\"", ""),
        (
            "options = \"max-flows=5\"",
            "~ opte0: options max-flows=5\n",
        ),
        ("", "- opte0: options max-flows=5\n"),
    ] {
        assert_eq!(host.apply(&peers(text)), diff, "{text}");
    }
    let prefixes = |more: &str| format!("underlay = [\"u2\"]\n{}", port("opte0", 11, more));
    host.apply(&prefixes(
        "transit = [\"10.5.0.0/16\", \"10.7.0.0/16\"]\nsubnets = [\"10.6.0.0/24\", \"10.8.0.0/24\"]",
    ));
    let diff = host.apply(&prefixes(
        "transit = [\"10.5.0.0/16 out\", \"10.9.0.0/16 in\"]\nsubnets = [\"10.6.0.0/24 external\"]",
    ));
    assert_eq!(
        diff,
        "- opte0: transit 10.5.0.0/16 in\n\
         - opte0: transit 10.7.0.0/16\n\
         + opte0: transit 10.9.0.0/16 in\n\
         ~ opte0: subnet 10.6.0.0/24 external\n\
         - opte0: subnet 10.8.0.0/24\n"
    );
    assert_eq!(host.apply("\n"), "- port opte0\n- underlay u2\n");
    assert_eq!(host.export(), "");
}

/// What a configuration may leave out, and what not, is what its schema says.
#[test]
fn an_export_fits_its_schema() {
    let host = Host::new();
    host.apply(&everything());
    let config = json::check("export", &host.ok(&["--json", "export"]));
    let schema = json::schema("export");
    let mut tried = (0, 0);
    for pointer in objects(&config) {
        let of = json::schema_of(&schema, &config, &pointer);
        let Some(known) = of.get("properties").and_then(|known| known.as_object()) else {
            continue;
        };
        let object = config.pointer(&pointer).unwrap().as_object().unwrap();
        for name in object.keys() {
            let mut without = config.clone();
            without
                .pointer_mut(&pointer)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            let parsed = Config::parse(&without.to_string());
            let is_missed = parsed.is_err_and(|error| error.message.starts_with("missing field"));
            let is_required = of["required"]
                .as_array()
                .unwrap()
                .iter()
                .any(|required| required == name);
            assert!(known.contains_key(name));
            assert_eq!(is_missed, is_required, "{pointer}/{name}");
            if is_required {
                tried.0 += 1
            } else {
                tried.1 += 1
            }
        }
    }
    assert!(tried.0 > 20 && tried.1 > 20, "{tried:?}");
}

#[test]
fn what_is_listed_fits_its_schema() {
    let host = Host::new();
    host.apply(&everything());
    let saved = host.directory.join("opte1.port").display().to_string();
    for command in [
        "list-ports",
        "list-layers -p opte0",
        "dump-layer -p opte0 firewall",
        "dump-layer -p opte0 router --dir out",
        "dump-uft -p opte0",
        "dump-tcp-flows -p opte0",
        "dump-stats",
        "dump-stats -p opte0",
        "dump-v2p",
        "dump-v2b",
        "dump-m2p",
        "dump-mcast-fwd",
        "dump-mcast-subs",
        "heavy-hitters -p opte0",
        "trace -p opte0 --dir out --source 10.0.0.11 --destination 192.0.2.1",
        "trace -p opte0 --dir out --source 10.0.0.11 --destination 198.51.100.1",
        "trace -p opte0 --dir out --hex 00",
        "mcast-unsubscribe -p opte1 239.1.2.3",
        &format!("save-port -p opte1 {saved}"),
        "delete-xde opte1",
        &format!("restore-port {saved}"),
        "add-fw-rule -p opte0 --dir in --hosts any --protocol any --ports any --action allow --priority 7",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let printed = json::check(words[0], &host.ok(&words));
        assert!(!printed.is_null(), "{command}");
    }
}

/// Where the objects are in a document.
fn objects(value: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![(String::new(), value)];
    while let Some((pointer, value)) = rest.pop() {
        match value {
            serde_json::Value::Object(members) => {
                rest.extend(
                    members
                        .iter()
                        .map(|(name, member)| (format!("{pointer}/{name}"), member)),
                );
                found.push(pointer);
            }
            serde_json::Value::Array(elements) => {
                rest.extend(
                    elements
                        .iter()
                        .enumerate()
                        .map(|(at, element)| (format!("{pointer}/{at}"), element)),
                );
            }
            _ => {}
        }
    }
    found
}

#[test]
fn json_tells_the_changes() {
    let host = Host::new();
    let file = host.file(&format!("{UNDERLAY}{}", port("opte0", 11, "")));
    let applied = host.ok(&["--json", "apply", "-n", &file]);
    let value = json::check("apply", &applied);
    assert_eq!(
        value,
        serde_json::json!({
            "dry_run": true,
            "changes": [
                {"operation": "add", "what": "underlay", "which": "u0 u1"},
                {"operation": "add", "what": "port", "which": "opte0"},
            ],
        })
    );
}

/// A file that is wrong: its text, the line, the message.
#[test]
fn what_is_wrong_is_told_with_its_line() {
    let good = port("opte0", 11, "");
    let cases: [(String, usize, &str); 26] = [
        (
            port("opte0", 11, "meter-in = \"packets=many\""),
            8,
            "invalid rate: 'many' (expected a number, with k, M, G or T behind it, a second, as in 10k/s or 1Gbit/s)",
        ),
        (
            port(
                "opte0",
                11,
                "mtu = 1500\nmeter-out = \"packets=1k/s burst=11s\"",
            ),
            9,
            "invalid burst: 11000 ms is not from 1 ms to 10000 ms",
        ),
        (
            port("opte0", 11, "peers = [20,\n10]"),
            8,
            "10 is the port's own VPC",
        ),
        (
            port("opte0", 11, "peers = [77]"),
            8,
            "invalid peers: 77 is no VPC's",
        ),
        (
            port(
                "opte0",
                11,
                "transit = [\n\"10.5.0.0/16\",\n\"10.6.0.0/16 both\"]",
            ),
            10,
            "'both' behind the prefix (expected in, out or nothing)",
        ),
        (
            port("opte0", 11, "subnets = [\n\"10.5.0.0/16 out\"]"),
            9,
            "'out' behind the prefix (expected external or nothing)",
        ),
        (
            port("opte0", 11, "subnets = [\"fd05::/48\"]"),
            8,
            "fd05::/48: port 'opte0' has no IPv6 address",
        ),
        (
            port(
                "opte0",
                11,
                "transit = [\"10.5.0.0/16 in\",\n\"10.5.0.0/16 out\"]",
            ),
            9,
            "10.5.0.0/16 is there twice",
        ),
        ("underlay = [".into(), 1, "unclosed array"),
        (
            "[[prot]]\n".into(),
            1,
            "unknown field `prot`, expected one of `underlay`, `port`, `lan-port`, `v2p`, `v2b`",
        ),
        (
            "{\n\"underlay\": 5}".into(),
            2,
            "invalid type: integer `5`, expected a sequence",
        ),
        (
            "{\"underlay\": [\"a\"],\n\"x\": 1}".into(),
            2,
            "unknown field `x`",
        ),
        (
            "underlay = [\"a\", \"b\", \"c\"]".into(),
            1,
            "the underlay has 3 links, at most 2 are taken",
        ),
        (
            "underlay = [\"a\", \"a\"]".into(),
            1,
            "invalid underlay: link 'a' is given twice",
        ),
        (
            good.replace("a8:40:25:f0:00:0b", "a8:40:25:f0:00"),
            5,
            "a MAC address is six octets in hexadecimal with colons between them",
        ),
        (
            good.replace("vni = 10", "vni = 16777216"),
            4,
            "a VNI is a number of at most 24 bits: 0 to 16777215",
        ),
        (
            good.replace("name = \"opte0\"", ""),
            2,
            "missing field `name`",
        ),
        (
            good.replace("opte0", "a/b"),
            3,
            "bad name 'a/b': only letters, digits, '_', '-' and '.' may stand in it",
        ),
        (
            good.replace("10.0.0.11", "10.1.0.11"),
            9,
            "invalid IP configuration: private address 10.1.0.11 is not in the subnet 10.0.0.0/24",
        ),
        (
            good.replace("guest-mac = \"a8", "guest-mac = \"a9"),
            5,
            "invalid IP configuration: guest MAC address A9:40:25:F0:00:0B is no station's",
        ),
        (
            port("opte0", 11, "mtu = 500"),
            8,
            "invalid MTU: 500 is less than 1280",
        ),
        (
            port("opte0", 11, "tap = true\nnetns = \"x\""),
            9,
            "a TAP is in no namespace: either tap or netns",
        ),
        (
            port(
                "opte0",
                11,
                "firewall = [\n\"dir=in action=allow priority=1\",\n\"dir=in action=allow\"]",
            ),
            10,
            "missing 'priority' key",
        ),
        (
            port(
                "opte0",
                11,
                "routes = [\n\"0.0.0.0/0 ig system\",\n\"0.0.0.0/0 drop system\"]",
            ),
            10,
            "there are two system routes to 0.0.0.0/0",
        ),
        (
            good.clone() + &port("opte1", 11, ""),
            17,
            "port 'opte1' has the MAC address A8:40:25:F0:00:0B in VNI 10 that port 'opte0' has",
        ),
        (good.clone() + &good, 15, "port \'opte0\' is there twice"),
    ];
    let host = Host::new();
    let mut faults = Vec::new();
    for (text, line, message) in cases {
        let file = host.file(&text);
        let (out, err) = host.run(&["apply", &file]);
        assert_eq!(out, "");
        let expected = format!("opteadm: {file}:{line}: {message}");
        if !err.starts_with(&expected) {
            faults.push(format!("{err}expected {expected}"));
        }
        assert_eq!(err.lines().count(), 1);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert_eq!(host.export(), "");
    let (_, err) = host.run(&["apply", "/nowhere/at/all"]);
    assert_eq!(
        err,
        "opteadm: /nowhere/at/all: No such file or directory (os error 2)\n"
    );
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let host = Host::new();
    host.apply(&everything());
    let before = host.export();
    let file = host.file(
        &everything()
            .replace("vni = 10", "vni = 11")
            .replace("mtu = 9000", "mtu = 1500"),
    );
    let (_, err) = host.run(&["apply", &file]);
    assert!(
        err.starts_with(&format!(
            "opteadm: {file}: port 'opte0' cannot change in place: mtu 9000 -> none, vni 10 -> 11; take it out"
        )),
        "{err}"
    );
    // The system refuses the last of several new links.
    let more = everything() + &port("opte2", 13, "") + &port("opte3", 14, "");
    for fails in ["create", "start"] {
        *host.driver.platform().fails.lock().unwrap() = Some(fails);
        let (_, err) = host.run(&["apply", &host.file(&more)]);
        assert_eq!(
            err,
            format!(
                "opteadm: nothing was done: step 1 of the batch, CreateXde: {}{fails} fails{}\n",
                if fails == "create" {
                    "port 'opte2' could not be created: "
                } else {
                    ""
                },
                if fails == "create" { "" } else { " (errno 5)" },
            )
        );
        assert_eq!(host.export(), before);
    }
    assert_eq!(host.apply(&more), "+ port opte2\n+ port opte3\n");
}

#[test]
fn a_change_by_somebody_else_is_not_overwritten() {
    let host = Host::new();
    host.apply(&everything());
    let mut client = host.client();
    let wanted = Config::parse(&everything().replace("10.0.0.77", "10.0.0.78")).unwrap();
    let plan = Plan::new(&client.dump_config().unwrap(), &wanted).unwrap();
    assert_eq!(plan.changes().len(), 3);
    let other: SetVirt2PhysReq = Config::parse(&everything()).unwrap().v2p[0].into();
    let (vip, phys) = (other.vip, other.phys);
    host.client()
        .call(&ClearVirt2PhysReq { vip, phys })
        .unwrap();
    let before = host.export();
    let refused = client.carry_out(&plan).unwrap_err();
    assert!(
        matches!(
            &refused,
            Error::Refused {
                error: OpteError::ConfigChanged { .. },
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(host.export(), before);
}

#[test]
fn who_is_killed_on_the_way_has_changed_nothing() {
    let host = Host::new();
    host.apply(&everything());
    let before = host.export();
    let steps = vec![ClearXdeUnderlayReq {}.into()];
    // Killed after some of its steps were sent.
    let mut killed = host.client();
    killed.call(&StageBatchReq { position: 0, steps }).unwrap();
    drop(killed);
    assert_eq!(host.export(), before);
    // Killed in the midst of a request: the driver has got half of it.
    use std::io::Write;
    let mut stream =
        std::os::unix::net::UnixStream::connect(host.directory.join("xde.sock")).unwrap();
    stream.write_all(b"OPTE\x70\0\0\0").unwrap();
    drop(stream);
    assert_eq!(host.export(), before);
    assert_eq!(host.apply(&before), "");
}

#[test]
fn a_batch_is_longer_than_a_request() {
    let host = Host::new();
    let rules: Vec<String> = (0..30_000)
        .map(|n| {
            let (a, b) = (n / 250 % 250, n % 250);
            format!(
                "\"dir=in action=allow priority={} hosts=ip=10.{a}.{b}.7 protocol=tcp port=22\"",
                n + 1
            )
        })
        .collect();
    let more = format!("firewall = [{}]", rules.join(",\n"));
    let text = format!("{UNDERLAY}{}", port("opte0", 11, &more));
    assert_eq!(host.apply(&text).lines().count(), 30_002);
    assert_eq!(host.apply(&text), "");
    let config = Config::parse(&host.export()).unwrap();
    assert_eq!(config, Config::parse(&text).unwrap());
    assert_eq!(
        Config::parse(&config.to_text(Format::Json).unwrap()).unwrap(),
        config
    );
}
