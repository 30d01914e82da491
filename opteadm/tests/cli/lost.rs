//! A driver that is not there, ends, or is another one.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::thread;

use crate::driver::Host;
use opte::api::ClearUftReq;
use opte::api::frame::{FLAG_ERROR, MAGIC, ResponseHeader};
use opteadm::{Client, Error};
use oxide_vpc::api::{API_VERSION, DeleteXdeReq};
use zerocopy::IntoBytes;

#[test]
fn a_driver_that_is_not_there() {
    let mut host = Host::new();
    let socket = host.socket();
    host.stop();
    assert_eq!(
        host.complaint("list-ports"),
        format!(
            "xde is not running: there is no socket {}",
            socket.display()
        )
    );
    // As a killed driver leaves it.
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(
        host.complaint("list-ports"),
        format!(
            "xde is not running: it left {} behind, killed or crashed",
            socket.display()
        )
    );
}

#[test]
fn a_driver_that_ends_or_is_restarted_between_two_requests() {
    let mut host = Host::with_port();
    let mut client = Client::connect(host.socket()).unwrap();
    assert_eq!(client.list_ports().unwrap().len(), 1);
    host.stop();
    // A change may have been done by the driver that is gone; what only reads has not changed anything.
    let clear = ClearUftReq {
        port_name: "opte0".into(),
    };
    assert!(matches!(client.call(&clear), Err(Error::Gone { .. })));
    assert!(matches!(client.list_ports(), Err(Error::NotRunning { .. })));

    host.start(2);
    let error = client
        .call(&DeleteXdeReq {
            name: "opte0".into(),
        })
        .unwrap_err();
    assert!(matches!(error, Error::Restarted { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "xde at {} was restarted in the midst of DeleteXde; run the command again",
            host.socket().display()
        )
    );
    // Who starts anew talks to the new one.
    assert!(
        Client::connect(host.socket())
            .unwrap()
            .list_ports()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_connection_that_breaks_while_the_driver_lives_is_made_anew() {
    let mut host = Host::with_port();
    let mut client = Client::connect(host.socket()).unwrap();
    client.list_ports().unwrap();
    // The same run of the driver, as far as a client can see, over another connection.
    host.stop();
    host.start(1);
    assert_eq!(client.list_ports().unwrap(), []);
}

#[test]
fn a_driver_that_dies_before_it_answers() {
    let mut host = Host::new();
    host.stop();
    let listener = UnixListener::bind(host.socket()).unwrap();
    let dying = thread::spawn(move || drop(listener.accept().unwrap()));
    assert_eq!(
        host.complaint("clear-uft -p opte0"),
        format!(
            "xde at {} was killed or restarted before it answered ClearUft; whether that was done is not known",
            host.socket().display()
        )
    );
    dying.join().unwrap();
}

#[test]
fn a_driver_of_another_version_and_no_driver_at_all() {
    let mut host = Host::new();
    host.stop();
    let listener = UnixListener::bind(host.socket()).unwrap();
    let other = thread::spawn(move || {
        let header = ResponseHeader {
            magic: MAGIC.into(),
            api_version: 41.into(),
            body_len: 1.into(),
            flags: FLAG_ERROR.into(),
            ..ResponseHeader::default()
        };
        let mut frame = header.as_bytes().to_vec();
        frame.push(0xff);
        for answer in [
            frame.as_slice(),
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 56];
            std::io::Read::read_exact(&mut stream, &mut request).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
    assert_eq!(
        host.complaint("list-ports"),
        format!("API version mismatch: opteadm has {API_VERSION:016x}, xde has 0000000000000029")
    );
    assert_eq!(
        host.complaint("list-ports"),
        format!(
            "what listens at {} is no xde: its answer begins with 0x50545448",
            host.socket().display()
        )
    );
    other.join().unwrap();
}
