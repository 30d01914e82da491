use std::io::ErrorKind;

use oxide_vpc::api::parse_rules;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/failures.txt");

/// `BLESS=1 cargo test -p opteadm --bin opteadm` writes the messages anew.
#[test]
fn every_failure_has_its_message() {
    let mut said = String::new();
    for failure in failures() {
        said += &format!("{}\n{failure}\n\n", name_of(&failure));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(GOLDEN, &said).unwrap();
    }
    assert_eq!(said, std::fs::read_to_string(GOLDEN).unwrap());
}

fn failures() -> Vec<Failure> {
    let path = || PathBuf::from("host.toml");
    let source = || io::Error::from_raw_os_error(13);
    let not_found = || OpteError::PortNotFound {
        port: "opte9".into(),
    };
    let there = |count: u32| (0..count).map(|n| format!("opte{n}")).collect();
    let of_config = |text: &str| Failure::Config {
        path: path(),
        error: opteadm::config::Config::parse(text).unwrap_err(),
    };
    vec![
        Failure::Argument(OpteError::InvalidArgument {
            name: "arguments".into(),
            reason: "--vpc-vni is missing".into(),
        }),
        Failure::Rules(parse_rules("\n\ndir=in action=allow").unwrap_err()),
        Failure::Input(source()),
        Failure::Client(Error::NotRunning {
            socket: "/run/xde/xde.sock".into(),
            source: ErrorKind::NotFound.into(),
        }),
        Failure::Among {
            error: not_found(),
            there: Vec::new(),
        },
        Failure::Among {
            error: not_found(),
            there: there(2),
        },
        Failure::Among {
            error: not_found(),
            there: there(100),
        },
        Failure::NoPorts("opte9".into()),
        Failure::File {
            path: path(),
            source: source(),
        },
        of_config("\n[[port]]\nname = 7\n"),
        of_config("underlay = [\"a\", \"b\", \"c\"]\n"),
        of_config("{\n\"ports\": []}"),
        Failure::Saved {
            path: "opte0.port".into(),
            error: SavedError::Corrupt,
        },
        Failure::Plan {
            path: path(),
            error: PlanError::Port(not_found()),
        },
        Failure::Declined,
        Failure::Json(serde_json::from_str::<u8>("x").unwrap_err()),
        Failure::Export("a value in a list is null".into()),
        Failure::Output(io::Error::from_raw_os_error(28)),
    ]
}

/// Another variant has no name here, and the test no longer compiles: it wants a sample above.
fn name_of(failure: &Failure) -> &'static str {
    match failure {
        Failure::Argument(_) => "Argument",
        Failure::Rules(_) => "Rules",
        Failure::Input(_) => "Input",
        Failure::Client(_) => "Client",
        Failure::Among { .. } => "Among",
        Failure::NoPorts(_) => "NoPorts",
        Failure::File { .. } => "File",
        Failure::Config { .. } => "Config",
        Failure::Saved { .. } => "Saved",
        Failure::Plan { .. } => "Plan",
        Failure::Declined => "Declined",
        Failure::Json(_) => "Json",
        Failure::Export(_) => "Export",
        Failure::Output(_) => "Output",
    }
}
