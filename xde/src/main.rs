//! The Linux host driver.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use nix::unistd::User;
use opte::provider::Random as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::filter::LevelFilter;
use xde::Driver;
use xde::linux::control::{ControlServer, Limits};
use xde::linux::datapath::{DataPath, Orders};
use xde::linux::huge_pages::{self, HugePages};
use xde::linux::platform::{Linux, SystemRandom};

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// A virtual switch for the guests of this host. Runs until it gets SIGTERM or SIGINT; programmed by `opteadm`.
#[derive(Debug, Parser)]
#[command(name = "xde", version)]
struct Arguments {
    /// Where commands come in.
    #[arg(
        long,
        env = "XDE_SOCKET",
        value_name = "PATH",
        default_value = "/run/xde/xde.sock"
    )]
    socket: PathBuf,
    /// Pass the frames of every port on as they are, without the engine.
    #[arg(long)]
    passthrough: bool,
    /// Who may open the TAP links of ports, beside those who may configure the network: the user that virtual machine monitors run as, by
    /// name or number. The driver's own user if not given.
    #[arg(long, value_name = "USER", value_parser = user)]
    tap_owner: Option<u32>,
    /// Have the flow tables of ports in huge pages: for hosts with hundreds of thousands of flows a port. A port then takes some megabytes
    /// from its first flow on.
    #[arg(long, env = "XDE_HUGE_PAGES")]
    huge_pages: bool,
    /// How much to tell on standard error: error, warn, info, debug, trace or off.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.huge_pages {
        huge_pages::ask();
    }
    tracing_subscriber::fmt()
        .with_max_level(arguments.log)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything is made: a signal that comes early must not leave it behind.
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let orders = Arc::new(Orders::new()?);
    let mut platform = Linux::new(Arc::clone(&orders))?;
    if let Some(user) = arguments.tap_owner {
        platform = platform.with_tap_owner(user);
    }
    let driver = Arc::new(Driver::new(platform, arguments.passthrough));
    let data_path = DataPath::start(Arc::clone(&driver), orders)?;
    if let Some(directory) = arguments.socket.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let instance = SystemRandom::open()?.next_u64();
    let control = Arc::clone(&driver) as Arc<_>;
    let server = ControlServer::bind(&arguments.socket, instance, control, Limits::default())?;
    tracing::info!(socket = %arguments.socket.display(), "ready");

    let signal = signals.forever().next();
    tracing::info!(signal, "ending");
    drop(server);
    driver.shut_down();
    drop(data_path);
    Ok(())
}

/// The number of a user, given by name or number.
fn user(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(String::from("there is no such user")),
        Err(error) => Err(error.to_string()),
    }
}
