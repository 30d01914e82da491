//! Ports on LANs: as single commands, and in a file.

use crate::{Host, port};

const CREATE: &str = "create-lan-port lan0n1 --link lan0 --netns guest1 private_ip=192.168.7.2 public_ip=10.0.0.99 \
                      port_start=1025 port_end=4096 vpc_sub4=10.0.0.0/24 gw_mac=78:23:ae:5d:4f:0d gw_ip=10.0.0.1";

const FILE: &str = r#"[[lan-port]]
name = "lan0n1"
lan = "lan0"
private-ip = "192.168.7.2"
public-ip = "10.0.0.99"
port-start = 1025
port-end = 4096
vpc-sub4 = "10.0.0.0/24"
gw-mac = "78:23:AE:5D:4F:0D"
gw-ip = "10.0.0.1"
netns = "guest1"
"#;

impl Host {
    /// One command, its words with blanks between them.
    #[track_caller]
    fn says(&self, command: &str) -> String {
        self.ok(&command.split_whitespace().collect::<Vec<_>>())
    }

    /// What a command complains of, in one line.
    #[track_caller]
    fn complains(&self, command: &str) -> String {
        let (out, err) = self.run(&command.split_whitespace().collect::<Vec<_>>());
        assert_eq!(out, "");
        err.trim_end().strip_prefix("opteadm: ").unwrap().to_owned()
    }
}

#[test]
fn a_port_is_made_changed_shown_and_deleted() {
    let host = Host::new();
    assert_eq!(host.says(CREATE), "");
    assert_eq!(
        host.says("list-ports").lines().nth(1).unwrap(),
        "lan0n1  A8:40:25:F8:07:02  192.168.7.2   None            None           None          None           None           running  1500  lan-nat lan0 10.0.0.99:1025-4096"
    );
    assert_eq!(
        host.says("set-ip-config -p lan0n1 public_ip=10.0.0.98 port_end=9999"),
        ""
    );
    let listed: serde_json::Value = serde_json::from_str(&host.says("--json list-ports")).unwrap();
    assert_eq!(listed[0]["network"], "lan-nat");
    assert_eq!(
        listed[0]["lan"],
        serde_json::json!({
            "link": "lan0",
            "public_ip": "10.0.0.98",
            "public_mac": "A8:40:25:00:00:62",
            "ports": "1025-9999",
        })
    );
    let layers = host.says("list-layers -p lan0n1");
    for layer in ["gateway", "firewall", "nat", "lan"] {
        assert!(layers.contains(&format!("\n{layer} ")), "{layers}");
    }
    assert!(
        host.says("dump-layer -p lan0n1 nat")
            .contains("192.168.7.2 => 10.0.0.98:1025-9999")
    );
    let trace =
        host.says("trace -p lan0n1 --dir out --source 192.168.7.2 --destination 198.51.100.7");
    assert!(trace.contains("\nlan "), "{trace}");
    let trace = host.says("trace -p lan0n1 --dir in --source 198.51.100.7 --destination 10.0.0.98");
    assert!(trace.contains("nat_filtered"), "{trace}");
    assert!(host.says("dump-stats -p lan0n1").contains("nat_tcp_ports"));
    host.says("clear-uft -p lan0n1");
    host.says("pause-port -p lan0n1");
    host.says("start-port -p lan0n1");
    assert_eq!(host.says("-y delete-xde lan0n1"), "");
    assert_eq!(host.says("export"), "");
}

#[test]
fn wrong_arguments_are_named() {
    let host = Host::new();
    host.says(CREATE);
    for (command, complaint) in [
        (
            "set-ip-config -p lan0n1",
            "the following required arguments were not provided: <KEY=VALUE>...",
        ),
        (
            "set-ip-config -p lan0n1 gw=10.0.0.1",
            "invalid value 'gw=10.0.0.1' for '<KEY=VALUE>...': there is no key 'gw', possible are private_ip, public_ip, \
             public_mac, port_start, port_end, vpc_sub4, gw_mac, gw_ip",
        ),
        (
            "set-ip-config -p lan0n1 gw_ip",
            "invalid value 'gw_ip' for '<KEY=VALUE>...': 'gw_ip' is not key=value; possible keys are private_ip, public_ip, \
             public_mac, port_start, port_end, vpc_sub4, gw_mac, gw_ip",
        ),
        (
            "set-ip-config -p lan0n1 port_end=70000",
            "invalid value 'port_end=70000' for '<KEY=VALUE>...': port_end '70000' is not a port from 1 to 65535",
        ),
        (
            "set-ip-config -p lan0n1 gw_ip=10.0.0.1 gw_ip=10.0.0.2",
            "invalid IP configuration: gw_ip is given twice",
        ),
        (
            "set-ip-config -p lan0n1 public_ip=10.0.1.5",
            "invalid IP configuration: public_ip 10.0.1.5 is not in vpc_sub4 10.0.0.0/24",
        ),
        (
            "set-ip-config -p lan0n1 port_start=5000",
            "invalid IP configuration: port_start 5000 is behind port_end 4096",
        ),
        (
            "set-ip-config -p lan9 gw_ip=10.0.0.2",
            "port 'lan9' not found (there is: lan0n1)",
        ),
        (
            "create-lan-port lan0n2 --link lan0 private_ip=192.168.7.3 public_ip=10.0.0.97",
            "invalid IP configuration: port_start is missing",
        ),
        (
            "add-fw-rule -p lan0n1 --dir in --hosts any --protocol tcp --ports 22 --action allow --priority 9",
            "port 'lan0n1' is of network 'lan-nat'; this command is for ports of network 'oxide-vpc'",
        ),
        (
            "add-router-entry -p lan0n1 0.0.0.0/0 ig system",
            "port 'lan0n1' is of network 'lan-nat'; this command is for ports of network 'oxide-vpc'",
        ),
    ] {
        assert_eq!(host.complains(command), complaint, "{command}");
    }
    let nowhere = CREATE
        .replace("lan0n1", "lan0n2")
        .replace("--link lan0", "--link eth9");
    assert_eq!(host.complains(&nowhere), "link 'eth9' not found");
    let taken = CREATE.replace("lan0n1", "lan0n2");
    assert_eq!(
        host.complains(&taken),
        "public_ip 10.0.0.99 is in use on the LAN at link 'lan0' by port 'lan0n1'"
    );
}

#[test]
fn a_file_has_what_commands_have_made_and_makes_it_again() {
    let host = Host::new();
    host.says(CREATE);
    assert_eq!(host.says("export"), FILE);
    assert_eq!(host.apply(FILE), "");
    let other = FILE.replace("10.0.0.99", "10.0.0.98") + "public-mac = \"02:00:00:00:00:09\"\n";
    assert_eq!(
        host.apply(&other),
        "~ lan0n1: IP configuration 192.168.7.2 as 10.0.0.98 at 02:00:00:00:00:09, ports 1025-4096, \
         gateway 10.0.0.1 at 78:23:AE:5D:4F:0D\n"
    );
    assert_eq!(host.apply(&other), "");
    // The usual address again.
    host.apply(FILE);
    assert_eq!(host.says("export"), FILE);

    let second = FILE
        .replace("lan0n1", "lan0n2")
        .replace(".99", ".97")
        .replace("guest1", "guest2");
    assert_eq!(host.apply(&format!("{FILE}\n{second}")), "+ port lan0n2\n");
    // Two exchange their addresses.
    let exchanged = format!(
        "{}\n{}",
        FILE.replace(".99", ".97"),
        second.replace(".97", ".99")
    );
    host.apply(&exchanged);
    assert_eq!(host.apply(&exchanged), "");
    let file = host.file("");
    assert_eq!(
        host.ok(&["-y", "apply", &file]),
        "- port lan0n1\n- port lan0n2\n"
    );
    assert_eq!(host.says("export"), "");
    assert!(host.driver.platform().lans.lock().unwrap().is_empty());
}

#[test]
fn meters_are_as_those_of_other_ports() {
    let host = Host::new();
    host.says(CREATE);
    host.says("set-meter -p lan0n1 --dir out --packets 10k/s");
    assert!(host.says("show-meters").contains("lan0n1"));
    let metered = FILE.replace("netns", "meter-out = \"packets=10k/s burst=100ms\"\nnetns");
    assert_eq!(host.says("export"), metered);
    assert_eq!(host.apply(&metered), "");
    let both = metered.replace("netns", "meter-in = \"flows=5 burst=100ms\"\nnetns");
    assert_eq!(
        host.apply(&both),
        "+ lan0n1: meter in flows=5 burst=100ms\n"
    );
    let file = host.directory.join("port").display().to_string();
    host.says(&format!("save-port -p lan0n1 {file}"));
    host.says("-y delete-xde lan0n1");
    host.says(&format!("restore-port {file}"));
    assert_eq!(host.apply(&both), "");
    assert_eq!(host.apply(FILE).lines().count(), 2);
    host.apply(&both);
    host.says("clear-meter -p lan0n1");
    assert_eq!(host.says("export"), FILE);
    let wrong = FILE.replace("netns", "meter-in = \"flows\"\nnetns");
    let (_, err) = host.run(&["apply", &host.file(&wrong)]);
    assert!(err.contains("host.conf:11: "), "{err}");
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    let host = Host::new();
    let twice = format!("{FILE}\n{}", FILE.replace("lan0n1", "lan0n2"));
    for (text, line, message) in [
        (
            FILE.replace("10.0.0.99", "10.0.1.99"),
            5,
            "invalid IP configuration: public_ip 10.0.1.99 is not in vpc_sub4 10.0.0.0/24",
        ),
        (
            FILE.replace("1025", "5000"),
            7,
            "invalid port range: 5000-4096 ends before it starts",
        ),
        (
            FILE.replace("lan = \"lan0\"", "lan = \"lan0n1\""),
            3,
            "invalid LAN link: 'lan0n1' is the name of the port's own link",
        ),
        (
            format!("{FILE}mtu = 500\n"),
            12,
            "invalid MTU: 500 is less than 1280",
        ),
        (
            format!("{FILE}tap = true\n"),
            11,
            "a TAP is in no namespace: either tap or netns",
        ),
        (
            format!("{FILE}\n{FILE}"),
            14,
            "port 'lan0n1' is there twice",
        ),
        (
            twice,
            17,
            "public-ip 10.0.0.99 is that of port 'lan0n1' on the LAN at 'lan0'",
        ),
    ] {
        let file = host.file(&text);
        let (_, err) = host.run(&["apply", &file]);
        assert_eq!(err, format!("opteadm: {file}:{line}: {message}\n"));
    }
}

#[test]
fn what_a_port_was_made_of_does_not_change_in_place() {
    let host = Host::new();
    host.apply(FILE);
    for (text, parts) in [
        (FILE.replace("\"lan0\"", "\"lan1\""), "lan lan0 -> lan1"),
        (FILE.replace("guest1", "guest2"), "netns guest1 -> guest2"),
        (format!("{FILE}mtu = 1400\n"), "mtu 1500 -> 1400"),
        (port("lan0n1", 11, ""), "network lan-nat -> oxide-vpc"),
    ] {
        let (_, err) = host.run(&["apply", &host.file(&text)]);
        let start = format!("port 'lan0n1' cannot change in place: {parts};");
        assert!(err.contains(&start), "{err}");
    }
    assert_eq!(host.says("export"), FILE);
}

#[test]
fn a_port_outlives_its_driver_in_a_file() {
    let host = Host::new();
    host.says(CREATE);
    let file = host.directory.join("port").display().to_string();
    host.says(&format!("save-port -p lan0n1 {file}"));
    host.says("-y delete-xde lan0n1");
    assert_eq!(
        host.complains(&format!("restore-port {file} --src-underlay-addr fd00::1")),
        format!(
            "{file}: port 'lan0n1' is on a LAN and has no underlay address that could be another"
        )
    );
    assert_eq!(
        host.says(&format!("restore-port {file}")),
        "0 flows restored\n"
    );
    assert_eq!(host.says("export"), FILE);
}
