//! Restoring a port.

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;

use super::aside::{Hits, MOST, Resting};
use super::record::{LAYOUT, Record};
use super::{Head, Kind, RestoreError, Tail, open};
use crate::flow::{Decisions, Key, NewFlow, NewSide, Past};
use crate::network::Network;
use crate::port::miss::Back;
use crate::port::walk::{End, Walk};
use crate::port::{Inner, Port, PortState};
use crate::time::Moment;

/// How far a restoration has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Flows that are back.
    pub flows: u32,
    /// Flows that the rules of now do not let pass, or whose NAT port is not to be had.
    pub refused: u32,
    /// Whether that was the last page: the port is [`PortState::Restored`].
    pub complete: bool,
}

/// A restoration that is not complete.
pub(in crate::port) struct Restoring {
    /// The number of the page that is due.
    page: u32,
    /// Flows there are to be.
    flows: u32,
    so_far: Restored,
    /// What is made good with the last page.
    resting: Vec<Resting>,
    hits: Vec<Hits>,
}

impl Restoring {
    /// A page is done; what has come so far.
    fn next_page(&mut self) -> Restored {
        self.page += 1;
        self.so_far
    }
}

/// Adds what a page has in it; `None` if that is not what it should be, or too much.
fn take<T: DeserializeOwned>(body: &[u8], all: &mut Vec<T>) -> Option<()> {
    let more: Vec<T> = postcard::from_bytes(body).ok()?;
    let fits = all.len() + more.len() <= MOST && all.try_reserve(more.len()).is_ok();
    fits.then(|| all.extend(more))
}

impl<N: Network> Port<N> {
    /// Takes one page of saved state in, all pages in their order. The port is ready and has no flows; with the last page it
    /// is [`PortState::Restored`], and [`Port::start`] lets packets through.
    ///
    /// Every flow is judged by the rules of now, and comes back if they let it pass, with its counters, TCP connection, NAT
    /// port and the time it had left; what is done to its packets is found anew.
    ///
    /// # Errors
    /// What is wrong with the page. The port then has no flows, as before the first page, and what they held is as it was.
    pub fn restore(&self, now: Moment, page: &[u8]) -> Result<Restored, RestoreError> {
        let _one = self.commands.lock();
        let mut inner = self.inner.lock();
        let state = self.state();
        if state != PortState::Ready {
            return Err(RestoreError::BadState(state));
        }
        let outcome = inner.restore(self, now, page);
        match outcome {
            Ok(Restored { complete: true, .. }) => {
                inner.restoring = None;
                self.set_state(PortState::Restored);
            }
            Ok(_) => {}
            Err(_) => inner.give_up_restoring(),
        }
        outcome
    }
}

impl<N: Network> Inner<N> {
    /// Takes out what an incomplete restoration has brought.
    pub(in crate::port) fn give_up_restoring(&mut self) {
        if self.restoring.take().is_none() {
            return;
        }
        for id in 0..self.flows.end() {
            let decisions = self.flows.set_decisions(id, Decisions::new());
            (0..self.layers.len())
                .filter_map(|at| decisions.descriptor(at))
                .for_each(|descriptor| descriptor.discard());
            self.flows.remove(id);
        }
    }

    fn restore(
        &mut self,
        port: &Port<N>,
        now: Moment,
        page: &[u8],
    ) -> Result<Restored, RestoreError> {
        let (number, kind, body) = open(page)?;
        let expected = self
            .restoring
            .as_ref()
            .map_or(0, |restoring| restoring.page);
        if number != expected {
            return Err(RestoreError::Page {
                expected,
                found: number,
            });
        }
        let corrupt = RestoreError::Corrupt { page: number };
        match (kind, self.restoring.take()) {
            (Kind::Head, None) => self.begin(port, postcard::from_bytes(body).ok(), corrupt),
            (Kind::Flows, Some(mut restoring)) => {
                let done = self.flows_of(port, now, body, &mut restoring);
                let so_far = restoring.next_page();
                self.restoring = Some(restoring);
                done.unwrap_or(Err(corrupt)).map(|()| so_far)
            }
            (Kind::Resting, Some(mut restoring)) => {
                let taken = take(body, &mut restoring.resting);
                let so_far = restoring.next_page();
                self.restoring = Some(restoring);
                taken.ok_or(corrupt).map(|()| so_far)
            }
            (Kind::Hits, Some(mut restoring)) => {
                let taken = take(body, &mut restoring.hits);
                let so_far = restoring.next_page();
                self.restoring = Some(restoring);
                taken.ok_or(corrupt).map(|()| so_far)
            }
            (Kind::End, Some(restoring)) => {
                let (so_far, tail) = (restoring.so_far, postcard::from_bytes::<Tail>(body));
                self.restoring = Some(restoring);
                match tail {
                    Ok(tail) if tail.flows == so_far.flows + so_far.refused => {
                        self.complete(now);
                        Ok(Restored {
                            complete: true,
                            ..so_far
                        })
                    }
                    _ => Err(corrupt),
                }
            }
            (_, restoring) => {
                self.restoring = restoring;
                Err(corrupt)
            }
        }
    }

    /// Makes good what need not be before all pages have come.
    fn complete(&mut self, now: Moment) {
        if let Some(restoring) = self.restoring.take() {
            self.rest(now, &restoring.resting);
            self.count_again(&restoring.hits);
            self.restoring = Some(restoring);
        }
    }

    fn begin(
        &mut self,
        port: &Port<N>,
        head: Option<Head>,
        corrupt: RestoreError,
    ) -> Result<Restored, RestoreError> {
        let head = head.ok_or(corrupt)?;
        let network = port.network.instance();
        if head.network != network {
            return Err(RestoreError::Network {
                expected: network,
                found: head.network,
            });
        }
        let layers = self.layer_names();
        if head.layers != layers {
            return Err(RestoreError::Layers {
                expected: layers,
                found: head.layers,
            });
        }
        if head.layout != LAYOUT {
            return Err(RestoreError::Layout {
                expected: String::from(LAYOUT),
                found: head.layout,
            });
        }
        if head.flows > self.flows.limit() {
            return Err(RestoreError::TooManyFlows {
                limit: self.flows.limit(),
                found: head.flows,
            });
        }
        if self.flows.len() != 0 {
            return Err(RestoreError::BadState(PortState::Ready));
        }
        self.restoring = Some(Restoring {
            page: 1,
            flows: head.flows,
            so_far: Restored::default(),
            resting: Vec::new(),
            hits: Vec::new(),
        });
        Ok(Restored::default())
    }

    /// The flows of a page; `None` if that is not what is in it.
    fn flows_of(
        &mut self,
        port: &Port<N>,
        now: Moment,
        mut body: &[u8],
        restoring: &mut Restoring,
    ) -> Option<Result<(), RestoreError>> {
        while !body.is_empty() {
            let (record, rest) = Record::read(body)?;
            body = rest;
            let key = N::Key::from_words(record.key);
            let so_far = &mut restoring.so_far;
            let surplus = so_far.flows + so_far.refused >= restoring.flows;
            if surplus || key.words() != record.key || !key.is_flow() {
                return None;
            }
            if !self.flows.has_free_place() {
                return Some(Err(RestoreError::NoMemory));
            }
            match self.flow_of(port, now, key, record) {
                true => so_far.flows += 1,
                false => so_far.refused += 1,
            }
        }
        Some(Ok(()))
    }

    /// Enters one flow again, if the rules let it pass; says whether they do.
    fn flow_of(&mut self, port: &Port<N>, now: Moment, key: N::Key, record: Record) -> bool {
        let Record { first, l3, .. } = record;
        self.flows.trails.make_room();
        let trails = &mut self.flows.trails;
        let mut walk = Walk::restored(first, key, l3, record.states, trails);
        let setting = port.setting(port.context(now), trails);
        let end = walk.forward(setting, &mut self.layers, |_| None, None);
        if end != End::Pass || !walk.of_flow {
            return false;
        }
        let mut back = None;
        if record.both {
            self.back_of(port, &walk, &mut back);
        }
        let new = NewFlow {
            first,
            proto: record.proto,
            connection: record.connection.as_ref(),
            epoch: port.epoch(),
            forward: NewSide {
                key: &key,
                hash: port.flows.hash(key.words()),
                l3,
                made: walk.stand.made(),
            },
            back: back.as_ref().map(Back::side),
            decisions: &mut walk.decisions,
        };
        let past = Past {
            packets: record.packets,
            bytes: record.bytes,
            left: record.left,
        };
        self.flows.restore(now, new, &past)
    }
}
