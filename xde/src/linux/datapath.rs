//! The thread that moves frames: whatever link has some, the core gets a burst of them and its answer is sent.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use opte::DropReason;

use super::carrier::CarrierWatch;
use super::packet_socket::{Outgoing, PacketSocket};
use super::platform::Linux;
use super::port_link::PortLink;
use super::routes::Routes;
use super::sys::BURST;
use super::virtio_net::VirtioNetHeader;
use crate::counters::Counters;
use crate::frame::Frame;
use crate::platform::{LanId, PortId};
use crate::segment::{MAX_HEADERS, Segments};
use crate::switch::SwitchPort;
use crate::{Driver, GuestFrame, Outbox, WireFrame};

/// What commands want of the thread that moves frames.
#[derive(Debug)]
pub struct Orders {
    given: Mutex<Vec<Order>>,
    wake: EventFd,
}

/// One thing that is wanted of the thread that moves frames.
#[derive(Debug)]
pub(super) enum Order {
    /// Take what the link's guest sends.
    AddPort(PortId, Arc<PortLink>),
    /// Let go of the port's link, and say when that is done.
    RemovePort(PortId, Sender<()>),
    /// These are the underlay's links, and its next hops.
    SetUnderlay(Vec<PacketSocket>, Option<Arc<Routes>>),
    /// The same links, by other sockets.
    ReplaceUnderlay(Vec<PacketSocket>),
    /// Take what comes in over this link to a LAN.
    AddLan(LanId, Arc<PacketSocket>),
    /// Let go of it.
    RemoveLan(LanId),
    /// End.
    Stop,
}

impl Orders {
    /// None yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            given: Mutex::default(),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        })
    }

    pub(super) fn give(&self, order: Order) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.push(order);
        drop(given);
        // Fails only when the counter is full: then the thread is about to be woken anyway.
        let _ = self.wake.write(1);
    }

    /// Has the thread let go of a port's link; returns when it has.
    pub(super) fn remove_port(&self, id: PortId) {
        let (done, wait) = channel();
        self.give(Order::RemovePort(id, done));
        // A thread that has ended holds no link.
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }

    fn take(&self) -> Vec<Order> {
        let _ = self.wake.read();
        std::mem::take(&mut self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running thread. Dropped, it ends.
#[derive(Debug)]
pub struct DataPath {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

impl DataPath {
    /// Starts to move the frames of `driver`, whose platform was given these `orders`.
    pub fn start(driver: Arc<Driver<Linux>>, orders: Arc<Orders>) -> io::Result<Self> {
        let mut worker = Worker {
            driver,
            orders: Arc::clone(&orders),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            ports: HashMap::new(),
            carriers: CarrierWatch::open()?,
            underlay: Vec::new(),
            lans: HashMap::new(),
            routes: None,
            frames: Vec::with_capacity(BURST),
            outbox: Outbox::new(4 * BURST),
            heads: vec![[0; MAX_HEADERS]; BURST].into_boxed_slice(),
            swept: Instant::now(),
            retried: Instant::now(),
        };
        worker.watch(orders.wake.as_fd(), Token::Orders)?;
        worker.watch(worker.carriers.as_fd(), Token::Carriers)?;
        let thread = std::thread::Builder::new()
            .name(String::from("xde-frames"))
            .spawn(move || worker.run())?;
        Ok(Self {
            orders,
            thread: Some(thread),
        })
    }
}

impl Drop for DataPath {
    fn drop(&mut self) {
        self.orders.give(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    driver: Arc<Driver<Linux>>,
    orders: Arc<Orders>,
    epoll: Epoll,
    ports: HashMap<PortId, Arc<PortLink>>,
    carriers: CarrierWatch,
    underlay: Vec<PacketSocket>,
    lans: HashMap<LanId, Arc<PacketSocket>>,
    routes: Option<Arc<Routes>>,
    /// Frames to be received into.
    frames: Vec<Frame>,
    outbox: Outbox<PortLink>,
    /// Headers of segments, while they are sent.
    heads: Box<[[u8; MAX_HEADERS]]>,
    /// When flows were last looked through for those whose time is over.
    swept: Instant,
    /// When frames that wait for a neighbour were last looked at.
    retried: Instant,
}

/// What has become readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Orders,
    Routes,
    Carriers,
    Underlay(usize),
    Port(PortId),
    Lan(LanId),
}

impl Token {
    const PORTS: u64 = 16;
    const LANS: u64 = 1 << 63;

    fn to_u64(self) -> u64 {
        match self {
            Token::Orders => 0,
            Token::Routes => 1,
            Token::Carriers => 2,
            Token::Underlay(link) => 3 + link as u64,
            Token::Port(PortId(id)) => Self::PORTS + id,
            Token::Lan(LanId(id)) => Self::LANS + id,
        }
    }

    fn from_u64(token: u64) -> Self {
        match token {
            0 => Token::Orders,
            1 => Token::Routes,
            2 => Token::Carriers,
            token if token < Self::PORTS => Token::Underlay((token - 3) as usize),
            token if token < Self::LANS => Token::Port(PortId(token - Self::PORTS)),
            token => Token::Lan(LanId(token - Self::LANS)),
        }
    }
}

/// Time between sweeps.
const SWEEP: Duration = Duration::from_millis(500);

/// How often frames that wait for a neighbour are looked at, should the word that it was found have come before they waited.
const WAITING: Duration = Duration::from_millis(10);

impl Worker {
    fn run(&mut self) {
        let mut events = [EpollEvent::empty(); 32];
        let mut more = false;
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout(more)) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "the links cannot be waited for");
                    return;
                }
            };
            for event in events.iter().take(count) {
                match Token::from_u64(event.data()) {
                    Token::Orders if self.obey() => return,
                    Token::Orders => {}
                    Token::Routes => self.take_up_waiting(),
                    Token::Carriers => self.carriers.take_changes(self.ports.values()),
                    Token::Underlay(link) => self.receive_from_underlay(link),
                    Token::Port(id) => self.receive_from_guest(id),
                    Token::Lan(id) => self.receive_from_lan(id),
                }
                self.flush();
            }
            if self.retried.elapsed() >= WAITING && self.driver.is_waiting() {
                self.retried = Instant::now();
                self.driver.retry_waiting(&mut self.outbox);
                self.flush();
            }
            if more || self.swept.elapsed() >= SWEEP {
                self.swept = Instant::now();
                self.count_overflows();
                more = self.driver.expire();
            }
        }
    }

    /// How long to sleep at most: not at all while there is a backlog of expiry.
    fn timeout(&self, more: bool) -> EpollTimeout {
        let rest = SWEEP.saturating_sub(self.swept.elapsed());
        let rest = match (more, self.driver.is_waiting()) {
            (true, _) => Duration::ZERO,
            (false, true) => rest.min(WAITING),
            (false, false) => rest,
        };
        let millis = u16::try_from(rest.as_millis()).unwrap_or(u16::MAX);
        // Rounded up, or the last millisecond would be spun through.
        EpollTimeout::from(millis.saturating_add(u16::from(!more)))
    }

    /// Does what commands want; whether to end.
    fn obey(&mut self) -> bool {
        for order in self.orders.take() {
            match order {
                Order::AddPort(id, link) => match self.watch(link.as_fd(), Token::Port(id)) {
                    Ok(()) => {
                        self.carriers.look_at(&link);
                        self.ports.insert(id, link);
                    }
                    Err(error) => tracing::error!(%error, ?id, "a link cannot be waited for"),
                },
                Order::RemovePort(id, done) => {
                    if let Some(link) = self.ports.remove(&id) {
                        self.ignore(link.as_fd());
                    }
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(());
                }
                Order::SetUnderlay(sockets, routes) => {
                    self.set_underlay(sockets);
                    if let Some(old) = self.routes.take() {
                        self.ignore(old.changed());
                    }
                    if let Some(routes) = &routes
                        && let Err(error) = self.watch(routes.changed(), Token::Routes)
                    {
                        tracing::error!(%error, "routes cannot be waited for");
                    }
                    self.routes = routes;
                }
                Order::ReplaceUnderlay(sockets) => self.set_underlay(sockets),
                Order::AddLan(id, socket) => match self.watch(socket.as_fd(), Token::Lan(id)) {
                    Ok(()) => {
                        self.lans.insert(id, socket);
                    }
                    Err(error) => tracing::error!(%error, "a link to a LAN cannot be waited for"),
                },
                Order::RemoveLan(id) => {
                    if let Some(socket) = self.lans.remove(&id) {
                        self.ignore(socket.as_fd());
                    }
                }
                Order::Stop => return true,
            }
        }
        false
    }

    fn set_underlay(&mut self, sockets: Vec<PacketSocket>) {
        for old in std::mem::take(&mut self.underlay) {
            self.ignore(old.as_fd());
        }
        for (link, socket) in sockets.iter().enumerate() {
            if let Err(error) = self.watch(socket.as_fd(), Token::Underlay(link)) {
                tracing::error!(%error, link, "an underlay link cannot be waited for");
            }
        }
        self.underlay = sockets;
    }

    fn watch(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token.to_u64());
        Ok(self.epoll.add(fd, event)?)
    }

    fn ignore(&self, fd: BorrowedFd<'_>) {
        // Fails only for what is not waited for.
        let _ = self.epoll.delete(fd);
    }

    /// Counts what the kernel dropped before it could be taken.
    fn count_overflows(&self) {
        let reason = DropReason::ReceiveQueueFull;
        let lans = self.lans.values().map(|socket| &**socket);
        let shared = self.underlay.iter().chain(lans);
        let lost = shared.map(PacketSocket::overflowed).sum();
        self.driver.counters().dropped_all(reason, lost);
        let switch = self.driver.switch();
        for (id, link) in &self.ports {
            if let Some(port) = switch.port(*id) {
                port.counters.dropped_all(reason, link.overflowed());
            }
        }
    }

    fn take_up_waiting(&mut self) {
        if let Some(routes) = &self.routes {
            routes.changes_seen();
        }
        self.driver.retry_waiting(&mut self.outbox);
    }

    fn receive_from_guest(&mut self, id: PortId) {
        let Some(link) = self.ports.get(&id) else {
            return;
        };
        fill(&mut self.frames, &mut self.outbox);
        match link.receive(&mut self.frames) {
            Ok(count) => {
                let frames = self.frames.drain(..count);
                self.driver.from_guest(id, frames, &mut self.outbox);
            }
            Err(error) => {
                if let Some(port) = self.driver.switch().port(id) {
                    port.counters.dropped(reason(&error));
                }
                if is_lasting(&error) {
                    tracing::warn!(%error, ?id, "a port's link is gone");
                    self.ignore(link.as_fd());
                }
            }
        }
    }

    fn receive_from_underlay(&mut self, link: usize) {
        let Some(socket) = self.underlay.get(link) else {
            return;
        };
        fill(&mut self.frames, &mut self.outbox);
        match socket.receive(&mut self.frames) {
            Ok(count) => {
                let frames = self.frames.drain(..count);
                self.driver.from_underlay(link, frames, &mut self.outbox);
            }
            Err(error) => {
                self.driver.counters().dropped(reason(&error));
                if is_lasting(&error) {
                    tracing::warn!(%error, link, "an underlay link is gone");
                    self.ignore(socket.as_fd());
                }
            }
        }
    }

    fn receive_from_lan(&mut self, lan: LanId) {
        let Some(socket) = self.lans.get(&lan) else {
            return;
        };
        fill(&mut self.frames, &mut self.outbox);
        match socket.receive(&mut self.frames) {
            Ok(count) => {
                let frames = self.frames.drain(..count);
                self.driver.from_lan(lan, frames, &mut self.outbox);
            }
            Err(error) => {
                self.driver.counters().dropped(reason(&error));
                if is_lasting(&error) {
                    tracing::warn!(%error, "a link to a LAN is gone");
                    self.ignore(socket.as_fd());
                }
            }
        }
    }

    /// Sends what the core has answered.
    fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        for frames in self
            .outbox
            .to_guests
            .chunk_by(|a, b| Arc::ptr_eq(&a.port, &b.port))
        {
            if let Some(first) = frames.first() {
                send_to_guest(&first.port, frames);
            }
            for sent in frames {
                let others = self.outbox.others(sent).iter();
                others.for_each(|port| send_to_guest(port, core::slice::from_ref(sent)));
            }
        }
        for (link, socket) in self.underlay.iter().enumerate() {
            let frames = self.outbox.to_underlay.iter().filter(|f| f.link == link);
            send_to_wire(socket, frames, &mut self.heads, self.driver.counters());
        }
        for (id, socket) in &self.lans {
            let frames = self.outbox.to_lans.iter().filter(|f| f.lan == *id);
            send_to_wire(socket, frames, &mut self.heads, self.driver.counters());
        }
        self.outbox.sent_to_guests();
        let Outbox {
            to_underlay,
            to_lans,
            pool,
            ..
        } = &mut self.outbox;
        to_lans.drain(..).for_each(|sent| {
            if !self.lans.contains_key(&sent.lan) {
                self.driver.counters().dropped(DropReason::LinkDown);
            }
            pool.put(sent.frame);
        });
        to_underlay.drain(..).for_each(|sent| {
            // The link may have been taken away since the core chose it.
            if sent.link >= self.underlay.len() {
                self.driver.counters().dropped(DropReason::NoUnderlay);
            }
            pool.put(sent.frame);
        });
    }
}

/// Makes up for the frames that were given away.
fn fill(frames: &mut Vec<Frame>, outbox: &mut Outbox<PortLink>) {
    while frames.len() < BURST {
        frames.push(outbox.pool.take());
    }
}

/// Sends frames to one guest.
fn send_to_guest(port: &SwitchPort<PortLink>, frames: &[GuestFrame<PortLink>]) {
    for frames in frames.chunks(BURST) {
        let mut batch = [Outgoing::NONE; BURST];
        for (outgoing, GuestFrame { frame, .. }) in batch.iter_mut().zip(frames) {
            *outgoing = Outgoing {
                header: VirtioNetHeader::of(frame.offload, frame.bytes()),
                head: frame.bytes(),
                payload: &[],
            };
        }
        let Some(batch) = batch.get(..frames.len()) else {
            return;
        };
        port.link
            .send(batch, |_, error| port.counters.dropped(reason(&error)));
    }
}

/// Sends frames that all leave by one link of the underlay or to a LAN, super-packets cut.
fn send_to_wire<'a, F: WireFrame + 'a>(
    socket: &PacketSocket,
    mut frames: impl Iterator<Item = &'a F>,
    heads: &mut [[u8; MAX_HEADERS]],
    counters: &Counters,
) {
    let mut cutting: Option<(&[u8], Segments<'_>)> = None;
    loop {
        let mut batch = [Outgoing::NONE; BURST];
        let mut count = 0;
        let mut free_heads = heads.iter_mut();
        while let Some(outgoing) = batch.get_mut(count) {
            if let Some((bytes, segments)) = &mut cutting {
                let Some(head) = free_heads.next() else {
                    break;
                };
                if let Some(segment) = segments.next_into(head) {
                    outgoing.head = head.get(..segment.headers).unwrap_or_default();
                    outgoing.payload = bytes.get(segment.payload).unwrap_or_default();
                    count += 1;
                    continue;
                }
                cutting = None;
            }
            let Some(next) = frames.next() else {
                break;
            };
            match next.segments() {
                Some(segments) => cutting = Some((next.frame().bytes(), segments)),
                None => {
                    outgoing.head = next.frame().bytes();
                    count += 1;
                }
            }
        }
        let Some(batch) = batch.get(..count).filter(|batch| !batch.is_empty()) else {
            return;
        };
        socket.send(batch, |_, error| counters.dropped(reason(&error)));
    }
}

/// Why the kernel did not take or give a frame.
fn reason(error: &io::Error) -> DropReason {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => DropReason::LinkCongested,
        Some(libc::EMSGSIZE) => DropReason::TooBig,
        Some(libc::ENETDOWN) => DropReason::LinkDown,
        _ => DropReason::LinkError,
    }
}

/// Whether a link that gives this error gives it again and again.
fn is_lasting(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADFD | libc::EBADF | libc::ENODEV | libc::ENXIO | libc::EIO)
    )
}
