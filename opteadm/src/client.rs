//! A connection to a driver.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opte::api::frame::{
    FLAG_ERROR, MAGIC, MAX_RESPONSE, RESPONSE_HEADER_LEN, RequestHeader, ResponseHeader,
    encode_request,
};
use opte::api::{
    DumpLayerReq, DumpLayerResp, DumpStatsReq, DumpStatsResp, DumpTcpFlowsReq, DumpUftReq,
    DumpUftResp, FlowFilter, NoResp, OpteCmd, OpteError, Page, Request, TcpFlow,
};
use oxide_vpc::api::{
    API_VERSION, BatchStep, ConfigItem, DumpConfigReq, DumpMcast2PhysReq, DumpMcastForwardingReq,
    DumpMcastSubscriptionsReq, DumpVirt2BoundaryReq, DumpVirt2PhysReq, ListPortsReq,
    Mcast2PhysMapping, McastForwarding, McastSubscription, PortInfo, RunBatchReq, StageBatchReq,
    Virt2BoundaryMapping, Virt2PhysMapping,
};
use zerocopy::FromBytes;

use crate::Error;
use crate::config::{Current, Plan};
use crate::pages::{Paged, Pages};

/// Where a driver listens if it was not told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/xde/xde.sock";

/// A client of one run of a driver.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    stream: Option<UnixStream>,
    /// Tells this client from others in the driver's memory of what it has done.
    client: u64,
    sequence: u64,
    /// The run of the driver that answered first; 0 before.
    instance: u64,
}

impl Client {
    /// Connects to the driver that listens at `socket`.
    ///
    /// Errors: [`Error::NotRunning`], [`Error::NotAllowed`], [`Error::Io`].
    pub fn connect(socket: impl AsRef<Path>) -> Result<Self, Error> {
        let socket = socket.as_ref().to_path_buf();
        let stream = Some(open(&socket)?);
        // Keyed at random by the standard library.
        let client = RandomState::new().build_hasher().finish() ^ u64::from(std::process::id());
        Ok(Self {
            socket,
            stream,
            client,
            sequence: 0,
            instance: 0,
        })
    }

    /// Has a command done.
    ///
    /// Errors: any but [`Error::NotAllowed`]; what the driver says against it is [`Error::Refused`].
    pub fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, Error> {
        let refused = |error| Error::Refused {
            command: R::COMMAND,
            error,
        };
        request.validate().map_err(refused)?;
        self.sequence += 1;
        let header = RequestHeader {
            api_version: API_VERSION.into(),
            client: self.client.into(),
            sequence: self.sequence.into(),
            instance: self.instance.into(),
            response_max: MAX_RESPONSE.into(),
            ..RequestHeader::default()
        };
        let frame = encode_request(header, request).map_err(refused)?;
        let (header, body) = self.exchange(R::COMMAND, &frame)?;
        self.read_answer::<R>(&header, &body)
    }

    /// The pages of a listing, one after the other: however long it is, one page of it is in memory.
    ///
    /// Errors: as of [`Client::call`]; so are those of all that follow.
    pub fn pages<R: Paged>(&mut self, request: R) -> Pages<'_, R> {
        Pages::new(self, request)
    }

    /// All ports, by name.
    pub fn list_ports(&mut self) -> Result<Vec<PortInfo>, Error> {
        let mut ports = Vec::new();
        for answer in self.pages(ListPortsReq { page: Page::FIRST }) {
            ports.extend(answer?.ports);
        }
        Ok(ports)
    }

    /// All rules and flows of a layer.
    pub fn dump_layer(&mut self, port: &str, layer: &str) -> Result<DumpLayerResp, Error> {
        let mut whole: Option<DumpLayerResp> = None;
        let request = DumpLayerReq {
            port_name: port.into(),
            name: layer.into(),
            page: Page::FIRST,
            filter: FlowFilter::ALL,
            rule: None,
        };
        for answer in self.pages(request) {
            let answer = answer?;
            match &mut whole {
                None => whole = Some(answer),
                Some(whole) => {
                    whole.rules.extend(answer.rules);
                    whole.flows.extend(answer.flows);
                    whole.next = answer.next;
                }
            }
        }
        whole.ok_or_else(|| self.not_a_driver("it listed no page"))
    }

    /// The whole unified flow table of a port.
    pub fn dump_uft(&mut self, port: &str) -> Result<DumpUftResp, Error> {
        let mut whole = DumpUftResp::default();
        let request = DumpUftReq {
            port_name: port.into(),
            page: Page::FIRST,
            filter: FlowFilter::ALL,
        };
        for answer in self.pages(request) {
            let mut answer = answer?;
            let mut flows = std::mem::take(&mut whole.flows);
            flows.append(&mut answer.flows);
            whole = DumpUftResp { flows, ..answer };
        }
        Ok(whole)
    }

    /// All TCP flows of a port.
    pub fn dump_tcp_flows(&mut self, port: &str) -> Result<Vec<TcpFlow>, Error> {
        let mut flows = Vec::new();
        let request = DumpTcpFlowsReq {
            port_name: port.into(),
            page: Page::FIRST,
            filter: FlowFilter::ALL,
        };
        for answer in self.pages(request) {
            flows.extend(answer?.flows);
        }
        Ok(flows)
    }

    /// Where all guests are.
    pub fn dump_v2p(&mut self) -> Result<Vec<Virt2PhysMapping>, Error> {
        let mut mappings = Vec::new();
        for answer in self.pages(DumpVirt2PhysReq { page: Page::FIRST }) {
            mappings.extend(answer?.mappings);
        }
        Ok(mappings)
    }

    /// The tunnel endpoints of all prefixes.
    pub fn dump_v2b(&mut self) -> Result<Vec<Virt2BoundaryMapping>, Error> {
        let mut mappings = Vec::new();
        for answer in self.pages(DumpVirt2BoundaryReq { page: Page::FIRST }) {
            mappings.extend(answer?.mappings);
        }
        Ok(mappings)
    }

    /// Which group is which on the underlay.
    pub fn dump_m2p(&mut self) -> Result<Vec<Mcast2PhysMapping>, Error> {
        let mut mappings = Vec::new();
        for answer in self.pages(DumpMcast2PhysReq { page: Page::FIRST }) {
            mappings.extend(answer?.mappings);
        }
        Ok(mappings)
    }

    /// The next hops of all underlay groups.
    pub fn dump_mcast_fwd(&mut self) -> Result<Vec<McastForwarding>, Error> {
        let mut entries = Vec::new();
        for answer in self.pages(DumpMcastForwardingReq { page: Page::FIRST }) {
            entries.extend(answer?.entries);
        }
        Ok(entries)
    }

    /// All subscriptions to groups.
    pub fn dump_mcast_subs(&mut self) -> Result<Vec<McastSubscription>, Error> {
        let mut entries = Vec::new();
        for answer in self.pages(DumpMcastSubscriptionsReq { page: Page::FIRST }) {
            entries.extend(answer?.entries);
        }
        Ok(entries)
    }

    /// The counters of the driver, and of one port or of all.
    pub fn dump_stats(&mut self, port: Option<&str>) -> Result<DumpStatsResp, Error> {
        let mut whole = DumpStatsResp::default();
        let request = DumpStatsReq {
            port_name: port.map(Into::into),
            page: Page::FIRST,
        };
        for answer in self.pages(request) {
            let answer = answer?;
            whole.driver = answer.driver;
            whole.ports.extend(answer.ports);
        }
        Ok(whole)
    }

    /// Everything that was configured, of one moment.
    pub fn dump_config(&mut self) -> Result<Current, Error> {
        let (revision, items) = self.dump_config_items()?;
        Ok(Current::new(revision, items))
    }

    /// The same as it is listed, and its revision.
    pub fn dump_config_items(&mut self) -> Result<(u64, Vec<ConfigItem>), Error> {
        // Pages of different revisions are not of one configuration: then from the beginning again.
        for _ in 0..ATTEMPTS {
            let (mut revision, mut torn, mut items) = (None, false, Vec::new());
            for answer in self.pages(DumpConfigReq { page: Page::FIRST }) {
                let answer = answer?;
                torn |= *revision.get_or_insert(answer.revision) != answer.revision;
                if torn {
                    break;
                }
                items.extend(answer.items);
            }
            if let (Some(revision), false) = (revision, torn) {
                return Ok((revision, items));
            }
        }
        Err(Error::KeepsChanging {
            socket: self.socket.clone(),
        })
    }

    /// Makes the configuration what `plan` leads to: all of it, or an error and nothing.
    ///
    /// Errors: [`OpteError::ConfigChanged`] if it is no longer the one that the plan begins at.
    pub fn carry_out(&mut self, plan: &Plan) -> Result<(), Error> {
        self.run_batch(plan.steps(), Some(plan.revision()))
    }

    /// Has all steps done in their order, or none; if there is a `revision`, only if nothing was changed since.
    ///
    /// Errors: [`OpteError::BatchStep`] names the step that cannot be done.
    pub fn run_batch(&mut self, steps: &[BatchStep], revision: Option<u64>) -> Result<(), Error> {
        let (mut rest, mut staged, mut most) = (steps, 0, MOST_STEPS);
        while !rest.is_empty() || staged == 0 {
            let (part, after) = rest.split_at(rest.len().min(most));
            let request = StageBatchReq {
                position: staged,
                steps: part.to_vec(),
            };
            match self.call(&request) {
                Ok(resp) => (staged, rest) = (resp.staged, after),
                // Steps can be long: fewer of them, then.
                Err(Error::Refused {
                    error: OpteError::RequestTooLarge { .. },
                    ..
                }) if most > 1 => most /= 2,
                Err(error) => return Err(error),
            }
            if steps.is_empty() {
                break;
            }
        }
        let steps = steps.len() as u64;
        self.call(&RunBatchReq { steps, revision })
            .map(|NoResp {}| ())
    }

    /// Sends a request and receives its answer, over a new connection if the old one breaks.
    fn exchange(
        &mut self,
        command: OpteCmd,
        frame: &[u8],
    ) -> Result<(ResponseHeader, Vec<u8>), Error> {
        if self.stream.is_none() {
            // Nothing is sent yet: what fails here has no other consequence.
            self.stream = Some(open(&self.socket)?);
        }
        let broken = match self.try_exchange(frame) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        self.stream = None;
        match broken.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                return Err(Error::TimedOut {
                    socket: self.socket.clone(),
                    command,
                });
            }
            ErrorKind::InvalidData => return Err(self.not_a_driver(&broken.to_string())),
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {}
            _ => {
                return Err(Error::Io {
                    socket: self.socket.clone(),
                    source: broken,
                });
            }
        }
        if !command.changes() {
            // To read twice does no harm, and if nobody is there any more, that is what is to be said.
            self.stream = Some(open(&self.socket)?);
            return self.try_exchange(frame).map_err(|_| self.gone(command));
        }
        // Only the run of the driver that is known can tell whether it has done the request; another would do it again.
        if self.instance == 0 {
            return Err(self.gone(command));
        }
        self.stream = Some(open(&self.socket).map_err(|_| self.gone(command))?);
        self.try_exchange(frame).map_err(|_| self.gone(command))
    }

    fn gone(&self, command: OpteCmd) -> Error {
        Error::Gone {
            socket: self.socket.clone(),
            command,
        }
    }

    fn try_exchange(&mut self, frame: &[u8]) -> io::Result<(ResponseHeader, Vec<u8>)> {
        let Some(stream) = &mut self.stream else {
            return Err(ErrorKind::NotConnected.into());
        };
        // A driver that lets go of the connection may have said why before; that is worth more than the broken pipe.
        let sent = stream.write_all(frame);
        match (receive(stream), sent) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }

    fn read_answer<R: Request>(
        &mut self,
        header: &ResponseHeader,
        body: &[u8],
    ) -> Result<R::Response, Error> {
        let driver = header.api_version.get();
        // Of another version no body can be believed, an error's neither.
        if driver != API_VERSION {
            return Err(Error::VersionMismatch {
                client: API_VERSION,
                driver,
            });
        }
        let malformed = |error: postcard::Error| {
            format!("{} is answered in no known form: {error}", R::COMMAND)
        };
        if header.flags.get() & FLAG_ERROR != 0 {
            let error =
                postcard::from_bytes(body).map_err(|error| self.not_a_driver(&malformed(error)))?;
            return Err(match error {
                OpteError::DriverRestarted { .. } => Error::Restarted {
                    socket: self.socket.clone(),
                    command: R::COMMAND,
                },
                error => Error::Refused {
                    command: R::COMMAND,
                    error,
                },
            });
        }
        if (header.client.get(), header.sequence.get()) != (self.client, self.sequence) {
            return Err(self.not_a_driver("it answers what was not asked"));
        }
        self.instance = header.instance.get();
        postcard::from_bytes(body).map_err(|error| self.not_a_driver(&malformed(error)))
    }

    fn not_a_driver(&self, reason: &str) -> Error {
        Error::NotADriver {
            socket: self.socket.clone(),
            reason: reason.into(),
        }
    }
}

fn open(socket: &Path) -> Result<UnixStream, Error> {
    let stream = UnixStream::connect(socket).map_err(|source| {
        let socket = socket.to_path_buf();
        match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                Error::NotRunning { socket, source }
            }
            ErrorKind::PermissionDenied => Error::NotAllowed { socket, source },
            _ => Error::Io { socket, source },
        }
    })?;
    let timeouts = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    match timeouts {
        Ok(()) => Ok(stream),
        Err(source) => Err(Error::Io {
            socket: socket.to_path_buf(),
            source,
        }),
    }
}

fn receive(stream: &mut UnixStream) -> io::Result<(ResponseHeader, Vec<u8>)> {
    let invalid = |reason: String| io::Error::new(ErrorKind::InvalidData, reason);
    let mut head = [0; RESPONSE_HEADER_LEN];
    stream.read_exact(&mut head)?;
    let header =
        ResponseHeader::read_from_bytes(&head).map_err(|error| invalid(error.to_string()))?;
    if header.magic.get() != MAGIC {
        return Err(invalid(format!(
            "its answer begins with {:#010x}",
            header.magic.get()
        )));
    }
    let length = header.body_len.get();
    if length > MAX_RESPONSE {
        return Err(invalid(format!("its answer has {length} octets")));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    Ok((header, body))
}

/// How long a driver may take: a link that is made takes some tenths of a second, on a busy machine more.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to begin anew with a configuration that changes while it is read.
const ATTEMPTS: usize = 8;

/// The most steps of a batch that go in one request.
const MOST_STEPS: usize = 4096;
