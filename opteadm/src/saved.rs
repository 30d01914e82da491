//! A port in a file: its configuration and its flows.
//!
//! | octets | what |
//! |---|---|
//! | 8 | `OPTEPORT` |
//! | 4 | the version of this form, 1 |
//! | 4 | octets of the configuration |
//! | 8 | a sum over the octets before and the configuration (FNV-1a) |
//! | … | the configuration, [`ConfigItem`]s as JSON |
//! | … | pages of saved state, as [`opte::port::Port::save`] makes them, to the end |
//!
//! Numbers are in little-endian order.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use opte::api::{PausePortReq, RestorePortReq, RestorePortResp, SavePortReq, StartPortReq};
use opte::port::RestoreError;
use opte::port::saved::{PAGE_HEADER, check_page, page_len};
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, BatchStep, ConfigItem,
    CreateXdeReq, DeleteXdeReq, McastSubscribeReq, SetExternalIpsReq, SetMeterReq, SetPeersReq,
    SetPortOptionsReq,
};

use crate::{Client, Error};

/// Why a port was not saved in a file or restored of one.
#[derive(Debug)]
pub enum SavedError {
    /// The file could not be read or written.
    File(io::Error),
    /// The file is no saved port.
    NotSaved,
    /// The file is of another version of its form.
    Version {
        /// The file's.
        found: u32,
        /// The one that can be read.
        supported: u32,
    },
    /// The file ends before its end.
    Truncated,
    /// The file is not as it was saved.
    Corrupt,
    /// The configuration is of another form than this program knows.
    Config(serde_json::Error),
    /// A page is not as it was saved.
    Page(RestoreError),
    /// The port is on a LAN: it is moved by its addresses there, and has none on the underlay.
    OnLan(String),
    /// The driver has no such port, or one without an engine.
    NoPort(String),
    /// The driver did not do it.
    Client(Error),
}

impl fmt::Display for SavedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::NotSaved => f.write_str("this is no saved port"),
            Self::Version { found, supported } => write!(
                f,
                "the file is of version {found}, version {supported} can be read"
            ),
            Self::Truncated => f.write_str("the file ends before its end"),
            Self::Corrupt => f.write_str("the file is not as it was saved"),
            Self::Config(error) => write!(f, "the configuration cannot be read: {error}"),
            Self::Page(error) => error.fmt(f),
            Self::OnLan(port) => write!(
                f,
                "port '{port}' is on a LAN and has no underlay address that could be another"
            ),
            Self::NoPort(port) => write!(f, "port '{port}' not found"),
            Self::Client(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SavedError {}

impl From<Error> for SavedError {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for SavedError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::File(error),
        }
    }
}

impl Client {
    /// Saves a port in a file, which is there whole or not at all. The port is paused meanwhile, and running again afterwards if it
    /// was before; with `stay_paused` it stays as it was saved.
    pub fn save_port(
        &mut self,
        port: &str,
        file: &Path,
        stay_paused: bool,
    ) -> Result<(), SavedError> {
        let was_running = self.is_running(port)?;
        let port_name = || port.to_owned();
        if was_running {
            self.call(&PausePortReq {
                port_name: port_name(),
            })?;
        }
        let saved = self.write_port(port, file);
        if was_running && (saved.is_err() || !stay_paused) {
            self.call(&StartPortReq {
                port_name: port_name(),
            })?;
        }
        saved
    }

    /// Creates the port that a file has, with all that was configured on it and its flows; with `stay_paused` it does not pass packets
    /// until it is started. If that fails, there is no such port. A guest that has moved is on another host than the file says: `host` is
    /// then its underlay address.
    pub fn restore_port(
        &mut self,
        file: &Path,
        stay_paused: bool,
        host: Option<Ipv6Addr>,
    ) -> Result<RestorePortResp, SavedError> {
        let mut config = SavedPort::open(file)?.check()?;
        if let Some(host) = host {
            config.iter_mut().try_for_each(|item| move_to(host, item))?;
        }
        let (port_name, steps) = steps_of(config)?;
        self.run_batch(&steps, None)?;
        let restored = self.restore_flows(file, &port_name);
        let started = restored.and_then(|so_far| {
            if !stay_paused {
                let port_name = port_name.clone();
                self.call(&StartPortReq { port_name })?;
            }
            Ok(so_far)
        });
        if started.is_err() {
            // What failed is what is to be told.
            let _ = self.call(&DeleteXdeReq { name: port_name });
        }
        started
    }

    fn is_running(&mut self, port: &str) -> Result<bool, SavedError> {
        let ports = self.list_ports()?;
        let found = ports.iter().find(|listed| listed.name == port);
        found
            .map(|listed| listed.state == "running")
            .ok_or_else(|| SavedError::NoPort(port.into()))
    }

    fn write_port(&mut self, port: &str, file: &Path) -> Result<(), SavedError> {
        let (_, items) = self.dump_config_items()?;
        let config = items.into_iter();
        let config: Vec<ConfigItem> = config.filter(|item| is_of(item, port)).collect();
        let mut draft = Draft::create(file)?;
        draft.write_config(&config)?;
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let resp = self.call(&SavePortReq {
                port_name: port.into(),
                cursor: from,
                limit: PAGE,
            })?;
            draft.out.write_all(&resp.page)?;
            cursor = resp.next;
        }
        draft.finish(file)
    }

    fn restore_flows(
        &mut self,
        file: &Path,
        port_name: &str,
    ) -> Result<RestorePortResp, SavedError> {
        let mut saved = SavedPort::open(file)?;
        let mut so_far = RestorePortResp::default();
        while let Some(page) = saved.page()? {
            so_far = self.call(&RestorePortReq {
                port_name: port_name.into(),
                page,
            })?;
        }
        match so_far.complete {
            true => Ok(so_far),
            false => Err(SavedError::Truncated),
        }
    }
}

/// Octets of a page that are asked for.
const PAGE: u32 = 1 << 18;

/// The longest page that is believed: what a request can carry.
const MAX_PAGE: usize = 1 << 20;

/// The longest configuration that is believed.
const MAX_CONFIG: u32 = 1 << 30;

const MAGIC: [u8; 8] = *b"OPTEPORT";
const VERSION: u32 = 1;

fn is_of(item: &ConfigItem, port: &str) -> bool {
    match item {
        ConfigItem::Port(request) => request.name == port,
        ConfigItem::LanPort(request) => request.name == port,
        ConfigItem::InternetGateways { port_name, .. }
        | ConfigItem::FwRule { port_name, .. }
        | ConfigItem::Peers { port_name, .. }
        | ConfigItem::Meter { port_name, .. }
        | ConfigItem::Options { port_name, .. }
        | ConfigItem::Transit { port_name, .. }
        | ConfigItem::Subnet { port_name, .. }
        | ConfigItem::Route { port_name, .. } => port_name == port,
        ConfigItem::McastSubscription(subscription) => subscription.port_name == port,
        ConfigItem::Underlay { .. }
        | ConfigItem::Virt2Phys(_)
        | ConfigItem::Virt2Boundary(_)
        | ConfigItem::Mcast2Phys(_)
        | ConfigItem::McastForwarding(_) => false,
    }
}

fn move_to(host: Ipv6Addr, item: &mut ConfigItem) -> Result<(), SavedError> {
    match item {
        ConfigItem::Port(request) => request.cfg.phys_ip = host,
        ConfigItem::LanPort(request) => return Err(SavedError::OnLan(request.name.clone())),
        _ => {}
    }
    Ok(())
}

/// The steps that make a port as it was, paused, and its name.
fn steps_of(config: Vec<ConfigItem>) -> Result<(String, Vec<BatchStep>), SavedError> {
    let mut steps: Vec<BatchStep> = Vec::new();
    let mut port: Option<CreateXdeReq> = None;
    let mut lan_port: Option<String> = None;
    for item in config {
        match item {
            ConfigItem::Port(request) if port.is_none() => {
                steps.insert(0, (*request).clone().into());
                port = Some(*request);
            }
            ConfigItem::LanPort(request) if steps.is_empty() => {
                lan_port = Some(request.name.clone());
                steps.push((*request).into());
            }
            ConfigItem::InternetGateways { port_name, map } => {
                let cfg = port.as_ref().map(|port| &port.cfg);
                let v4 = cfg.and_then(|cfg| cfg.ipv4()).map(|v4| &v4.external_ips);
                let v6 = cfg.and_then(|cfg| cfg.ipv6()).map(|v6| &v6.external_ips);
                let step = SetExternalIpsReq {
                    port_name,
                    external_ips_v4: v4.cloned(),
                    external_ips_v6: v6.cloned(),
                    inet_gw_map: Some(map),
                };
                steps.push(step.into());
            }
            ConfigItem::FwRule {
                port_name, rule, ..
            } => steps.push(AddFwRuleReq { port_name, rule }.into()),
            ConfigItem::Route { port_name, entry } => {
                steps.push(AddRouterEntryReq { port_name, entry }.into());
            }
            ConfigItem::Peers { port_name, peers } => {
                steps.push(SetPeersReq { port_name, peers }.into());
            }
            ConfigItem::Meter {
                port_name,
                dir,
                limits,
            } => steps.push(
                SetMeterReq {
                    port_name,
                    dir,
                    limits,
                }
                .into(),
            ),
            ConfigItem::Options { port_name, options } => {
                steps.push(SetPortOptionsReq { port_name, options }.into());
            }
            ConfigItem::Transit { port_name, transit } => {
                steps.push(AllowCidrReq { port_name, transit }.into());
            }
            ConfigItem::Subnet { port_name, subnet } => {
                steps.push(AttachSubnetReq { port_name, subnet }.into());
            }
            // The host must know the group.
            ConfigItem::McastSubscription(subscription) => steps.push(
                McastSubscribeReq {
                    port_name: subscription.port_name,
                    group: subscription.group,
                    filter: subscription.filter,
                }
                .into(),
            ),
            ConfigItem::Port(_)
            | ConfigItem::LanPort(_)
            | ConfigItem::Underlay { .. }
            | ConfigItem::Mcast2Phys(_)
            | ConfigItem::McastForwarding(_)
            | ConfigItem::Virt2Phys(_)
            | ConfigItem::Virt2Boundary(_) => return Err(SavedError::Corrupt),
        }
    }
    let name = port.map(|port| port.name).or(lan_port);
    let name = name.ok_or(SavedError::Corrupt)?;
    let port_name = name.clone();
    steps.push(PausePortReq { port_name }.into());
    Ok((name, steps))
}

/// FNV-1a.
fn sum(parts: [&[u8]; 2]) -> u64 {
    let octets = parts.into_iter().flatten();
    octets.fold(0xcbf2_9ce4_8422_2325, |sum, octet| {
        (sum ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A file in the making, beside the one that it is to be. Taken away again unless it is finished.
struct Draft {
    path: PathBuf,
    out: BufWriter<File>,
    finished: bool,
}

impl Draft {
    fn create(file: &Path) -> Result<Self, SavedError> {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = PathBuf::from(name);
        let mut options = File::options();
        options.write(true).create_new(true);
        // Who reads it learns whom the guest talks to.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let out = BufWriter::new(options.open(&path)?);
        Ok(Self {
            path,
            out,
            finished: false,
        })
    }

    fn write_config(&mut self, config: &[ConfigItem]) -> Result<(), SavedError> {
        let config = serde_json::to_vec(config).map_err(SavedError::Config)?;
        let length = u32::try_from(config.len()).map_err(|_| SavedError::Corrupt)?;
        let mut head = [0; 16];
        let octets = MAGIC.into_iter().chain(VERSION.to_le_bytes());
        let octets = octets.chain(length.to_le_bytes());
        head.iter_mut()
            .zip(octets)
            .for_each(|(to, from)| *to = from);
        self.out.write_all(&head)?;
        let sum = sum([&head, &config]);
        self.out.write_all(&sum.to_le_bytes())?;
        Ok(self.out.write_all(&config)?)
    }

    fn finish(mut self, file: &Path) -> Result<(), SavedError> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.path, file)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that is being read.
struct SavedPort {
    from: BufReader<File>,
    config: Vec<ConfigItem>,
}

impl SavedPort {
    /// Reads as far as the first page.
    fn open(file: &Path) -> Result<Self, SavedError> {
        let mut from = BufReader::new(File::open(file)?);
        let mut head = [0; 16];
        from.read_exact(&mut head)?;
        let (magic, rest) = head.split_first_chunk().ok_or(SavedError::NotSaved)?;
        if *magic != MAGIC {
            return Err(SavedError::NotSaved);
        }
        let (version, length) = rest.split_first_chunk().ok_or(SavedError::NotSaved)?;
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(SavedError::Version {
                found,
                supported: VERSION,
            });
        }
        let length = length
            .first_chunk()
            .map(|length| u32::from_le_bytes(*length));
        let length = length.filter(|length| *length <= MAX_CONFIG);
        let length = length.ok_or(SavedError::Corrupt)?;
        let mut expected = [0; 8];
        from.read_exact(&mut expected)?;
        let mut config = Vec::new();
        let read = from.by_ref().take(length.into()).read_to_end(&mut config)?;
        if read as u64 != u64::from(length) {
            return Err(SavedError::Truncated);
        }
        if sum([&head, &config]) != u64::from_le_bytes(expected) {
            return Err(SavedError::Corrupt);
        }
        let config = serde_json::from_slice(&config).map_err(SavedError::Config)?;
        Ok(Self { from, config })
    }

    /// The configuration, if all pages are as they were saved.
    fn check(mut self) -> Result<Vec<ConfigItem>, SavedError> {
        let (mut number, mut ended) = (0, false);
        while let Some(page) = self.page()? {
            if ended {
                return Err(SavedError::Corrupt);
            }
            ended = check_page(number, &page).map_err(SavedError::Page)?;
            number += 1;
        }
        match ended {
            true => Ok(self.config),
            false => Err(SavedError::Truncated),
        }
    }

    /// The next page; `None` at the end of the file.
    fn page(&mut self) -> Result<Option<Vec<u8>>, SavedError> {
        let mut page = Vec::new();
        let head = PAGE_HEADER as u64;
        if self.from.by_ref().take(head).read_to_end(&mut page)? == 0 {
            return Ok(None);
        }
        let length = page_len(&page).map_err(SavedError::Page)?;
        let rest = length.saturating_sub(PAGE_HEADER);
        if length > MAX_PAGE {
            return Err(SavedError::Corrupt);
        }
        let read = self
            .from
            .by_ref()
            .take(rest as u64)
            .read_to_end(&mut page)?;
        match read == rest {
            true => Ok(Some(page)),
            false => Err(SavedError::Truncated),
        }
    }
}
