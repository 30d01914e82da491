//! Multicast: the commands one by one, and in a file.

use super::{Host, UNDERLAY, port};

/// Multicast of the ports `opte0` and `opte1`.
pub(super) const SECTIONS: &str = r#"
[[m2p]]
group = "239.1.2.3"
underlay = "ff04::1"

[[m2p]]
group = "ff0e::7"
underlay = "ff04::1"

[[mcast-forward]]
underlay = "ff04::1"
next-hop = "fd00:2::1"
replication = "underlay"

[[mcast-forward]]
underlay = "ff04::1"
next-hop = "fd00:3::1"
replication = "both"
exclude = ["10.0.0.9"]

[[mcast-subscribe]]
port = "opte0"
group = "239.1.2.3"
include = ["10.0.0.77"]

[[mcast-subscribe]]
port = "opte1"
group = "239.1.2.3"
"#;

fn two_ports(more: &str) -> String {
    let ports = port("opte0", 11, "") + &port("opte1", 12, "");
    format!("{UNDERLAY}{ports}{more}")
}

impl Host {
    #[track_caller]
    fn command(&self, line: &str) -> String {
        self.ok(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn complaint(&self, line: &str) -> String {
        let (out, err) = self.run(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(out, "", "{line}");
        err
    }
}

#[test]
fn commands_one_by_one() {
    let host = Host::new();
    host.apply(&two_ports(""));
    for command in [
        "set-m2p 239.1.2.3 ff04::1",
        "set-m2p ff0e::7 ff04::2",
        "set-m2p --vni 10 239.1.2.4 ff04::2",
        "set-m2p --vni 20 239.1.2.4 ff04::3",
        "clear-m2p --vni 20 239.1.2.4 ff04::3",
        "set-mcast-fwd ff04::1 fd00:2::1 underlay",
        "set-mcast-fwd ff04::1 fd00:3::1 external",
        "set-mcast-fwd ff04::1 fd00:3::1 both --exclude 10.0.0.9,10.0.0.8",
        "mcast-subscribe -p opte0 239.1.2.3 --include 10.0.0.77 --include 10.0.0.78",
        "mcast-subscribe -p opte1 239.1.2.3",
        "mcast-subscribe -p opte1 ff0e::7 --exclude fd10::9",
    ] {
        assert_eq!(host.command(command), "", "{command}");
    }
    let line = "=".repeat(70);
    let table = host.command("dump-m2p");
    assert!(table.starts_with(&format!("Multicast to Physical Mappings (M2P)\n{line}\n")));
    assert!(
        table.contains("OVERLAY GROUP  UNDERLAY MCAST  VNI\n239.1.2.3      ff04::1         77\n"),
        "{table}"
    );
    for row in [
        "ff0e::7        ff04::2         77\n",
        "239.1.2.4      ff04::2         10\n",
    ] {
        assert!(table.contains(row), "{table}");
    }
    assert_eq!(
        host.command("dump-mcast-fwd"),
        format!(
            "Multicast Forwarding Table\n{line}\n\
             GROUP IP  UNDERLAY IP  VNI  REPLICATION  FILTER\n\
             ff04::1   fd00:2::1    77   underlay     EXCLUDE() (any)\n\
             ff04::1   fd00:3::1    77   both         EXCLUDE(10.0.0.8, 10.0.0.9)\n"
        )
    );
    assert_eq!(
        host.command("dump-mcast-subs"),
        format!(
            "Multicast Subscriptions\n{line}\n\
             UNDERLAY GROUP  GROUP      PORT   FILTER\n\
             ff04::1         239.1.2.3  opte0  INCLUDE(10.0.0.77, 10.0.0.78)\n\
             ff04::1         239.1.2.3  opte1  EXCLUDE() (any)\n\
             ff04::2         ff0e::7    opte1  EXCLUDE(fd10::9)\n"
        )
    );
    let json = |command: &str| -> serde_json::Value {
        serde_json::from_str(&host.command(&format!("--json {command}"))).unwrap()
    };
    assert_eq!(json("dump-m2p")[0]["underlay"], "ff04::1");
    assert_eq!(
        json("dump-mcast-fwd")[0]["next_hops"][1]["replication"],
        "Both"
    );
    assert_eq!(
        json("dump-mcast-subs")[2]["filter"]["Exclude"][0],
        "fd10::9"
    );
    for command in [
        "mcast-unsubscribe -p opte0 239.1.2.3",
        "mcast-unsubscribe-all ff0e::7",
        "clear-mcast-fwd ff04::1 fd00:2::1",
        "clear-m2p ff0e::7 ff04::2",
    ] {
        assert_eq!(host.command(command), "", "{command}");
    }
    assert_eq!(json("dump-m2p").as_array().unwrap().len(), 2);
    assert_eq!(json("dump-m2p")[1]["vni"], 10);
    assert_eq!(
        json("dump-mcast-fwd")[0]["next_hops"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(json("dump-mcast-subs").as_array().unwrap().len(), 1);
    host.command("clear-mcast-fwd ff04::1");
    assert_eq!(json("dump-mcast-fwd").as_array().unwrap().len(), 0);
}

#[test]
fn what_is_wrong_is_said() {
    let host = Host::new();
    host.apply(&two_ports(SECTIONS));
    let before = host.export();
    for (command, complaint) in [
        (
            "set-m2p 10.0.0.1 ff04::1",
            "invalid group: 10.0.0.1 is not a multicast address",
        ),
        (
            "set-m2p ff02::fb ff04::1",
            "invalid group: ff02::fb is of a scope that does not leave the guest's link",
        ),
        (
            "set-m2p 239.1.1.1 ff05::1",
            "invalid underlay group: ff05::1 is not of ff04::/16",
        ),
        ("clear-m2p 239.1.2.3 ff04::9", "no mapping for 239.1.2.3"),
        (
            "clear-m2p --vni 10 239.1.2.3 ff04::1",
            "no mapping for 239.1.2.3",
        ),
        (
            "set-m2p --vni 77 239.1.2.3 ff04::1",
            "invalid VNI: 77 is no VPC's",
        ),
        (
            "set-mcast-fwd ff04::1 ff04::2 both",
            "invalid next hop: ff04::2 is no host's",
        ),
        ("clear-mcast-fwd ff04::9", "no mapping for ff04::9"),
        (
            "clear-mcast-fwd ff04::1 fd00:9::1",
            "no mapping for ff04::1 to next hop fd00:9::1",
        ),
        (
            "mcast-subscribe -p opte0 239.9.9.9",
            "no mapping for 239.9.9.9",
        ),
        (
            "mcast-subscribe -p opte9 239.1.2.3",
            "port 'opte9' not found (there is: opte0, opte1)",
        ),
        (
            "mcast-subscribe -p opte0 239.1.2.3 --include 127.0.0.1",
            "invalid source: 127.0.0.1 is a special-use address",
        ),
        (
            "mcast-subscribe -p opte0 239.1.2.3 --exclude fd10::9",
            "invalid source: fd10::9 is not of the family of group 239.1.2.3",
        ),
        (
            "mcast-unsubscribe -p opte9 239.1.2.3",
            "port 'opte9' not found (there is: opte0, opte1)",
        ),
        (
            "mcast-unsubscribe -p opte0 ff0e::7",
            "no mapping for ff0e::7 to port opte0",
        ),
        (
            "mcast-unsubscribe-all 10.0.0.1",
            "invalid group: 10.0.0.1 is not a multicast address",
        ),
    ] {
        assert_eq!(
            host.complaint(command),
            format!("opteadm: {complaint}\n"),
            "{command}"
        );
    }
    let text = host.complaint("set-mcast-fwd ff04::1 fd00:2::1 all");
    assert!(
        text.contains("'all' is not one of external, underlay, both"),
        "{text}"
    );
    assert_eq!(host.export(), before);
}

#[test]
fn a_file_is_followed_and_faults_in_it_are_found() {
    let host = Host::new();
    host.apply(&two_ports(SECTIONS));
    let moved = SECTIONS
        .replace(
            "group = \"239.1.2.3\"\nunderlay = \"ff04::1\"",
            "group = \"239.1.2.3\"\nunderlay = \"ff04::2\"",
        )
        .replace("include = [\"10.0.0.77\"]", "")
        .replace("[[m2p]]\ngroup = \"ff0e::7\"\nunderlay = \"ff04::1\"\n", "");
    assert_eq!(
        host.apply(&two_ports(&moved)),
        "~ m2p 239.1.2.3 -> ff04::2\n\
         ~ opte0: subscription 239.1.2.3 EXCLUDE() (any)\n\
         - m2p ff0e::7 -> ff04::1\n"
    );
    assert_eq!(host.apply(&host.export()), "");
    // A VPC gets a group of its own, beside that for all.
    let own = "[[m2p]]\nvni = 10\ngroup = \"239.1.2.3\"\nunderlay = \"ff04::2\"\n";
    assert_eq!(
        host.apply(&two_ports(&format!("{moved}{own}"))),
        "+ m2p 239.1.2.3 of VPC 10 -> ff04::2\n"
    );
    assert_eq!(host.apply(&host.export()), "");
    assert_eq!(
        host.apply(&two_ports(&moved)),
        "- m2p 239.1.2.3 of VPC 10 -> ff04::2\n"
    );
    assert_eq!(host.apply(&host.export()), "");
    // A port that goes takes its subscription along.
    let one = format!(
        "{UNDERLAY}{}\n[[m2p]]\ngroup = \"239.1.2.3\"\nunderlay = \"ff04::2\"\n",
        port("opte1", 12, "")
    );
    assert_eq!(
        host.apply(&one),
        "- port opte0\n\
         - opte1: subscription 239.1.2.3 EXCLUDE() (any)\n\
         - next hop ff04::1 -> fd00:2::1 underlay EXCLUDE() (any)\n\
         - next hop ff04::1 -> fd00:3::1 both EXCLUDE(10.0.0.9)\n"
    );
    assert_eq!(host.apply(&host.export()), "");

    let base = two_ports("");
    let line = base.lines().count();
    let m2p = "[[m2p]]\ngroup = \"239.1.2.3\"\nunderlay = \"ff04::1\"\n";
    let sub = |port: &str, group: &str, more: &str| {
        format!("[[mcast-subscribe]]\nport = \"{port}\"\ngroup = \"{group}\"\n{more}")
    };
    for (section, at, complaint) in [
        (
            "[[m2p]]\ngroup = \"10.0.0.1\"\nunderlay = \"ff04::1\"\n".to_owned(),
            1,
            "invalid group: 10.0.0.1 is not a multicast address",
        ),
        (format!("{m2p}{m2p}"), 4, "group 239.1.2.3 is mapped twice"),
        (
            format!("{m2p}{m2p}vni = 10\n{m2p}vni = 10\n"),
            8,
            "group 239.1.2.3 of VPC 10 is mapped twice",
        ),
        (
            format!("{m2p}vni = 20\n{}", sub("opte0", "239.1.2.3", "")),
            5,
            "group 239.1.2.3 has no m2p",
        ),
        (
            sub("opte0", "239.1.2.3", ""),
            1,
            "group 239.1.2.3 has no m2p",
        ),
        (
            m2p.to_owned() + &sub("opte9", "239.1.2.3", ""),
            4,
            "there is no port 'opte9'",
        ),
        (
            m2p.to_owned() + &sub("opte0", "239.1.2.3", "") + &sub("opte0", "239.1.2.3", ""),
            7,
            "port 'opte0' subscribes to 239.1.2.3 twice",
        ),
        (
            m2p.to_owned() + &sub("opte0", "239.1.2.3", "include = []\nexclude = []\n"),
            4,
            "sources are included or excluded: either include or exclude",
        ),
    ] {
        let file = host.file(&format!("{base}{section}"));
        let text = host.complaint(&format!("apply {file}"));
        assert_eq!(
            text,
            format!("opteadm: {file}:{}: {complaint}\n", line + at)
        );
    }
}
