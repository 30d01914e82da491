//! Every error of the driver and of the client library, as `opteadm` prints it: `golden/errors.txt`, which
//! `BLESS=1 cargo test -p opteadm --test errors` writes anew.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use opte::Direction;
use opte::api::frame::{FLAG_ERROR, MAGIC, REQUEST_HEADER_LEN, RequestHeader, ResponseHeader};
use opte::api::{BadName, OpteCmd, OpteError};
use opteadm::Error;
use opteadm::config::PlanError;
use opteadm::saved::SavedError;
use oxide_vpc::api::API_VERSION;
use postcard_schema::Schema;
use postcard_schema::schema::DataModelType;
use zerocopy::{FromBytes, IntoBytes};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/errors.txt");

#[test]
fn every_error_has_its_message() {
    let mut said = String::new();
    for (name, line) in of_the_driver() {
        said += &format!("OpteError::{name}\n{line}\n\n");
    }
    for error in of_the_client() {
        said += &format!("Error::{}\n{error}\n\n", name_of(&error));
    }
    for error in of_saved_ports() {
        said += &format!("SavedError::{}\n{error}\n\n", name_of_saved(&error));
    }
    for error in of_plans() {
        said += &format!("PlanError::{}\n{error}\n\n", name_of_plan(&error));
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

/// Each error that a driver can answer, and what is printed of it.
fn of_the_driver() -> Vec<(String, String)> {
    let directory = std::env::temp_dir().join(format!("opteadm-errors-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let socket = directory.join("xde.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let samples = driver_errors();
    let DataModelType::Enum(variants) = OpteError::SCHEMA.ty else {
        panic!("OpteError is no enum");
    };
    for variant in *variants {
        assert!(
            samples
                .iter()
                .any(|sample| name_of_driver_error(sample) == variant.name),
            "an OpteError::{} to show is missing here",
            variant.name
        );
    }
    let lines = samples.into_iter().map(|error| {
        let name = name_of_driver_error(&error);
        (name, printed(&socket, &listener, &error))
    });
    let lines = lines.collect();
    std::fs::remove_dir_all(directory).unwrap();
    lines
}

/// What `opteadm` prints if it is answered this.
fn printed(socket: &Path, listener: &UnixListener, error: &OpteError) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opteadm"));
    command
        .args(["clear-uft", "-p", "opte0"])
        .env("XDE_SOCKET", socket);
    std::thread::scope(|scope| {
        let output = scope.spawn(|| command.output().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let body = postcard::to_allocvec(error).unwrap();
        let mut head = [0; REQUEST_HEADER_LEN];
        stream.read_exact(&mut head).unwrap();
        let request = RequestHeader::read_from_bytes(&head).unwrap();
        let mut rest = vec![0; request.body_len.get() as usize];
        stream.read_exact(&mut rest).unwrap();
        let header = ResponseHeader {
            magic: MAGIC.into(),
            api_version: API_VERSION.into(),
            body_len: (body.len() as u32).into(),
            flags: FLAG_ERROR.into(),
            ..ResponseHeader::default()
        };
        stream
            .write_all(&[header.as_bytes(), &body].concat())
            .unwrap();
        // What there is in the place of what is not is asked for as well: no answer will do.
        if matches!(
            error,
            OpteError::PortNotFound { .. } | OpteError::LayerNotFound { .. }
        ) {
            drop(stream);
            drop(listener.accept().unwrap());
        }
        let output = output.join().unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(1), &[][..])
        );
        let line = String::from_utf8(output.stderr).unwrap();
        let line = line.strip_suffix('\n').unwrap();
        let line = line.strip_prefix("opteadm: ").unwrap();
        assert!(!line.contains('\n'), "{line}");
        line.replace(socket.to_str().unwrap(), "/run/xde/xde.sock")
    })
}

fn name_of_driver_error(error: &OpteError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '{', '(']).next().unwrap().to_owned()
}

fn driver_errors() -> Vec<OpteError> {
    let port = || "opte0".to_owned();
    let route = || {
        (
            "0.0.0.0/0".parse().unwrap(),
            "ig".to_owned(),
            "system".to_owned(),
        )
    };
    let bad_name = |name: &str, reason| OpteError::BadName {
        name: name.into(),
        reason,
    };
    let cidr = "10.5.0.0/16".parse().unwrap();
    let (dest, target, class) = route();
    vec![
        OpteError::BadMagic { found: 0x5054_5448 },
        OpteError::BadApiVersion {
            client: 1,
            driver: 2,
        },
        OpteError::UnknownCommand { code: 9999 },
        OpteError::RequestTruncated {
            needed: 56,
            available: 7,
        },
        OpteError::RequestTooLarge {
            length: 5_000_000,
            max: 4_194_304,
        },
        OpteError::TrailingBytes { count: 3 },
        OpteError::MalformedRequest {
            command: OpteCmd::ClearUft,
            reason: "Hit the end of buffer, expected more data".into(),
        },
        OpteError::RespTooLarge {
            needed: 5_000_000,
            given: 4_194_304,
        },
        OpteError::SerCmdResp {
            command: OpteCmd::ClearUft,
            reason: "no memory".into(),
        },
        OpteError::RequestIdReused { sequence: 7 },
        OpteError::DriverRestarted {
            expected: 1,
            actual: 2,
        },
        OpteError::PermissionDenied { uid: 1000 },
        bad_name("", BadName::Empty),
        bad_name("sixteen-octets12", BadName::TooLong),
        bad_name("a/b\n", BadName::Character),
        OpteError::PortNotFound { port: port() },
        OpteError::PortExists { port: port() },
        OpteError::MacExists {
            port: port(),
            vni: "10".parse().unwrap(),
            mac: "a8:40:25:f0:00:01".parse().unwrap(),
        },
        OpteError::PortCreate {
            port: port(),
            reason: "a layer is there twice".into(),
        },
        OpteError::BadState {
            port: port(),
            state: "paused".into(),
        },
        OpteError::WrongNetwork {
            port: port(),
            network: "lan-nat".into(),
            expected: "oxide-vpc".into(),
        },
        OpteError::StationExists {
            port: port(),
            link: "eth2".into(),
            address: "public_ip 10.0.0.99".into(),
        },
        OpteError::LayerNotFound {
            port: port(),
            layer: "walls".into(),
        },
        OpteError::RuleNotFound {
            layer: "firewall".into(),
            dir: Direction::In,
            id: 7,
        },
        OpteError::BadLayerPos {
            layer: "firewall".into(),
            pos: "before itself".into(),
        },
        OpteError::MaxCapacity {
            what: "the firewall".into(),
            limit: 8192,
        },
        OpteError::InvalidRouterEntry {
            dest,
            target: "ip6=fd00::1".into(),
            reason: "destination and target are of different families".into(),
        },
        OpteError::RouterEntryNotFound {
            dest,
            target: target.clone(),
            class: class.clone(),
        },
        OpteError::RouterEntryExists {
            dest,
            target,
            class,
        },
        OpteError::InvalidIpCfg {
            reason: "private address 10.1.0.11 is not in the subnet 10.0.0.0/24".into(),
        },
        OpteError::InvalidArgument {
            name: "MTU".into(),
            reason: "1000 is less than 1280".into(),
        },
        OpteError::TransitCidrNotFound {
            port: port(),
            cidr,
            dir: None,
        },
        OpteError::TransitCidrNotFound {
            port: port(),
            cidr,
            dir: Some(Direction::Out),
        },
        OpteError::SubnetNotFound { port: port(), cidr },
        OpteError::MappingNotFound {
            what: "10.0.0.9 in VNI 10".into(),
        },
        OpteError::BatchStep {
            step: 4,
            command: OpteCmd::DeleteXde,
            reason: "port 'opte0' not found".into(),
        },
        OpteError::ConfigChanged {
            expected: 7,
            actual: 9,
        },
        OpteError::BatchIncomplete {
            expected: 10,
            actual: 4,
        },
        OpteError::UnderlayNotSet,
        OpteError::UnderlayExists {
            links: "eth0,eth1".into(),
        },
        OpteError::UnderlayInUse { ports: 2 },
        OpteError::LinkNotFound {
            link: "eth9".into(),
        },
        OpteError::System {
            errno: 16,
            message: "cannot create link 'opte0': Device or resource busy".into(),
        },
    ]
}

fn of_the_client() -> Vec<Error> {
    let socket = || PathBuf::from("/run/xde/xde.sock");
    let command = OpteCmd::ClearUft;
    let not_running = |kind: ErrorKind| Error::NotRunning {
        socket: socket(),
        source: kind.into(),
    };
    vec![
        not_running(ErrorKind::NotFound),
        not_running(ErrorKind::ConnectionRefused),
        Error::NotAllowed {
            socket: socket(),
            source: io::Error::from_raw_os_error(13),
        },
        Error::Gone {
            socket: socket(),
            command,
        },
        Error::Restarted {
            socket: socket(),
            command,
        },
        Error::TimedOut {
            socket: socket(),
            command,
        },
        Error::VersionMismatch {
            client: 1,
            driver: 2,
        },
        Error::NotADriver {
            socket: socket(),
            reason: "its answer begins with 0x50545448".into(),
        },
        Error::Io {
            socket: socket(),
            source: io::Error::from_raw_os_error(24),
        },
        Error::KeepsChanging { socket: socket() },
        Error::Refused {
            command,
            error: OpteError::UnderlayNotSet,
        },
    ]
}

/// Another variant has no name here, and the test no longer compiles: it wants a sample above.
fn name_of(error: &Error) -> &'static str {
    match error {
        Error::NotRunning { .. } => "NotRunning",
        Error::NotAllowed { .. } => "NotAllowed",
        Error::Gone { .. } => "Gone",
        Error::Restarted { .. } => "Restarted",
        Error::TimedOut { .. } => "TimedOut",
        Error::VersionMismatch { .. } => "VersionMismatch",
        Error::NotADriver { .. } => "NotADriver",
        Error::Io { .. } => "Io",
        Error::KeepsChanging { .. } => "KeepsChanging",
        Error::Refused { .. } => "Refused",
    }
}

fn of_saved_ports() -> Vec<SavedError> {
    let malformed = serde_json::from_str::<u8>("x").unwrap_err();
    vec![
        SavedError::File(io::Error::from_raw_os_error(2)),
        SavedError::NotSaved,
        SavedError::Version {
            found: 2,
            supported: 1,
        },
        SavedError::Truncated,
        SavedError::Corrupt,
        SavedError::Config(malformed),
        SavedError::Page(opte::port::RestoreError::Corrupt { page: 3 }),
        SavedError::OnLan("opte0".into()),
        SavedError::NoPort("opte0".into()),
        SavedError::Client(Error::Gone {
            socket: "/run/xde/xde.sock".into(),
            command: OpteCmd::SavePort,
        }),
    ]
}

fn name_of_saved(error: &SavedError) -> &'static str {
    match error {
        SavedError::File(_) => "File",
        SavedError::NotSaved => "NotSaved",
        SavedError::Version { .. } => "Version",
        SavedError::Truncated => "Truncated",
        SavedError::Corrupt => "Corrupt",
        SavedError::Config(_) => "Config",
        SavedError::Page(_) => "Page",
        SavedError::OnLan(_) => "OnLan",
        SavedError::NoPort(_) => "NoPort",
        SavedError::Client(_) => "Client",
    }
}

fn of_plans() -> Vec<PlanError> {
    vec![
        PlanError::Fixed {
            port: "opte0".into(),
            parts: "guest-mac A8:40:25:F0:00:01 -> A8:40:25:F0:00:02".into(),
        },
        PlanError::Port(OpteError::InvalidIpCfg {
            reason: "a port needs addresses of IPv4 or IPv6".into(),
        }),
    ]
}

fn name_of_plan(error: &PlanError) -> &'static str {
    match error {
        PlanError::Fixed { .. } => "Fixed",
        PlanError::Port(_) => "Port",
    }
}
