//! Traffic for the tests: what standard tools do not make, or not in such numbers.
//!
//! ```text
//! traffic udp-echo ADDRESS FIRST_PORT PORTS      answer every datagram on that many ports
//! traffic udp-flows ADDRESS FIRST_PORT PORTS SOURCES   SOURCES x PORTS flows at once, each must be answered
//! traffic tcp-sink ADDRESS PORT                  take one connection to its end; print bytes and hash
//! traffic tcp-source ADDRESS PORT BYTES SEED     send that many bytes; print bytes and hash
//! traffic tcp-flows ADDRESS PORT CONNECTIONS     so many connections at once, each echoed a line
//! traffic tcp-echo ADDRESS PORT                  echo on every connection; print the peer of each
//! traffic tcp-talk ADDRESS PORT                  one connection, a word echoed before the next, until it ends or is ended; print each
//! traffic udp-large ADDRESS PORT BYTES           a datagram of that many bytes until it is echoed
//! traffic group-listen GROUP PORT                join; print who sends what to the group, until the sender ends
//! traffic group-send GROUP PORT COUNT            send that many numbers to a group, then the end; own sockets do not hear it
//! traffic frames LINK                            send the frames that stand on standard input, one line of hex each
//! traffic noise LINK COUNT SEED [PREFIX]         send that many frames of random length and bytes, after PREFIX (hex)
//! ```

#![forbid(unsafe_code)]

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use testkit::packet_socket::PacketSocket;
use testkit::{Failure, Result};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("traffic: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Whether all that was sent came back.
fn run(words: &[&str]) -> Result<bool> {
    match *words {
        ["udp-echo", address, first, ports] => {
            udp_echo(ip(address)?, number(first)?, number(ports)?)
        }
        ["udp-flows", address, first, ports, sources] => udp_flows(
            ip(address)?,
            number(first)?,
            number(ports)?,
            number(sources)?,
        ),
        ["tcp-sink", address, port] => tcp_sink(SocketAddr::new(ip(address)?, number(port)?)),
        ["tcp-source", address, port, bytes, seed] => tcp_source(
            SocketAddr::new(ip(address)?, number(port)?),
            number(bytes)?,
            number(seed)?,
        ),
        ["tcp-echo", address, port] => tcp_echo(SocketAddr::new(ip(address)?, number(port)?)),
        ["tcp-flows", address, port, connections] => tcp_flows(
            SocketAddr::new(ip(address)?, number(port)?),
            number(connections)?,
        ),
        ["tcp-talk", address, port] => tcp_talk(SocketAddr::new(ip(address)?, number(port)?)),
        ["udp-large", address, port, bytes] => {
            udp_large(SocketAddr::new(ip(address)?, number(port)?), number(bytes)?)
        }
        ["group-listen", group, port] => group_listen(ip(group)?, number(port)?),
        ["group-send", group, port, count] => group_send(ip(group)?, number(port)?, number(count)?),
        ["frames", link] => frames(link),
        ["noise", link, count, seed] => noise(link, number(count)?, number(seed)?, &[]),
        ["noise", link, count, seed, prefix] => {
            noise(link, number(count)?, number(seed)?, &hex(prefix)?)
        }
        _ => Err(Failure::new(
            "read the arguments",
            "see the head of traffic.rs",
        )),
    }
}

fn ip(text: &str) -> Result<IpAddr> {
    text.parse()
        .map_err(|e| Failure::new(format!("read `{text}`"), e))
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|e| Failure::new(format!("read `{text}`"), e))
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> Failure {
    let what = what.to_owned();
    move |e| Failure::new(what, e)
}

fn udp_echo(address: IpAddr, first: u16, ports: u16) -> Result<bool> {
    let bound = (first..first.saturating_add(ports)).map(|port| UdpSocket::bind((address, port)));
    let sockets = bound
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(failed("bind"))?;
    println!("ready");
    let answering = sockets.into_iter().map(|socket| {
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                // Lost like any datagram; the client asks again.
                let _ = buffer
                    .get(..length)
                    .map(|datagram| socket.send_to(datagram, from));
            }
        })
    });
    answering
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|thread| drop(thread.join()));
    Ok(false)
}

/// Says what comes to a group and from whom, until the sender ends.
fn group_listen(group: IpAddr, port: u16) -> Result<bool> {
    // Bound to the group, the socket hears nothing else.
    let socket = UdpSocket::bind((group, port)).map_err(failed("bind"))?;
    match &group {
        IpAddr::V4(v4) => socket.join_multicast_v4(v4, &[0; 4].into()),
        IpAddr::V6(v6) => socket.join_multicast_v6(v6, 0),
    }
    .map_err(failed("join the group"))?;
    println!("ready");
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).map_err(failed("receive"))?;
        match buffer.get(..length) {
            Some(b"end") | None => return Ok(true),
            Some(text) => println!("{} {}", from.ip(), String::from_utf8_lossy(text)),
        }
    }
}

/// Sends numbers to a group, one after another, and the end.
fn group_send(group: IpAddr, port: u16, count: u32) -> Result<bool> {
    let (any, of_v4): (SocketAddr, bool) = match group {
        IpAddr::V4(_) => (([0; 4], 0).into(), true),
        IpAddr::V6(_) => (([0u16; 8], 0).into(), false),
    };
    let socket = UdpSocket::bind(any).map_err(failed("bind"))?;
    let alone = match of_v4 {
        true => socket.set_multicast_loop_v4(false),
        false => socket.set_multicast_loop_v6(false),
    };
    alone.map_err(failed("keep the group's packets to others"))?;
    let ended = std::iter::once("end".to_owned());
    for text in (0..count).map(|number| number.to_string()).chain(ended) {
        let sent = socket.send_to(text.as_bytes(), (group, port));
        sent.map_err(failed("send"))?;
    }
    Ok(true)
}

/// Every flow sends its number until it is answered with it, at most five times.
fn udp_flows(address: IpAddr, first: u16, ports: u16, sources: u16) -> Result<bool> {
    let any: SocketAddr = if address.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let sockets: Vec<UdpSocket> = (0..sources)
        .map(|_| UdpSocket::bind(any))
        .collect::<std::io::Result<_>>()
        .map_err(failed("bind"))?;
    let mut missing: Vec<(usize, u16)> = (0..sockets.len())
        .flat_map(|source| (0..ports).map(move |port| (source, port)))
        .collect();
    let flows = missing.len();
    for _ in 0..5 {
        for burst in missing.chunks(256) {
            for (source, port) in burst {
                if let Some(socket) = sockets.get(*source) {
                    let _ = socket.send_to(&flow_number(*source, *port), (address, first + port));
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(300));
        let answered = answered(&sockets, first);
        missing.retain(|flow| !answered.contains(flow));
        if missing.is_empty() {
            break;
        }
    }
    println!("flows {flows} answered {}", flows - missing.len());
    Ok(missing.is_empty())
}

fn flow_number(source: usize, port: u16) -> [u8; 4] {
    ((source as u32) << 16 | u32::from(port)).to_be_bytes()
}

/// The flows whose own number came back from the port it was sent to.
fn answered(sockets: &[UdpSocket], first: u16) -> std::collections::HashSet<(usize, u16)> {
    let mut flows = std::collections::HashSet::new();
    let mut buffer = [0; 64];
    for (source, socket) in sockets.iter().enumerate() {
        if socket.set_nonblocking(true).is_err() {
            continue;
        }
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let port = from.port().wrapping_sub(first);
            if buffer.get(..length) == Some(&flow_number(source, port)) {
                flows.insert((source, port));
            }
        }
    }
    flows
}

fn tcp_sink(address: SocketAddr) -> Result<bool> {
    let listener = TcpListener::bind(address).map_err(failed("listen"))?;
    println!("ready");
    let (mut stream, _) = listener.accept().map_err(failed("accept"))?;
    let (mut hasher, mut bytes, mut buffer) = (DefaultHasher::new(), 0, vec![0; 1 << 18]);
    let start = Instant::now();
    loop {
        let length = stream.read(&mut buffer).map_err(failed("receive"))?;
        let Some(received) = buffer.get(..length).filter(|received| !received.is_empty()) else {
            break;
        };
        hasher.write(received);
        bytes += length as u64;
    }
    report(bytes, &hasher, start);
    Ok(true)
}

fn tcp_source(address: SocketAddr, bytes: u64, seed: u64) -> Result<bool> {
    let mut stream =
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(failed("connect"))?;
    let (mut hasher, mut random, mut block) =
        (DefaultHasher::new(), Xorshift::new(seed), vec![0; 1 << 18]);
    let start = Instant::now();
    let mut left = bytes;
    while left > 0 {
        random.fill(&mut block);
        let length = left.min(block.len() as u64);
        let piece = block.get(..length as usize).unwrap_or(&[]);
        hasher.write(piece);
        stream.write_all(piece).map_err(failed("send"))?;
        left -= length;
    }
    stream
        .shutdown(std::net::Shutdown::Write)
        .map_err(failed("finish"))?;
    // The other end closes when it has read all: until then the transfer is not over.
    let rest = stream.read(&mut [0]).map_err(failed("wait for the end"))?;
    report(bytes, &hasher, start);
    Ok(rest == 0)
}

/// `bytes 1073741824 hash 0123456789abcdef mbit/s 1234`
fn report(bytes: u64, hasher: &DefaultHasher, start: Instant) {
    let rate = bytes as f64 * 8.0 / 1e6 / start.elapsed().as_secs_f64();
    println!(
        "bytes {bytes} hash {:016x} mbit/s {rate:.0}",
        hasher.finish()
    );
}

fn tcp_echo(address: SocketAddr) -> Result<bool> {
    let listener = TcpListener::bind(address).map_err(failed("listen"))?;
    println!("ready");
    for stream in listener.incoming() {
        let mut stream = stream.map_err(failed("accept"))?;
        println!("peer {}", stream.peer_addr().map_err(failed("accept"))?);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if buffer
                    .get(..length)
                    .is_none_or(|bytes| stream.write_all(bytes).is_err())
                {
                    break;
                }
            }
        });
    }
    Ok(false)
}

fn tcp_flows(address: SocketAddr, connections: u32) -> Result<bool> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(
            TcpStream::connect_timeout(&address, Duration::from_secs(5))
                .map_err(failed("connect"))?,
        );
    }
    let mut echoed = 0;
    for (n, stream) in (0u32..).zip(&mut streams) {
        stream.write_all(&n.to_be_bytes()).map_err(failed("send"))?;
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .map_err(failed("set a time limit"))?;
        let mut back = [0; 4];
        stream.read_exact(&mut back).map_err(failed("receive"))?;
        echoed += u32::from(back == n.to_be_bytes());
    }
    println!("connections {connections} echoed {echoed}");
    Ok(echoed == connections)
}

/// Counts aloud: `1`, `2`, ... as each comes back. Ends well when the other end closes, badly when the connection breaks.
fn tcp_talk(address: SocketAddr) -> Result<bool> {
    let mut stream =
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(failed("connect"))?;
    stream
        .set_nodelay(true)
        .map_err(failed("send without delay"))?;
    println!("local {}", stream.local_addr().map_err(failed("connect"))?);
    println!("ready");
    for n in 1u64.. {
        stream.write_all(&n.to_be_bytes()).map_err(failed("send"))?;
        let mut back = [0; 8];
        match stream.read_exact(&mut back) {
            Ok(()) if back == n.to_be_bytes() => println!("{n}"),
            Ok(()) => return Ok(false),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(failed("receive")(e)),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

/// At most ten times: those that are too long for the way are lost, and their sender learns of it.
fn udp_large(address: SocketAddr, bytes: u16) -> Result<bool> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).map_err(failed("bind"))?;
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .map_err(failed("set a time limit"))?;
    let mut datagram = vec![0; usize::from(bytes)];
    Xorshift::new(bytes.into()).fill(&mut datagram);
    let mut buffer = vec![0; 65_536];
    for _ in 0..10 {
        // Refused while it is known to be too long, or because an error has come.
        let _ = socket.send_to(&datagram, address);
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && from == address
            && buffer.get(..length) == Some(&datagram)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn frames(link: &str) -> Result<bool> {
    let socket = PacketSocket::open(link)?;
    for line in std::io::stdin().lock().lines() {
        socket.send(&hex(&line.map_err(failed("read standard input"))?)?)?;
    }
    Ok(true)
}

fn hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    let bytes = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16));
    bytes
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(format!("read the bytes `{text}`"), e))
}

/// A prefix that begins like something a parser knows lets the noise get further than the ethertype.
fn noise(link: &str, count: u32, seed: u64, prefix: &[u8]) -> Result<bool> {
    let socket = PacketSocket::open(link)?;
    let mut random = Xorshift::new(seed);
    let mut refused = 0;
    for _ in 0..count {
        let mut frame = prefix.to_vec();
        // At least an Ethernet header, or the kernel refuses it.
        let length = prefix.len().max(14) + (random.next() % 1300) as usize;
        frame.resize(length, 0);
        random.fill(frame.get_mut(prefix.len()..).unwrap_or_default());
        refused += u32::from(socket.send(&frame).is_err());
    }
    println!("frames {count} refused {refused}");
    Ok(refused == 0)
}

/// Marsaglia's xorshift64: cheap, and the same from the same seed.
struct Xorshift(u64);

impl Xorshift {
    fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            piece.copy_from_slice(word.get(..piece.len()).unwrap_or(&[]));
        }
    }
}
