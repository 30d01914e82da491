//! What others see on the underlay.

use std::path::{Path, PathBuf};

use testkit::plan::OUTSIDE;
use testkit::{Failure, Namespace, Overlay, Result, Running, privilege, topology};

use crate::runner::ensure;

/// Field of tshark, and the number by which it says that a checksum was verified and good.
const CHECKSUMS: &[&str] = &[
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
];
const GOOD: &str = "1";

/// The tunnel's own UDP checksum is zero, as RFC 6935 allows; tshark verifies none by default.
const PREFERENCES: &[&str] = &[
    "ip.check_checksum:TRUE",
    "tcp.check_checksum:TRUE",
    "udp.check_checksum:TRUE",
    "udp.ignore_ipv6_zero_checksum:TRUE",
];

pub(crate) fn the_underlay_carries_well_formed_geneve(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        carol,
        topology,
        ..
    } = &*lab;
    let captures =
        ["sw0", "sw1"].map(|link| Capture::start(&topology.rack, link, topology.lab().directory()));
    let captures = captures.into_iter().collect::<Result<Vec<_>>>()?;
    for address in [
        carol.plan().ip.into(),
        carol.plan().ip6.into(),
        OUTSIDE.into(),
    ] {
        alice.ping(address, 5)?;
    }
    for address in [carol.plan().ip.to_string(), carol.plan().ip6.to_string()] {
        let _udp = topology.serve(carol.namespace(), &format!("udp-echo {address} 9000 40"))?;
        topology.traffic(alice.namespace(), &format!("udp-flows {address} 9000 40 2"))?;
        let sink = topology.serve(carol.namespace(), &format!("tcp-sink {address} 9000"))?;
        topology.traffic(
            alice.namespace(),
            &format!("tcp-source {address} 9000 4000000 7"),
        )?;
        sink.finish()?;
    }
    let mut geneve = Vec::new();
    for capture in captures {
        let file = capture.finish();
        let bad = dissect(
            &file,
            "_ws.malformed || _ws.expert.severity == error",
            &["frame.number", "_ws.expert.message"],
        )?;
        ensure(bad.is_empty(), || {
            format!("malformed on the underlay: {:?}", bad.first())
        })?;
        let frames = dissect(&file, "geneve", CHECKSUMS)?;
        for (column, field) in CHECKSUMS.iter().enumerate() {
            let bad = frames
                .iter()
                .filter_map(|frame| frame.split('\t').nth(column))
                .flat_map(|statuses| statuses.split(','))
                .filter(|status| !status.is_empty() && *status != GOOD && !allowed(field, status))
                .count();
            ensure(bad == 0, || {
                format!("{bad} of {} have {field} other than good", frames.len())
            })?;
        }
        geneve.push(frames.len());
    }
    println!("    Geneve frames on the two links: {geneve:?}");
    ensure(geneve.iter().all(|frames| *frames > 0), || {
        format!("one link carried nothing: {geneve:?}")
    })
}

/// `Not present` (3), which tshark says of the tunnel's own UDP header.
fn allowed(field: &str, status: &str) -> bool {
    field.starts_with("udp.") && status == "3"
}

/// tcpdump at work; in a user namespace dumpcap, as tcpdump cannot become there the user it wants to be.
struct Capture {
    running: Running,
    file: PathBuf,
}

impl Capture {
    fn start(place: &Namespace, link: &str, directory: &Path) -> Result<Self> {
        let (file, log) = (
            directory.join(format!("{link}.pcap")),
            directory.join(format!("{link}.capture")),
        );
        // With room for what comes faster than it is written: in KiB, and in MiB.
        let (program, options, at_work) = if privilege::in_user_namespace() {
            ("dumpcap", ["-q", "-B16"], "File: ")
        } else {
            ("tcpdump", ["-Zroot", "-B16384"], "listening on")
        };
        let mut command = place.command(program);
        command.args(options).args(["-i", link, "-w"]).arg(&file);
        let running = Running::start(&mut command, &log)?;
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let started = topology::wait_for("the capture to begin", || said().contains(at_work));
        started.map_err(|_| Failure::new(format!("run {program}"), said()))?;
        Ok(Self { running, file })
    }

    fn finish(self) -> PathBuf {
        // What is on its way to the file gets there.
        std::thread::sleep(std::time::Duration::from_millis(500));
        self.running.terminate();
        self.file
    }
}

/// Rows of `fields` of the packets that `filter` chooses.
fn dissect(file: &Path, filter: &str, fields: &[&str]) -> Result<Vec<String>> {
    let mut tshark = std::process::Command::new("tshark");
    // Not by whatever its user prefers.
    tshark.env("HOME", file.parent().unwrap_or(file));
    tshark
        .arg("-r")
        .arg(file)
        .args(["-Y", filter, "-T", "fields"]);
    tshark.args(PREFERENCES.iter().flat_map(|preference| ["-o", preference]));
    tshark.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = tshark.output().map_err(|e| Failure::new("run tshark", e))?;
    if !output.status.success() {
        return Err(Failure::new(
            "dissect a capture",
            String::from_utf8_lossy(&output.stderr),
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect())
}
