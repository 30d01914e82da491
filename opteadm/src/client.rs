//! A connection to a driver.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use opte::api::frame::{RESPONSE_HEADER_LEN, ResponseHeader};
use opte::api::{DumpLayerResp, DumpStatsResp, DumpUftResp, OpteCmd, Page, Request, TcpFlow};
use oxide_vpc::api::{
    BatchStep, ConfigItem, DumpMcast2PhysReq, DumpMcastForwardingReq, DumpMcastSubscriptionsReq,
    DumpVirt2BoundaryReq, DumpVirt2PhysReq, ListPortsReq, Mcast2PhysMapping, McastForwarding,
    McastSubscription, PortInfo, Virt2BoundaryMapping, Virt2PhysMapping,
};

use crate::Error;
use crate::config::{Current, Plan};
use crate::pages::{self, Paged, Pages};
use crate::session::{self, ConfigPages, PATIENCE, Session, Staging};

/// Where a driver listens if it was not told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/xde/xde.sock";

/// A client of one run of a driver.
#[derive(Debug)]
pub struct Client {
    session: Session,
    stream: Option<UnixStream>,
}

impl Client {
    /// Connects to the driver that listens at `socket`.
    ///
    /// Errors: [`Error::NotRunning`], [`Error::NotAllowed`], [`Error::Io`].
    pub fn connect(socket: impl AsRef<Path>) -> Result<Self, Error> {
        let session = Session::new(socket.as_ref());
        let stream = Some(open(&session)?);
        Ok(Self { session, stream })
    }

    /// Has a command done.
    ///
    /// Errors: any but [`Error::NotAllowed`]; what the driver says against it is [`Error::Refused`].
    pub fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, Error> {
        let frame = self.session.encode(request)?;
        let (header, body) = self.exchange(R::COMMAND, &frame)?;
        self.session.decode::<R>(&header, &body)
    }

    /// The pages of a listing, one after the other: however long it is, one page of it is in memory.
    ///
    /// Errors: as of [`Client::call`]; so are those of all that follow.
    pub fn pages<R: Paged>(&mut self, request: R) -> Pages<'_, R> {
        Pages::new(self, request)
    }

    /// All pages of a listing.
    pub fn all<R: Paged>(&mut self, request: R) -> Result<R::Whole, Error> {
        let mut whole = None;
        for page in self.pages(request) {
            whole = Some(R::gather(whole, page?));
        }
        whole.ok_or_else(|| self.session.not_a_driver("it listed no page"))
    }

    /// All ports, by name.
    pub fn list_ports(&mut self) -> Result<Vec<PortInfo>, Error> {
        self.all(ListPortsReq { page: Page::FIRST })
    }

    /// All rules and flows of a layer.
    pub fn dump_layer(&mut self, port: &str, layer: &str) -> Result<DumpLayerResp, Error> {
        self.all(pages::layer(port, layer))
    }

    /// The whole unified flow table of a port.
    pub fn dump_uft(&mut self, port: &str) -> Result<DumpUftResp, Error> {
        self.all(pages::uft(port))
    }

    /// All TCP flows of a port.
    pub fn dump_tcp_flows(&mut self, port: &str) -> Result<Vec<TcpFlow>, Error> {
        self.all(pages::tcp_flows(port))
    }

    /// Where all guests are.
    pub fn dump_v2p(&mut self) -> Result<Vec<Virt2PhysMapping>, Error> {
        self.all(DumpVirt2PhysReq { page: Page::FIRST })
    }

    /// The tunnel endpoints of all prefixes.
    pub fn dump_v2b(&mut self) -> Result<Vec<Virt2BoundaryMapping>, Error> {
        self.all(DumpVirt2BoundaryReq { page: Page::FIRST })
    }

    /// Which group is which on the underlay.
    pub fn dump_m2p(&mut self) -> Result<Vec<Mcast2PhysMapping>, Error> {
        self.all(DumpMcast2PhysReq { page: Page::FIRST })
    }

    /// The next hops of all underlay groups.
    pub fn dump_mcast_fwd(&mut self) -> Result<Vec<McastForwarding>, Error> {
        self.all(DumpMcastForwardingReq { page: Page::FIRST })
    }

    /// All subscriptions to groups.
    pub fn dump_mcast_subs(&mut self) -> Result<Vec<McastSubscription>, Error> {
        self.all(DumpMcastSubscriptionsReq { page: Page::FIRST })
    }

    /// The counters of the driver, and of one port or of all.
    pub fn dump_stats(&mut self, port: Option<&str>) -> Result<DumpStatsResp, Error> {
        self.all(pages::stats(port))
    }

    /// Everything that was configured, of one moment.
    pub fn dump_config(&mut self) -> Result<Current, Error> {
        let (revision, items) = self.dump_config_items()?;
        Ok(Current::new(revision, items))
    }

    /// The same as it is listed, and its revision.
    pub fn dump_config_items(&mut self) -> Result<(u64, Vec<ConfigItem>), Error> {
        let mut pages = ConfigPages::new();
        loop {
            let answer = self.call(&pages.request());
            if let Some(whole) = pages.take(&self.session, answer)? {
                return Ok(whole);
            }
        }
    }

    /// Makes the configuration what `plan` leads to: all of it, or an error and nothing.
    ///
    /// Errors: [`OpteError::ConfigChanged`](opte::api::OpteError::ConfigChanged) if it is no longer the one that the plan begins at.
    pub fn carry_out(&mut self, plan: &Plan) -> Result<(), Error> {
        self.run_batch(plan.steps(), Some(plan.revision()))
    }

    /// Has all steps done in their order, or none; if there is a `revision`, only if nothing was changed since.
    ///
    /// Errors: [`OpteError::BatchStep`](opte::api::OpteError::BatchStep) names the step that cannot be done.
    pub fn run_batch(&mut self, steps: &[BatchStep], revision: Option<u64>) -> Result<(), Error> {
        let mut staging = Staging::new(steps);
        while let Some(part) = staging.part() {
            let answer = self.call(&part);
            staging.take(answer)?;
        }
        self.call(&staging.run(revision)).map(session::done)
    }

    /// Sends a request and receives its answer, over a new connection if the old one breaks.
    fn exchange(
        &mut self,
        command: OpteCmd,
        frame: &[u8],
    ) -> Result<(ResponseHeader, Vec<u8>), Error> {
        if self.stream.is_none() {
            // Nothing is sent yet: what fails here has no other consequence.
            self.stream = Some(open(&self.session)?);
        }
        let broken = match self.try_exchange(frame) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let again = self.session.broken(command, broken)?;
        let stream = open(&self.session);
        let stream = stream.map_err(|error| self.session.not_opened(again, error))?;
        self.stream = Some(stream);
        let answer = self.try_exchange(frame);
        answer.map_err(|_| self.session.gone(command))
    }

    /// A connection that fails is left.
    fn try_exchange(&mut self, frame: &[u8]) -> io::Result<(ResponseHeader, Vec<u8>)> {
        let mut stream = self.stream.take().ok_or(ErrorKind::NotConnected)?;
        // A driver that lets go of the connection may have said why before; that is worth more than the broken pipe.
        let sent = stream.write_all(frame);
        match (receive(&mut stream), sent) {
            (Ok(answer), _) => {
                self.stream = Some(stream);
                Ok(answer)
            }
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }
}

fn open(session: &Session) -> Result<UnixStream, Error> {
    let stream = UnixStream::connect(&session.socket);
    let stream = stream.map_err(|source| session.unreachable(source))?;
    let timeouts = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    match timeouts {
        Ok(()) => Ok(stream),
        Err(source) => Err(session.io(source)),
    }
}

fn receive(stream: &mut UnixStream) -> io::Result<(ResponseHeader, Vec<u8>)> {
    let mut head = [0; RESPONSE_HEADER_LEN];
    stream.read_exact(&mut head)?;
    let (header, length) = session::read_head(&head)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((header, body))
}
