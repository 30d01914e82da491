//! A connection to a driver that waits without a thread, on Tokio.

use std::io::{self, ErrorKind};
use std::path::Path;

use opte::api::frame::{RESPONSE_HEADER_LEN, ResponseHeader};
use opte::api::{DumpLayerResp, DumpStatsResp, DumpUftResp, OpteCmd, Page, Request, TcpFlow};
use oxide_vpc::api::{
    BatchStep, ConfigItem, DumpMcast2PhysReq, DumpMcastForwardingReq, DumpMcastSubscriptionsReq,
    DumpVirt2BoundaryReq, DumpVirt2PhysReq, ListPortsReq, Mcast2PhysMapping, McastForwarding,
    McastSubscription, PortInfo, Virt2BoundaryMapping, Virt2PhysMapping,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::Error;
use crate::config::{Current, Plan};
use crate::pages::{self, Cursor, Paged};
use crate::session::{self, ConfigPages, PATIENCE, Session, Staging};

/// A client of one run of a driver: [`Client`](crate::Client) for programs on Tokio, with the same errors.
///
/// A call that is dropped before it is done may have been done or not, as after [`Error::Gone`]; the next is on a new connection.
///
/// ```no_run
/// use opte::api::ClearUftReq;
/// use opteadm::{AsyncClient, DEFAULT_SOCKET, Error};
///
/// # async fn example() -> Result<(), Error> {
/// let mut client = AsyncClient::connect(DEFAULT_SOCKET).await?;
/// for port in client.list_ports().await? {
///     client.call(&ClearUftReq { port_name: port.name }).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncClient {
    session: Session,
    stream: Option<UnixStream>,
}

impl AsyncClient {
    /// Connects to the driver that listens at `socket`.
    ///
    /// Errors: [`Error::NotRunning`], [`Error::NotAllowed`], [`Error::Io`].
    pub async fn connect(socket: impl AsRef<Path>) -> Result<Self, Error> {
        let session = Session::new(socket.as_ref());
        let stream = Some(open(&session).await?);
        Ok(Self { session, stream })
    }

    /// Has a command done.
    ///
    /// Errors: any but [`Error::NotAllowed`]; what the driver says against it is [`Error::Refused`].
    pub async fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, Error> {
        let frame = self.session.encode(request)?;
        let (header, body) = self.exchange(R::COMMAND, &frame).await?;
        self.session.decode::<R>(&header, &body)
    }

    /// The pages of a listing, one after the other: however long it is, one page of it is in memory.
    ///
    /// Errors: as of [`AsyncClient::call`]; so are those of all that follow.
    pub fn pages<R: Paged>(&mut self, request: R) -> AsyncPages<'_, R> {
        let cursor = Cursor::default();
        AsyncPages {
            client: self,
            request,
            cursor,
        }
    }

    /// All pages of a listing.
    pub async fn all<R: Paged>(&mut self, request: R) -> Result<R::Whole, Error> {
        let mut whole = None;
        let mut pages = self.pages(request);
        while let Some(page) = pages.next().await {
            whole = Some(R::gather(whole, page?));
        }
        whole.ok_or_else(|| self.session.not_a_driver("it listed no page"))
    }

    /// All ports, by name.
    pub async fn list_ports(&mut self) -> Result<Vec<PortInfo>, Error> {
        self.all(ListPortsReq { page: Page::FIRST }).await
    }

    /// All rules and flows of a layer.
    pub async fn dump_layer(&mut self, port: &str, layer: &str) -> Result<DumpLayerResp, Error> {
        self.all(pages::layer(port, layer)).await
    }

    /// The whole unified flow table of a port.
    pub async fn dump_uft(&mut self, port: &str) -> Result<DumpUftResp, Error> {
        self.all(pages::uft(port)).await
    }

    /// All TCP flows of a port.
    pub async fn dump_tcp_flows(&mut self, port: &str) -> Result<Vec<TcpFlow>, Error> {
        self.all(pages::tcp_flows(port)).await
    }

    /// Where all guests are.
    pub async fn dump_v2p(&mut self) -> Result<Vec<Virt2PhysMapping>, Error> {
        self.all(DumpVirt2PhysReq { page: Page::FIRST }).await
    }

    /// The tunnel endpoints of all prefixes.
    pub async fn dump_v2b(&mut self) -> Result<Vec<Virt2BoundaryMapping>, Error> {
        self.all(DumpVirt2BoundaryReq { page: Page::FIRST }).await
    }

    /// Which group is which on the underlay.
    pub async fn dump_m2p(&mut self) -> Result<Vec<Mcast2PhysMapping>, Error> {
        self.all(DumpMcast2PhysReq { page: Page::FIRST }).await
    }

    /// The next hops of all underlay groups.
    pub async fn dump_mcast_fwd(&mut self) -> Result<Vec<McastForwarding>, Error> {
        self.all(DumpMcastForwardingReq { page: Page::FIRST }).await
    }

    /// All subscriptions to groups.
    pub async fn dump_mcast_subs(&mut self) -> Result<Vec<McastSubscription>, Error> {
        self.all(DumpMcastSubscriptionsReq { page: Page::FIRST })
            .await
    }

    /// The counters of the driver, and of one port or of all.
    pub async fn dump_stats(&mut self, port: Option<&str>) -> Result<DumpStatsResp, Error> {
        self.all(pages::stats(port)).await
    }

    /// Everything that was configured, of one moment.
    pub async fn dump_config(&mut self) -> Result<Current, Error> {
        let (revision, items) = self.dump_config_items().await?;
        Ok(Current::new(revision, items))
    }

    /// The same as it is listed, and its revision.
    pub async fn dump_config_items(&mut self) -> Result<(u64, Vec<ConfigItem>), Error> {
        let mut pages = ConfigPages::new();
        loop {
            let answer = self.call(&pages.request()).await;
            if let Some(whole) = pages.take(&self.session, answer)? {
                return Ok(whole);
            }
        }
    }

    /// Makes the configuration what `plan` leads to: all of it, or an error and nothing.
    ///
    /// Errors: [`OpteError::ConfigChanged`](opte::api::OpteError::ConfigChanged) if it is no longer the one that the plan begins at.
    pub async fn carry_out(&mut self, plan: &Plan) -> Result<(), Error> {
        self.run_batch(plan.steps(), Some(plan.revision())).await
    }

    /// Has all steps done in their order, or none; if there is a `revision`, only if nothing was changed since.
    ///
    /// Errors: [`OpteError::BatchStep`](opte::api::OpteError::BatchStep) names the step that cannot be done.
    pub async fn run_batch(
        &mut self,
        steps: &[BatchStep],
        revision: Option<u64>,
    ) -> Result<(), Error> {
        let mut staging = Staging::new(steps);
        while let Some(part) = staging.part() {
            let answer = self.call(&part).await;
            staging.take(answer)?;
        }
        self.call(&staging.run(revision)).await.map(session::done)
    }

    /// Sends a request and receives its answer, over a new connection if the old one breaks.
    async fn exchange(
        &mut self,
        command: OpteCmd,
        frame: &[u8],
    ) -> Result<(ResponseHeader, Vec<u8>), Error> {
        if self.stream.is_none() {
            // Nothing is sent yet: what fails here has no other consequence.
            self.stream = Some(open(&self.session).await?);
        }
        let broken = match self.try_exchange(frame).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let again = self.session.broken(command, broken)?;
        let stream = open(&self.session).await;
        let stream = stream.map_err(|error| self.session.not_opened(again, error))?;
        self.stream = Some(stream);
        let answer = self.try_exchange(frame).await;
        answer.map_err(|_| self.session.gone(command))
    }

    /// A connection that fails is left, and one on which an answer may still come that nobody waits for any more.
    async fn try_exchange(&mut self, frame: &[u8]) -> io::Result<(ResponseHeader, Vec<u8>)> {
        let mut stream = self.stream.take().ok_or(ErrorKind::NotConnected)?;
        let answer = timeout(PATIENCE, async {
            // A driver that lets go of the connection may have said why before; that is worth more than the broken pipe.
            let sent = stream.write_all(frame).await;
            match (receive(&mut stream).await, sent) {
                (Ok(answer), _) => Ok(answer),
                (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
            }
        });
        let answer = answer.await.map_err(|_| ErrorKind::TimedOut)??;
        self.stream = Some(stream);
        Ok(answer)
    }
}

/// The pages of a listing, each asked for when it is wanted. After an error there are no more.
#[derive(Debug)]
pub struct AsyncPages<'a, R> {
    client: &'a mut AsyncClient,
    request: R,
    cursor: Cursor,
}

impl<R: Paged> AsyncPages<'_, R> {
    /// The next page; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<R::Response, Error>> {
        while let Some(page) = self.cursor.page() {
            self.request.set_page(page);
            let answer = self.client.call(&self.request).await;
            if let Some(answer) = self.cursor.take::<R>(answer) {
                return Some(answer);
            }
        }
        None
    }
}

async fn open(session: &Session) -> Result<UnixStream, Error> {
    let stream = UnixStream::connect(&session.socket).await;
    stream.map_err(|source| session.unreachable(source))
}

async fn receive(stream: &mut UnixStream) -> io::Result<(ResponseHeader, Vec<u8>)> {
    let mut head = [0; RESPONSE_HEADER_LEN];
    stream.read_exact(&mut head).await?;
    let (header, length) = session::read_head(&head)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((header, body))
}
