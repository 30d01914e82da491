use std::sync::atomic::AtomicU32;

use opte::api::frame::{
    FLAG_ERROR, FLAG_KEPT, MAX_RESPONSE, RESPONSE_HEADER_LEN, ResponseHeader, encode_request,
};
use opte::api::{DumpUftReq, DumpUftResp, ListLayersReq, Page};
use oxide_vpc::api::{API_VERSION, AddFwRuleReq};
use zerocopy::{FromBytes, IntoBytes};

use super::*;
use crate::command::tests::Recorder;

/// A directory of its own for each case, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "xde-control-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }

    fn socket(&self) -> PathBuf {
        self.0.join("xde.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LIMITS: Limits = Limits {
    clients: 4,
    idle: Duration::from_secs(10),
    transfer: Duration::from_millis(300),
};

fn serve(directory: &Directory) -> (ControlServer, Arc<Recorder>) {
    let control = Arc::new(Recorder::with_flows(100));
    let server = ControlServer::bind(directory.socket(), 7, control.clone(), LIMITS).unwrap();
    (server, control)
}

fn header(sequence: u64) -> RequestHeader {
    RequestHeader {
        api_version: API_VERSION.into(),
        client: 1.into(),
        sequence: sequence.into(),
        response_max: MAX_RESPONSE.into(),
        ..RequestHeader::default()
    }
}

fn dump(sequence: u64) -> Vec<u8> {
    let request = DumpUftReq {
        port_name: "opte0".into(),
        page: Page::FIRST,
        filter: opte::api::FlowFilter::ALL,
    };
    encode_request(header(sequence), &request).unwrap()
}

fn receive(mut stream: &UnixStream) -> (ResponseHeader, Vec<u8>) {
    let mut head = [0; RESPONSE_HEADER_LEN];
    stream.read_exact(&mut head).unwrap();
    let head = ResponseHeader::read_from_bytes(&head).unwrap();
    let mut body = vec![0; head.body_len.get() as usize];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

fn receive_error(stream: &UnixStream) -> OpteError {
    let (head, body) = receive(stream);
    assert_eq!(head.flags.get() & FLAG_ERROR, FLAG_ERROR);
    postcard::from_bytes(&body).unwrap()
}

fn assert_serves(path: &Path) {
    let stream = UnixStream::connect(path).unwrap();
    (&stream).write_all(&dump(1)).unwrap();
    let (_, body) = receive(&stream);
    assert_eq!(
        postcard::from_bytes::<DumpUftResp>(&body)
            .unwrap()
            .flows
            .len(),
        100
    );
}

#[test]
fn clients_are_answered_over_one_connection_and_over_many() {
    let directory = Directory::new();
    let (_server, control) = serve(&directory);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let stream = UnixStream::connect(directory.socket()).unwrap();
                for sequence in 0..50 {
                    (&stream).write_all(&dump(sequence)).unwrap();
                    let (head, body) = receive(&stream);
                    assert_eq!((head.sequence.get(), head.instance.get()), (sequence, 7));
                    assert_eq!(
                        postcard::from_bytes::<DumpUftResp>(&body)
                            .unwrap()
                            .flows
                            .len(),
                        100
                    );
                }
            });
        }
    });
    assert_eq!(control.calls(), 200);
}

#[test]
fn a_retry_over_a_new_connection_is_not_done_again() {
    let directory = Directory::new();
    let (_server, control) = serve(&directory);
    let rule = "dir=in action=allow priority=1".parse().unwrap();
    let request = encode_request(
        header(9),
        &AddFwRuleReq {
            port_name: "opte0".into(),
            rule,
        },
    )
    .unwrap();
    for kept in [0, FLAG_KEPT, FLAG_KEPT] {
        let stream = UnixStream::connect(directory.socket()).unwrap();
        (&stream).write_all(&request).unwrap();
        assert_eq!(receive(&stream).0.flags.get(), kept);
    }
    assert_eq!(control.calls(), 1);
}

#[test]
fn garbage_is_told_so_and_the_next_client_is_served() {
    let directory = Directory::new();
    let (_server, _) = serve(&directory);
    // Short, as long as a header, and far more than a request may be.
    for length in [5, REQUEST_HEADER_LEN, 4 << 20] {
        let stream = UnixStream::connect(directory.socket()).unwrap();
        // The server may have let go before it has taken all.
        let _ = (&stream).write_all(&vec![0xa5; length]);
        assert_eq!(
            receive_error(&stream),
            OpteError::BadMagic { found: 0xa5a5_a5a5 }
        );
    }
    assert_serves(&directory.socket());
}

#[test]
fn a_length_beyond_the_bound_is_refused_at_once() {
    let directory = Directory::new();
    let (_server, _) = serve(&directory);
    let stream = UnixStream::connect(directory.socket()).unwrap();
    let head = RequestHeader {
        magic: MAGIC.into(),
        body_len: u32::MAX.into(),
        ..header(1)
    };
    (&stream).write_all(head.as_bytes()).unwrap();
    assert!(
        matches!(receive_error(&stream), OpteError::RequestTooLarge { length, .. } if length == u64::from(u32::MAX))
    );
    assert_serves(&directory.socket());
}

#[test]
fn a_request_cut_off_is_told_so() {
    let directory = Directory::new();
    let (_server, _) = serve(&directory);
    let request = dump(1);
    for length in [1, 10, REQUEST_HEADER_LEN, request.len() - 1] {
        let stream = UnixStream::connect(directory.socket()).unwrap();
        (&stream).write_all(&request[..length]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(
            matches!(receive_error(&stream), OpteError::RequestTruncated { .. }),
            "{length}"
        );
    }
    assert_serves(&directory.socket());
}

#[test]
fn a_client_that_stops_in_a_request_is_let_go() {
    let directory = Directory::new();
    let (_server, _) = serve(&directory);
    let request = dump(1);
    for (length, needed, available) in
        [(2, 56, 2), (20, 56, 20), (58, request.len() as u64 - 56, 2)]
    {
        let started = Instant::now();
        let stream = UnixStream::connect(directory.socket()).unwrap();
        (&stream).write_all(&request[..length]).unwrap();
        assert_eq!(
            receive_error(&stream),
            OpteError::RequestTruncated { needed, available }
        );
        assert!(started.elapsed() < LIMITS.idle);
    }
}

#[test]
fn the_number_of_clients_is_bounded() {
    let directory = Directory::new();
    let (_server, _) = serve(&directory);
    let mut silent: Vec<_> = (0..LIMITS.clients)
        .map(|_| UnixStream::connect(directory.socket()).unwrap())
        .collect();
    let refused = UnixStream::connect(directory.socket()).unwrap();
    assert_eq!(
        receive_error(&refused).to_string(),
        "the list of clients is full: it holds 4"
    );
    // A place is free again some time after a client has gone.
    silent.clear();
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        let stream = UnixStream::connect(directory.socket()).unwrap();
        let _ = (&stream).write_all(&dump(1));
        if receive(&stream).0.flags.get() == 0 {
            break;
        }
        assert!(Instant::now() < patience);
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_wrong_body_leaves_the_connection_usable() {
    let directory = Directory::new();
    let (_server, _) = serve(&directory);
    let stream = UnixStream::connect(directory.socket()).unwrap();
    let mut wrong = encode_request(
        header(1),
        &ListLayersReq {
            port_name: "opte0".into(),
        },
    )
    .unwrap();
    *wrong.last_mut().unwrap() = 0xff;
    (&stream).write_all(&wrong).unwrap();
    assert!(matches!(
        receive_error(&stream),
        OpteError::MalformedRequest { .. }
    ));
    (&stream).write_all(&dump(2)).unwrap();
    assert_eq!(receive(&stream).0.flags.get(), 0);
}

#[test]
fn the_socket_goes_with_the_server_and_clients_are_let_go() {
    let directory = Directory::new();
    let (server, _) = serve(&directory);
    let stream = UnixStream::connect(directory.socket()).unwrap();
    (&stream).write_all(&dump(1)).unwrap();
    receive(&stream);
    drop(server);
    assert!(!directory.socket().exists());
    assert_eq!((&stream).read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
    let directory = Directory::new();
    fs::create_dir(&directory.0).unwrap();
    drop(UnixListener::bind(directory.socket()).unwrap());
    assert!(directory.socket().exists());
    let (server, control) = serve(&directory);
    assert_serves(&directory.socket());

    let second = ControlServer::bind(directory.socket(), 8, control.clone(), LIMITS);
    assert!(matches!(second, Err(ControlError::InUse { .. })));
    assert_serves(&directory.socket());
    drop(server);

    fs::write(directory.socket(), "mine").unwrap();
    let third = ControlServer::bind(directory.socket(), 8, control, LIMITS);
    assert_eq!(
        third.unwrap_err().to_string(),
        format!("{} is there and is no socket", directory.socket().display())
    );
    assert_eq!(fs::read(directory.socket()).unwrap(), b"mine");
}

#[test]
fn a_socket_of_somebody_else_is_not_removed() {
    let directory = Directory::new();
    let (server, _) = serve(&directory);
    fs::remove_file(directory.socket()).unwrap();
    let _other = UnixListener::bind(directory.socket()).unwrap();
    drop(server);
    assert!(directory.socket().exists());
}

#[test]
fn root_and_the_driver_s_user_may_command() {
    for (uid, driver, may) in [
        (0, 0, true),
        (0, 1000, true),
        (1000, 1000, true),
        (1000, 0, false),
        (1001, 1000, false),
    ] {
        assert_eq!(may_command(uid, driver), may);
    }
}
