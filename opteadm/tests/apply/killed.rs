//! `apply` that is killed on its way: at every request it makes, before the driver has it and before the answer comes back.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use opte::api::frame::{REQUEST_HEADER_LEN, RESPONSE_HEADER_LEN, RequestHeader, ResponseHeader};
use zerocopy::FromBytes;

use crate::{Host, UNDERLAY, everything, port};

#[test]
fn whoever_is_killed_leaves_the_old_or_the_new() {
    let old = format!("{UNDERLAY}{}", port("opte9", 9, "peers = [40]"));
    let (mut point, mut made) = (0, false);
    while !made {
        for answered in [false, true] {
            let host = Host::new();
            host.apply(&old);
            let before = host.export();
            let file = host.file(&everything());
            let between = host.directory.join("between.sock");
            let listener = UnixListener::bind(&between).unwrap();
            let mut child = Command::new(env!("CARGO_BIN_EXE_opteadm"))
                .args(["apply", &file])
                .env("XDE_SOCKET", &between)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let socket = host.directory.join("xde.sock");
            kill_at(&listener, &socket, &mut child, point, answered);
            // What was heard is done before the next is asked, and by itself.
            let after = host.export();
            made = after != before;
            if made {
                // Then it is all of the new, and there is nothing left to do.
                assert_eq!(host.ok(&["apply", &file]), "", "at {point}, {answered}");
                assert!(answered);
            }
        }
        point += 1;
    }
    // The configuration is asked for, the steps are sent, and then they are done.
    assert!(point >= 3, "{point}");
}

/// Kills a client at its request of this number: before the driver gets it, or when it has `answered`, which the client does not see.
fn kill_at(listener: &UnixListener, driver: &Path, child: &mut Child, point: u32, answered: bool) {
    let (mut client, _) = listener.accept().unwrap();
    let mut driver = UnixStream::connect(driver).unwrap();
    for at in 0..=point {
        let mut head = [0; REQUEST_HEADER_LEN];
        client.read_exact(&mut head).unwrap();
        let header = RequestHeader::read_from_bytes(&head).unwrap();
        let request = with_body(&mut client, &head, header.body_len.get());
        if at < point || answered {
            driver.write_all(&request).unwrap();
            let mut head = [0; RESPONSE_HEADER_LEN];
            driver.read_exact(&mut head).unwrap();
            let header = ResponseHeader::read_from_bytes(&head).unwrap();
            let answer = with_body(&mut driver, &head, header.body_len.get());
            if at < point {
                client.write_all(&answer).unwrap();
            }
        }
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

fn with_body(stream: &mut UnixStream, head: &[u8], length: u32) -> Vec<u8> {
    let mut all = head.to_vec();
    all.resize(head.len() + length as usize, 0);
    stream.read_exact(&mut all[head.len()..]).unwrap();
    all
}
