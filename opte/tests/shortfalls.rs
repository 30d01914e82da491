//! The index of shortfalls, and the tests for those that have no other place.

mod net;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use net::{Bench, FAR, GUEST, Shape, udp_frame};
use opte::Direction::Out;
use opte::api::Page;
use opte::port::Verdict;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = workspace().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every number of the list has a row, and every test that a row names exists where it says.
#[test]
fn the_index_is_whole_and_true() {
    let index = read("opte/tests/shortfalls.md");
    let rows = index
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter(|row| row.starts_with(|first: char| first.is_ascii_digit()));
    let mut numbers = BTreeSet::new();
    for row in rows {
        let (number, rest) = row.split_once(" | ").unwrap();
        assert!(numbers.insert(number.to_string()), "{number} twice");
        let (_, tests) = rest.split_once(" | ").unwrap();
        let (mut source, mut found) = (String::new(), 0);
        for name in tests.split('`').skip(1).step_by(2) {
            if name.contains('/') {
                source = read(name);
            } else {
                assert!(
                    source.contains(&format!("fn {name}(")),
                    "{number} names {name}, which is not there"
                );
                found += 1;
            }
        }
        assert!(found > 0, "{number} has no test");
    }
    let of = |section: &str, count: u32| -> Vec<String> {
        (1..=count)
            .map(|item| format!("{section}.{item}"))
            .collect()
    };
    let all = [of("1", 20), of("2", 9), of("3", 14), of("", 0)].concat();
    let sections = ["4", "5", "8"].map(String::from);
    assert_eq!(numbers, all.into_iter().chain(sections).collect());
}

#[test]
fn shortfall_1_15_what_is_dropped_leaves_nothing() {
    let bench = Bench::new();
    bench.far_end.store(0, Ordering::Relaxed);
    let programs = bench.port.counters().programs;
    for group in 1..=200 {
        let group = std::net::Ipv4Addr::new(224, 1, 2, group);
        let sent = bench.send(Out, &udp_frame((GUEST, 5000), (group, 5000), b"x"));
        assert!(matches!(sent.verdict, Verdict::Drop(_)));
    }
    let counters = bench.port.counters();
    assert_eq!((counters.flows, counters.programs), (0, programs));
    assert_eq!(counters.traffic.outbound.drops.total(), 200);
    let leased: u32 = bench
        .share
        .pools()
        .iter()
        .map(|(_, pool)| pool.usage().leased)
        .sum();
    assert_eq!(leased, 0);
}

/// The crates of the product, with whether they may have code that the compiler does not check.
const PRODUCT: [(&str, bool); 6] = [
    ("opte-macros", false),
    ("opte-headers", false),
    ("opte", false),
    ("oxide-vpc", false),
    ("lan-nat", false),
    ("opteadm", false),
];

/// The one module of the crates that may have none that does: a processor's instruction has no safe name.
const EXCEPTED: (&str, &str) = ("opte", "src/prefetch.rs");

#[test]
fn shortfall_2_1_nobody_but_the_driver_is_unsafe() {
    for (name, _) in PRODUCT.into_iter().filter(|(_, may)| !may) {
        let source = read(&format!("{name}/src/lib.rs"));
        let level = if name == EXCEPTED.0 { "deny" } else { "forbid" };
        let said = format!("#![{level}(unsafe_code)]");
        assert!(source.contains(&said), "{name}");
    }
    let (name, module) = EXCEPTED;
    for path in sources(&workspace().join(name).join("src")) {
        let allows = fs::read_to_string(&path).unwrap().contains("unsafe_code)]");
        let may = path.ends_with("src/lib.rs") || path.ends_with(module);
        assert_eq!(allows, may, "{}", path.display());
    }
    let source = read(&format!("{name}/{module}"));
    assert_eq!(source.matches("unsafe {").count(), 1, "one instruction");
    // What is unsafe there says why it is not, or does not compile.
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("undocumented_unsafe_blocks = \"deny\""));
}

/// The sources below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn shortfall_4_product_crates_refuse_what_may_panic() {
    for (name, _) in PRODUCT {
        if name == "opte-macros" {
            // It runs in the compiler, where a panic is an error message.
            continue;
        }
        let source = read(&format!("{name}/src/lib.rs"));
        for lint in ["unwrap_used", "expect_used", "panic", "indexing_slicing"] {
            assert!(
                source.contains(&format!("clippy::{lint}")),
                "{name}: {lint}"
            );
        }
    }
}

#[test]
fn shortfall_3_3_flows_share_their_programs() {
    let bench = Bench::of(Shape {
        flows: 5000,
        ports: 1024..=65535,
        ..Shape::default()
    });
    // One endpoint, many others: the source translated and the tunnel are the same for all.
    for far in 0..1000 {
        let sent = bench.send(Out, &udp_frame((GUEST, 5000), (FAR, 1000 + far), b"x"));
        assert!(matches!(sent.verdict, Verdict::Forward { .. }));
    }
    let counters = bench.port.counters();
    assert_eq!(counters.flows, 1000);
    assert!(counters.programs <= 2, "{}", counters.programs);
}

#[test]
fn shortfall_3_8_a_layer_without_state_holds_nothing() {
    let bench = Bench::new();
    for port in 0..50 {
        bench.send(Out, &udp_frame((GUEST, 5000 + port), (FAR, 53), b"x"));
    }
    let layers = bench.port.list_layers().layers;
    let flows = |name: &str| {
        let layer = layers.iter().find(|layer| layer.name == name).unwrap();
        layer.flows
    };
    assert_eq!(
        (flows("firewall"), flows("nat"), flows("overlay")),
        (50, 50, 0)
    );
    let overlay = bench.port.dump_layer("overlay", Page::FIRST).unwrap();
    assert!(overlay.flows.is_empty());
}

#[test]
fn shortfall_8_there_is_a_fuzz_target_for_whatever_reads_bytes() {
    for target in [
        "command_dispatch",
        "driver_frames",
        "geneve_frame",
        "guest_frame",
        "header_views",
        "port_process",
        "program_apply",
        "rule_text",
        "services",
    ] {
        let source = read(&format!("fuzz/fuzz_targets/{target}.rs"));
        assert!(source.contains("fuzz_target!"), "{target}");
    }
}
