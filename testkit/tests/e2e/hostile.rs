//! Bad input from everywhere: the driver goes on, and counts.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use testkit::plan::Place;
use testkit::{Overlay, Result};

use crate::runner::ensure;

pub(crate) fn noise_on_the_control_socket(lab: &mut Overlay) -> Result<()> {
    let socket = lab.topology.a.socket().to_path_buf();
    let before = refused(lab)?;
    for (name, bytes) in noises() {
        let Ok(mut stream) = UnixStream::connect(&socket) else {
            return ensure(false, || {
                format!("the socket took no connection after {name}")
            });
        };
        // It may have hung up already, which is its right; it must not hang.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(3)));
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let hangs = matches!(&read, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
        ensure(!hangs, || format!("no end after {name}"))?;
        let typed =
            answer.starts_with(b"OPTE") && answer.get(48).is_some_and(|flags| flags & 1 == 1);
        ensure(bytes.is_empty() || typed, || {
            format!("the answer to {name} is no error of the protocol: {answer:02x?}")
        })?;
    }
    let (asked, counted) = (noises().len() as u64 - 1, refused(lab)? - before);
    ensure(counted >= asked, || {
        format!("{asked} were refused, {counted} are counted")
    })?;
    still_works(lab)
}

/// Commands that were refused before they were understood, for whichever reason.
fn refused(lab: &Overlay) -> Result<u64> {
    let reasons = [
        "bad_magic",
        "bad_version",
        "malformed",
        "timed_out",
        "too_large",
        "truncated",
        "unknown",
    ];
    let counters = lab.topology.a.counters()?;
    Ok(reasons
        .iter()
        .filter_map(|reason| counters.get(&format!("command_{reason}")))
        .sum())
}

pub(crate) fn noise_from_a_guest(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    let before = topology.a.all_drops()?;
    let to_gateway = "a84025ff7777a84025f00001";
    for (seed, prefix) in [
        "",
        to_gateway,
        &format!("{to_gateway}080045"),
        &format!("{to_gateway}86dd60"),
        &format!("{to_gateway}0806"),
    ]
    .iter()
    .enumerate()
    {
        topology.traffic(
            alice.namespace(),
            &format!("noise {} 500 {} {prefix}", alice.plan().port, seed + 1),
        )?;
    }
    let counted = topology.a.all_drops()? - before;
    ensure(counted >= 2000, || {
        format!("2500 frames of noise, {counted} counted")
    })?;
    still_works(lab)
}

pub(crate) fn noise_from_the_underlay(lab: &mut Overlay) -> Result<()> {
    let topology = &lab.topology;
    let before = topology.a.all_drops()?;
    // To the first host's MAC on the first link; then IPv6, then UDP to 6081 from the second host, then a Geneve header with
    // the VNI of Alice's VPC.
    let mac = "020000000a00020000000b00";
    let ipv6 = format!(
        "{mac}86dd60000000040011 40fd000002000000000000000000000001fd000001000000000000000000000001"
    )
    .replace(' ', "");
    let udp = format!("{ipv6}abcd17c104000000");
    let geneve = format!("{udp}0000655800000a00a84025f00001a84025f00003");
    for (seed, prefix) in [mac, &ipv6, &udp, &geneve].iter().enumerate() {
        topology.traffic(
            &topology.rack,
            &format!("noise sw0 500 {} {prefix}", seed + 1),
        )?;
    }
    let counted = topology.a.all_drops()? - before;
    ensure(counted >= 500, || {
        format!("2000 frames of noise, {counted} counted")
    })?;
    still_works(lab)
}

/// The drivers of both hosts live and answer, and carry packets.
fn still_works(lab: &mut Overlay) -> Result<()> {
    for host in [&mut lab.topology.a, &mut lab.topology.b] {
        ensure(host.xde_is_alive(), || format!("xde ended: {}", host.log()))?;
    }
    lab.topology.host(Place::A).opteadm("list-ports")?;
    let ping = lab.alice.ping(lab.carol.plan().ip.into(), 10)?;
    ensure(ping.is_complete(), || {
        format!("{} of {} pings answered", ping.received, ping.sent)
    })
}

/// A request's header of another version, with no body but one so long announced.
fn header(body_len: u32) -> Vec<u8> {
    let (magic, list_ports, version) = (b"OPTE", 1_u32.to_le_bytes(), 1_u64.to_le_bytes());
    let (client, sequence, instance) = ([7; 8], [7; 8], [0; 8]);
    let (response_max, reserved) = (65_536_u32.to_le_bytes(), [0; 8]);
    [
        &magic[..],
        &list_ports,
        &version,
        &client,
        &sequence,
        &instance,
        &body_len.to_le_bytes(),
        &response_max,
        &reserved,
    ]
    .concat()
}

/// Named byte strings no client of ours would send.
fn noises() -> Vec<(&'static str, Vec<u8>)> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut garbage = Vec::new();
    while garbage.len() < 100_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        garbage.extend(random.to_le_bytes());
    }
    vec![
        ("nothing", Vec::new()),
        ("one byte", vec![0]),
        ("half a header", vec![0x4f; 11]),
        ("zeros", vec![0; 4096]),
        (
            "ones, which say lengths beyond all bounds",
            vec![0xff; 4096],
        ),
        ("an HTTP request", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("garbage", garbage),
        ("a request of another version", header(0)),
        (
            "a request that says it is four gigabytes long",
            header(u32::MAX),
        ),
        (
            "a request that ends before its body does",
            [header(100), vec![0; 10]].concat(),
        ),
    ]
}
