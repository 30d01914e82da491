//! A pool of ports.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use crate::action::Context;
use crate::sync::KMutex;
use crate::time::Moment;

/// Twice the maximum segment lifetime of RFC 9293: what a closed connection may still have on its way.
pub const HOLD_DOWN: Duration = Duration::from_secs(120);

/// The ports of one external address that one private network may use, for one protocol.
pub struct NatPool {
    hold_down: Duration,
    inner: KMutex<Inner>,
}

/// A private endpoint: its port, and its address as one of IPv6. Endpoints are told apart by their ports first: most pools are of
/// one guest, which has few addresses.
type Endpoint = (u16, u128);

struct Inner {
    ports: RangeInclusive<u16>,
    /// One bit a port, set while the port is leased or rests.
    taken: Vec<u64>,
    /// The port of each private endpoint.
    mapped: BTreeMap<Endpoint, u16>,
    /// The lease of each port that has one.
    leases: BTreeMap<u16, Weak<NatLease>>,
    /// Ports that came back since anybody told the time.
    returned: Vec<u16>,
    /// Ports that rest, and until when, ascending.
    resting: VecDeque<(Moment, u16)>,
    exhausted: u64,
    /// The most leases there ever were at once.
    high_water: u32,
}

/// A port in use. It goes back to its pool when the last flow drops it.
pub struct NatLease {
    pool: Arc<NatPool>,
    private: (IpAddr, u16),
    port: u16,
    remotes: KMutex<Remotes>,
    /// Not taken from the pool, only shown: nothing goes back.
    imagined: bool,
    /// No packet has gone out from it: it need not rest.
    unused: AtomicBool,
}

/// How a pool fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatPoolUsage {
    /// Ports there are.
    pub ports: u32,
    /// Ports in use.
    pub leased: u32,
    /// Ports that rest after use.
    pub resting: u32,
    /// How often none was left.
    pub exhausted: u64,
    /// The most ports there ever were in use at once.
    pub high_water: u32,
}

impl NatPoolUsage {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            ports: self.ports + other.ports,
            leased: self.leased + other.leased,
            resting: self.resting + other.resting,
            exhausted: self.exhausted + other.exhausted,
            high_water: self.high_water + other.high_water,
        }
    }
}

impl NatPool {
    /// A pool of `ports` that rest for `hold_down` after use; `None` if the range is empty.
    pub fn new(ports: RangeInclusive<u16>, hold_down: Duration) -> Option<Arc<Self>> {
        let inner = Inner {
            taken: all_free(&ports)?,
            ports,
            mapped: BTreeMap::new(),
            leases: BTreeMap::new(),
            returned: Vec::new(),
            resting: VecDeque::new(),
            exhausted: 0,
            high_water: 0,
        };
        Some(Arc::new(Self {
            hold_down,
            inner: KMutex::new(inner),
        }))
    }

    /// Has these ports from now on; `None`, and nothing is changed, if the range is empty. What is in use or rests stays so where
    /// it is among them. The lease of another port goes on until its last user drops it, and gets no new one.
    pub fn resize(&self, ports: RangeInclusive<u16>) -> Option<()> {
        let taken = all_free(&ports)?;
        let mut inner = self.inner.lock();
        inner.taken = taken;
        inner.mapped.retain(|_, port| ports.contains(port));
        inner.leases.retain(|port, _| ports.contains(port));
        inner.returned.retain(|port| ports.contains(port));
        inner.resting.retain(|(_, port)| ports.contains(port));
        let leased = inner.leases.keys().copied();
        let rest = inner.resting.iter().map(|(_, port)| *port);
        let kept: Vec<u16> = leased
            .chain(inner.returned.iter().copied())
            .chain(rest)
            .collect();
        for port in kept {
            inner.take(port - ports.start());
        }
        inner.ports = ports;
        Some(())
    }

    /// The external port for a private address and port: the one it has already, or a new one. `None`, counted, when all are in use.
    pub fn lease(
        self: &Arc<Self>,
        private: (IpAddr, u16),
        context: Context<'_>,
    ) -> Option<Arc<NatLease>> {
        self.lease_near(private, None, context)
    }

    /// The same; a new port is `wanted` if that is free.
    pub(super) fn lease_near(
        self: &Arc<Self>,
        private: (IpAddr, u16),
        wanted: Option<u16>,
        context: Context<'_>,
    ) -> Option<Arc<NatLease>> {
        let mut inner = self.inner.lock();
        if let Some(lease) = inner
            .mapped
            .get(&endpoint(private))
            .and_then(|port| inner.leases.get(port)?.upgrade())
        {
            return Some(lease);
        }
        inner.wake(context.now, self.rests(context.hold_down));
        let first = *inner.ports.start();
        let drawn = context.random.next_u64();
        // Which bits have the private port's parity depends on that of the first port.
        let odd = (private.1 ^ first) & 1 == 1;
        let same_parity = if odd { ODD } else { !ODD };
        let wanted = wanted.filter(|port| inner.ports.contains(port));
        let free = wanted
            .and_then(|port| inner.take(port - first))
            .or_else(|| inner.draw(drawn, same_parity))
            .or_else(|| inner.draw(drawn, u64::MAX));
        let port = match free {
            Some(bit) => {
                if context.dry_run {
                    inner.free(bit);
                }
                first + bit
            }
            None if context.dry_run => inner.resting.front()?.1,
            None => match inner.resting.pop_front() {
                Some((_, port)) => port,
                None => {
                    inner.exhausted += 1;
                    return None;
                }
            },
        };
        let lease = Arc::new(self.leased(private, port, context));
        if context.dry_run {
            return Some(lease);
        }
        inner.mapped.insert(endpoint(private), port);
        inner.note(&lease);
        Some(lease)
    }

    /// The external port that a private address and port had in another pool of the same ports; `None` if it is not to be
    /// had, or the private endpoint has another one already.
    pub(super) fn lease_again(
        self: &Arc<Self>,
        private: (IpAddr, u16),
        port: u16,
        context: Context<'_>,
    ) -> Option<Arc<NatLease>> {
        let mut inner = self.inner.lock();
        let present = inner.mapped.get(&endpoint(private)).copied();
        if let Some(lease) = present.and_then(|port| inner.leases.get(&port)?.upgrade()) {
            return (lease.port == port).then_some(lease);
        }
        if !inner.ports.contains(&port) {
            return None;
        }
        inner.wake(context.now, self.rests(context.hold_down));
        let bit = port - inner.ports.start();
        let bit = inner.take(bit)?;
        if context.dry_run {
            inner.free(bit);
        } else {
            inner.mapped.insert(endpoint(private), port);
        }
        let lease = Arc::new(self.leased(private, port, context));
        if !context.dry_run {
            inner.note(&lease);
        }
        Some(lease)
    }

    fn leased(
        self: &Arc<Self>,
        private: (IpAddr, u16),
        port: u16,
        context: Context<'_>,
    ) -> NatLease {
        NatLease {
            pool: Arc::clone(self),
            private,
            port,
            remotes: KMutex::new(Remotes::None),
            imagined: context.dry_run,
            unused: AtomicBool::new(false),
        }
    }

    /// The lease of a port, if it has one.
    pub fn lease_of(&self, port: u16) -> Option<Arc<NatLease>> {
        self.inner.lock().leases.get(&port)?.upgrade()
    }

    /// The ports of the pool.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.inner.lock().ports.clone()
    }

    /// How long ports rest, for a port whose options may say it.
    fn rests(&self, hold_down: Option<Duration>) -> Duration {
        hold_down.unwrap_or(self.hold_down)
    }

    /// The ports that rest, and for how long, ascending.
    pub(super) fn resting(&self, now: Moment, hold_down: Option<Duration>) -> Vec<(u16, Duration)> {
        let rests = self.rests(hold_down);
        let inner = self.inner.lock();
        let resting = inner.resting.iter().filter(|(until, _)| *until > now);
        let resting = resting.map(|(until, port)| (*port, until.since(now).min(rests)));
        let returned = inner.returned.iter().map(|port| (*port, rests));
        let all = resting.chain(returned);
        all.filter(|(_, left)| !left.is_zero()).collect()
    }

    /// Lays a port to rest that is free, no longer than others.
    pub(super) fn rest(
        &self,
        port: u16,
        (now, until): (Moment, Moment),
        hold_down: Option<Duration>,
    ) {
        let mut inner = self.inner.lock();
        if !inner.ports.contains(&port) || until <= now || inner.resting.try_reserve(1).is_err() {
            return;
        }
        let bit = port - inner.ports.start();
        if inner.take(bit).is_none() {
            return;
        }
        let until = until.min(now + self.rests(hold_down));
        let at = inner.resting.partition_point(|(other, _)| *other <= until);
        inner.resting.insert(at, (until, port));
    }

    /// How the pool fares.
    pub fn usage(&self) -> NatPoolUsage {
        let inner = self.inner.lock();
        let ports = u32::from(inner.ports.end() - inner.ports.start()) + 1;
        let padding = inner.taken.len() as u32 * 64 - ports;
        let taken = inner
            .taken
            .iter()
            .map(|word| word.count_ones())
            .sum::<u32>()
            - padding;
        let resting = (inner.resting.len() + inner.returned.len()) as u32;
        NatPoolUsage {
            ports,
            leased: taken - resting,
            resting,
            exhausted: inner.exhausted,
            high_water: inner.high_water,
        }
    }
}

/// Ports that one new lease lays to rest, and that it frees, where many came back at once.
const AT_ONCE: usize = 64;

impl Inner {
    /// Notes a new lease.
    fn note(&mut self, lease: &Arc<NatLease>) {
        self.leases.insert(lease.port, Arc::downgrade(lease));
        self.high_water = self.high_water.max(self.leases.len() as u32);
    }

    /// Lays returned ports to rest and frees those that have rested, some of them: a packet waits meanwhile. None rests for longer than
    /// `hold_down` from now on.
    fn wake(&mut self, now: Moment, hold_down: Duration) {
        let first = *self.ports.start();
        let until = now + hold_down;
        if self.resting.back().is_some_and(|(last, _)| *last > until) {
            for (last, _) in &mut self.resting {
                *last = until.min(*last);
            }
        }
        // Without memory for them they are laid to rest later.
        if self.resting.try_reserve(AT_ONCE).is_ok() {
            let kept = self.returned.len().saturating_sub(AT_ONCE);
            let returned = self.returned.drain(kept..);
            self.resting.extend(returned.map(|port| (until, port)));
        }
        for _ in 0..AT_ONCE {
            let Some(&(until, port)) = self.resting.front() else {
                break;
            };
            if until > now {
                break;
            }
            self.resting.pop_front();
            self.free(port - first);
        }
    }

    fn free(&mut self, bit: u16) {
        if let Some(word) = self.taken.get_mut(usize::from(bit / 64)) {
            *word &= !(1 << (bit % 64));
        }
    }

    /// Takes this bit, if it is free.
    fn take(&mut self, bit: u16) -> Option<u16> {
        let word = self.taken.get_mut(usize::from(bit / 64))?;
        let mask = 1 << (bit % 64);
        let free = *word & mask == 0;
        *word |= mask;
        free.then_some(bit)
    }

    /// Takes the first free bit of those in `among` of each word, from a drawn place on.
    fn draw(&mut self, drawn: u64, among: u64) -> Option<u16> {
        let words = self.taken.len();
        let start = (drawn >> 32) as usize % words;
        // The first word is looked at twice: the second time the bits before the drawn one have their turn.
        for step in 0..=words {
            let index = (start + step) % words;
            let rotation = if step == 0 { drawn as u32 % 64 } else { 0 };
            let word = self.taken.get_mut(index)?;
            let free = (!*word & among).rotate_right(rotation);
            let free = if step == 0 {
                free & u64::MAX >> rotation
            } else {
                free
            };
            if free != 0 {
                let bit = (free.trailing_zeros() + rotation) % 64;
                *word |= 1 << bit;
                return Some((index * 64) as u16 + bit as u16);
            }
        }
        None
    }
}

fn endpoint((address, port): (IpAddr, u16)) -> Endpoint {
    let address = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    (port, address.to_bits())
}

/// A bit for each port, all free; `None` if there are none.
fn all_free(ports: &RangeInclusive<u16>) -> Option<Vec<u64>> {
    let count = usize::from(ports.end().checked_sub(*ports.start())?) + 1;
    let mut taken = vec![0_u64; count.div_ceil(64)];
    if let Some(last) = taken.last_mut().filter(|_| count % 64 != 0) {
        // Bits behind the last port are never free.
        *last = u64::MAX << (count % 64);
    }
    Some(taken)
}

/// Every other bit, from the second on.
const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// The far ends that a mapping has live flows with, and with how many flows each.
enum Remotes {
    None,
    /// Most private endpoints have one flow.
    One(IpAddr, u32),
    More(BTreeMap<IpAddr, u32>),
}

impl NatLease {
    /// The external port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Says that no packet has gone out from the port: it need not rest when it goes back.
    pub(super) fn discard(&self) {
        self.unused.store(true, Ordering::Relaxed);
    }

    /// The private address and port.
    pub fn private(&self) -> (IpAddr, u16) {
        self.private
    }

    /// Whether the private endpoint has a flow with this far end.
    pub(super) fn talks_to(&self, remote: IpAddr) -> bool {
        match &*self.remotes.lock() {
            Remotes::None => false,
            Remotes::One(one, _) => *one == remote,
            Remotes::More(all) => all.contains_key(&remote),
        }
    }

    /// A flow with this far end begins.
    pub(super) fn begin(&self, remote: IpAddr) {
        let mut remotes = self.remotes.lock();
        match &mut *remotes {
            Remotes::None => *remotes = Remotes::One(remote, 1),
            Remotes::One(one, flows) if *one == remote => *flows += 1,
            Remotes::One(one, flows) => {
                *remotes = Remotes::More([(*one, *flows), (remote, 1)].into());
            }
            Remotes::More(all) => *all.entry(remote).or_default() += 1,
        }
    }

    /// A flow with this far end is over.
    pub(super) fn end(&self, remote: IpAddr) {
        let mut remotes = self.remotes.lock();
        match &mut *remotes {
            Remotes::None => {}
            Remotes::One(_, flows) => {
                *flows -= 1;
                if *flows == 0 {
                    *remotes = Remotes::None;
                }
            }
            Remotes::More(all) => {
                if let Some(flows) = all.get_mut(&remote) {
                    *flows -= 1;
                    if *flows == 0 {
                        all.remove(&remote);
                    }
                }
            }
        }
    }
}

impl Drop for NatLease {
    fn drop(&mut self) {
        if self.imagined {
            return;
        }
        let mut inner = self.pool.inner.lock();
        // The pool may have got other ports since, and the port to it again.
        let known = inner.leases.get(&self.port);
        if !known.is_some_and(|lease| core::ptr::eq(lease.as_ptr(), self)) {
            return;
        }
        // The endpoint may have got another port since this lease had its last user.
        if inner.mapped.get(&endpoint(self.private)) == Some(&self.port) {
            inner.mapped.remove(&endpoint(self.private));
        }
        inner.leases.remove(&self.port);
        // Without memory to note that the port is to rest, it does not.
        if self.unused.load(Ordering::Relaxed) || inner.returned.try_reserve(1).is_err() {
            let bit = self.port - inner.ports.start();
            inner.free(bit);
        } else {
            inner.returned.push(self.port);
        }
    }
}

impl fmt::Debug for NatPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.ports();
        write!(f, "NatPool({}-{})", ports.start(), ports.end())
    }
}

impl fmt::Debug for NatLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatLease({})", self.port)
    }
}
