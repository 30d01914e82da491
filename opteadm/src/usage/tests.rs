use clap::{Arg, ArgAction, CommandFactory, Parser};

use super::line;
use crate::args::Cli;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/arguments.txt");

/// Every subcommand with every argument wrong in every way there is: alone, unknown, without a value, with one that it never is, twice,
/// beside one it excludes. Written anew by `BLESS=1 cargo test -p opteadm --bin opteadm`.
#[test]
fn every_wrong_argument_has_its_message() {
    let mut all = Cli::command();
    all.build();
    let mut said = String::new();
    let mut say = |arguments: Vec<String>| {
        let words = || arguments.iter().map(String::as_str);
        let shown = words().map(|word| if word.is_empty() { "''" } else { word });
        let shown = shown.collect::<Vec<_>>().join(" ");
        let parsed = Cli::try_parse_from(["opteadm"].into_iter().chain(words()));
        let answer = match parsed.map_err(|error| line(&error)) {
            // What an argument may be, and what not, is the driver's to say.
            Ok(_) => "taken".to_owned(),
            Err(line) => line,
        };
        assert_eq!(answer.lines().count(), 1, "{shown}: {answer}");
        said += &format!("$ opteadm {shown}\n{answer}\n\n");
        (shown, answer)
    };
    say(vec!["frobnicate".into()]);
    say(vec!["list-port".into()]);
    let global = all.get_arguments().filter(|argument| is_listed(argument));
    for wrong in global.flat_map(|argument| wrongs(argument, &[])) {
        say([vec!["list-ports".into()], wrong.words].concat());
    }
    for command in all
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let name = command.get_name().to_owned();
        say(vec![name.clone()]);
        say(vec![name.clone(), "--frobnicate".into()]);
        if !command
            .get_positionals()
            .any(|argument| argument.get_num_args().is_some_and(|n| n.max_values() > 1))
        {
            let positionals = command
                .get_positionals()
                .map(|argument| values_of(argument).right.into());
            say([
                vec![name.clone()],
                positionals.collect(),
                vec!["too-many".into()],
            ]
            .concat());
        }
        let own = || {
            command
                .get_arguments()
                .filter(|argument| is_listed(argument) && !argument.is_global_set())
        };
        let mut before = Vec::new();
        for argument in own() {
            let wrongs = wrongs(argument, &before);
            if argument.is_positional() {
                before.push(values_of(argument).right.to_owned());
            }
            for wrong in wrongs {
                let (shown, answer) = say([vec![name.clone()], wrong.words].concat());
                if let (Some(value), true) = (wrong.value, answer.starts_with("invalid value")) {
                    let place = argument.to_string();
                    let place = place.trim_end_matches("...");
                    assert!(
                        answer.contains(&format!("'{value}' for '")),
                        "{shown}: {answer}"
                    );
                    assert!(answer.contains(place), "{shown}: {answer}");
                    assert!(
                        answer.contains(": ") || answer.contains("[possible values: "),
                        "{shown}: {answer}"
                    );
                }
            }
            for other in command.get_arg_conflicts_with(argument) {
                say([vec![name.clone()], given(argument), given(other)].concat());
            }
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(GOLDEN, &said).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for (said, golden) in said.split("\n\n").zip(golden.split("\n\n")) {
        assert_eq!(said, golden, "BLESS=1 writes the messages anew");
    }
    assert_eq!(said.len(), golden.len(), "BLESS=1 writes the messages anew");
}

fn is_listed(argument: &Arg) -> bool {
    !["help", "version"].contains(&argument.get_id().as_str())
}

struct Wrong {
    words: Vec<String>,
    /// The value that is wrong, if one is.
    value: Option<String>,
}

/// An argument in each wrong way that it has by itself; values `before` it, if it is told by its place.
fn wrongs(argument: &Arg, before: &[String]) -> Vec<Wrong> {
    let option = option(argument);
    let takes_value = argument.get_action().takes_values();
    let mut wrongs = Vec::new();
    if let (Some(option), false) = (&option, takes_value) {
        wrongs.push(vec![format!("{option}=1")]);
        wrongs.push(vec![option.clone(), option.clone()]);
    }
    if let (Some(option), true) = (&option, takes_value) {
        wrongs.push(vec![option.clone()]);
        if !matches!(argument.get_action(), ArgAction::Append) {
            let given = given(argument);
            wrongs.push([given.clone(), given].concat());
        }
    }
    let mut wrongs: Vec<Wrong> = wrongs
        .into_iter()
        .map(|words| Wrong { words, value: None })
        .collect();
    if takes_value {
        for value in values_of(argument).wrong {
            let words = match &option {
                Some(option) => vec![format!("{option}={value}")],
                None => [before.to_vec(), vec!["--".into(), (*value).into()]].concat(),
            };
            let value = Some((*value).to_owned());
            wrongs.push(Wrong { words, value });
        }
    }
    wrongs
}

/// The argument as it is right.
fn given(argument: &Arg) -> Vec<String> {
    let words = option(argument).into_iter();
    let value = argument
        .get_action()
        .takes_values()
        .then(|| values_of(argument).right.to_owned());
    words.chain(value).collect()
}

fn option(argument: &Arg) -> Option<String> {
    argument.get_long().map(|long| format!("--{long}"))
}

struct Values {
    right: &'static str,
    wrong: &'static [&'static str],
}

/// What an argument may be, and what not, by its name.
fn values_of(argument: &Arg) -> Values {
    let id = argument.get_id().as_str();
    let (right, wrong): (_, &[_]) = match id {
        "socket" | "port" | "name" | "layer" | "u1" | "u2" | "netns" | "link" => ("x", &[]),
        "file" | "positional" | "command" => ("x", &[]),
        "dir"
            if argument.get_value_parser().type_id()
                == std::any::TypeId::of::<std::path::PathBuf>() =>
        {
            ("x", &[])
        }
        "color" => ("always", &["?", ""]),
        "every" => ("1", &["?", "0", "-1", "nan"]),
        "address" => ("10.0.0.0/8", &["?", "10.0.0.300", "10.0.0.0/33"]),
        "prefix" | "dest" | "vpc_subnet" => (
            "10.0.0.0/8",
            &[
                "?",
                "10.0.0.0",
                "10.0.0.0/33",
                "10.0.0.0/x",
                "fd00::/129",
                "10.0.0.1/8",
            ],
        ),
        "dir" => ("in", &["?", ""]),
        "protocol" => (
            "tcp",
            &["?", "256", "-1", "icmp:256", "icmp:8,2-1", "tcp:1"],
        ),
        "l4_port" | "source_port" | "destination_port" => ("80", &["?", "65536", "-1"]),
        "snat_start" | "snat_end" | "mtu" | "priority" => ("1500", &["?", "65536", "-1"]),
        "rule" | "id" => ("1", &["?", "-1", "18446744073709551616"]),
        "count" => ("1", &["?", "0", "1025"]),
        "hosts" => (
            "any",
            &["?", "ip=?", "subnet=10.0.0.0", "vni=x", "vni=16777216"],
        ),
        "ports" | "source_ports" => ("any", &["?", "1-", "2-1", "65536", "80,,81"]),
        "action" => ("allow", &["?", "Allow!"]),
        "vpc_ip" | "group" | "include" | "exclude" | "snat_ip" | "ephemeral_ip" | "floating_ip"
        | "source" | "destination" | "private_ip" | "gateway_ip" | "dns_servers" => {
            ("10.0.0.1", &["?", "10.0.0.300", "10.0.0.0/8", "fd00::1::2"])
        }
        "underlay_ip" | "underlay" | "next_hop" | "tep" | "src_underlay_addr" => {
            ("fd00::1", &["?", "10.0.0.1", "fd00::1::2"])
        }
        "vpc_mac" | "guest_mac" | "gateway_mac" => (
            "a8:40:25:f0:00:01",
            &[
                "?",
                "a8:40:25:f0:00",
                "a8:40:25:f0:00:0g",
                "a8:40:25:f0:00:01:02",
            ],
        ),
        "packets" | "bits" | "new_flows" => ("10k/s", &["?", "0x1", "10/min", "-1"]),
        "flows" => ("1000", &["?", "-1", "4294967296"]),
        "max_flows" | "flows_per_remote" | "flows_per_address" | "errors_per_second"
        | "errors_at_once" => ("1000", &["?", "-1", "4294967296"]),
        time if time.starts_with("timeout_") || time == "snat_hold_down" => {
            ("120s", &["?", "120", "-1s", "1m"])
        }
        "dscp" => ("uniform", &["?", "Pipe"]),
        "mss_clamp" => ("path-mtu", &["?", "65536", "-1"]),
        "snat_filtering" => ("address", &["?", "port"]),
        "snat_preserve_ports" => ("true", &["?", "yes"]),
        "burst" => ("100ms", &["?", "100", "11s", "-1ms"]),
        "settings" => (
            "gw_ip=10.0.0.1",
            &[
                "?",
                "gw=10.0.0.1",
                "gw_ip=",
                "gw_ip=fd00::1",
                "gw_mac=10.0.0.1",
                "port_end=65536",
                "vpc_sub4=10.0.0.0",
            ],
        ),
        "vni" | "vpc_vni" | "peers" => ("10", &["?", "-1", "16777216"]),
        "replication" => ("both", &["?", "none"]),
        "target" => (
            "ig",
            &[
                "?",
                "ip4=?",
                "ip4=fd00::1",
                "ip6=10.0.0.1",
                "sub4=10.0.0.0",
                "ig=x",
            ],
        ),
        "class" => ("system", &["?"]),
        "gateways" => (
            "10.0.0.1=6e1b9c7e-6a3c-4d5b-9d0e-000000000001",
            &["?", "?=6e1b9c7e-6a3c-4d5b-9d0e-000000000001", "10.0.0.1=7"],
        ),
        "hostname" | "host_domain" | "domain_search_list" => {
            ("a.example", &["?", "", "a..b", "-a"])
        }
        "hex" => ("00", &["0", "0x"]),
        "flags" => ("syn", &["?", "syn,?"]),
        "by" | "format" | "shell" => (first_of(argument), &["?"]),
        other => panic!("what may {other} be, and what not?"),
    };
    Values { right, wrong }
}

fn first_of(argument: &Arg) -> &'static str {
    match argument.get_id().as_str() {
        "by" => "bytes",
        "format" => "json",
        _ => "bash",
    }
}
