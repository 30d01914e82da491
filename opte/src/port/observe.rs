//! Packets that somebody looks at.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use opte_headers::frame::Parsed;

use super::process::entropy;
use super::{Inner, Port, Step, Verdict, Worker};
use crate::Direction;
use crate::api::FlowId;
use crate::epoch::Gate;
use crate::flow::{Key, Passage};
use crate::network::Network;
use crate::packet::Packet;
use crate::probe::{Event, Point, Probe};
use crate::sync::KRwLock;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::time::Moment;

/// The probe of a port, if it has one.
#[derive(Default)]
pub(super) struct Probes {
    on: AtomicBool,
    probe: KRwLock<Option<Arc<dyn Probe>>>,
}

/// Room for what a program puts before a frame.
const HEAD_ROOM: usize = 128;

impl Probes {
    /// Whether anybody looks.
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    pub(super) fn fire(&self, event: &Event<'_>) {
        if let Some(probe) = &*self.probe.read() {
            probe.fire(event);
        }
    }
}

impl<N: Network> Port<N> {
    /// Shows what happens from now on to `probe`, in the place of the one there was; to nobody, if there is none.
    pub fn observe(&self, probe: Option<Arc<dyn Probe>>) {
        let on = probe.is_some();
        self.gate.set(Gate::WATCHED, on);
        self.inner.lock().flows.watch(on);
        let before = mem::replace(&mut *self.probes.probe.write(), probe);
        self.probes.on.store(on, Ordering::Release);
        drop(before);
    }

    /// Shows the flows that came and went.
    pub(super) fn show_passages(&self, now: Moment, frame: &[u8], passages: Vec<Passage>) {
        for Passage { dir, made, flow } in passages {
            let point = match made {
                true => Point::FlowMade,
                false => Point::FlowEnded,
            };
            self.probes.fire(&Event {
                port: &self.name,
                now,
                dir,
                point,
                flow: Some(flow),
                frame: if made { frame } else { &[] },
            });
        }
    }

    /// Shows what the layers did to a packet that has walked them, or part of them.
    #[cold]
    pub(super) fn show_steps(
        &self,
        dir: Direction,
        now: Moment,
        (frame, parsed, hash): (&[u8], &Parsed, u32),
        steps: &[Step],
    ) {
        let mut stands = frame.to_vec();
        for step in steps {
            let show = |point, flow: &FlowId, frame: &[u8]| {
                self.probes.fire(&Event {
                    port: &self.name,
                    now,
                    dir,
                    point,
                    flow: Some(*flow),
                    frame,
                });
            };
            show(Point::BeforeLayer(&step.layer), &step.before, &stands);
            let mut buf = [&[0; HEAD_ROOM][..], frame].concat();
            let end = buf.len();
            if let Some(mut packet) = Packet::new(&mut buf, HEAD_ROOM, end)
                && packet.apply(&step.so_far, parsed, entropy(hash)).is_ok()
            {
                stands = packet.frame().to_vec();
            }
            let after = Point::AfterLayer {
                layer: &step.layer,
                rule: step.rule,
            };
            show(after, &step.after, &stands);
        }
    }
}

impl<N: Network> Inner<N> {
    /// The flows that came and went since they were asked for.
    pub(super) fn passages(&mut self) -> Vec<Passage> {
        self.flows.take_passages()
    }
}

impl<N: Network> Worker<'_, N> {
    /// As [`Worker::process`], with everything shown.
    #[cold]
    #[inline(never)]
    pub(super) fn process_observed(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        // Whoever looks sees it in its tunnel.
        packet.stays_not();
        let frame = packet.frame().to_vec();
        let parsed = port.network.parse(dir, &frame).ok();
        let flow = parsed
            .map(|parsed| port.network.key(dir, &parsed, &frame))
            .filter(Key::is_flow)
            .map(|key| key.id());
        let show = |point, frame: &[u8]| {
            port.probes.fire(&Event {
                port: &port.name,
                now,
                dir,
                point,
                flow,
                frame,
            });
        };
        show(Point::Arrived, &frame);
        self.counts.walked.set(false);
        let verdict = self.general(dir, now, packet, reply);
        let passages = port.inner.lock().passages();
        port.show_passages(now, &frame, passages);
        match verdict {
            Verdict::Forward { .. } | Verdict::ForwardWithHeld { .. } => {
                let point = match self.counts.walked.get() {
                    true => Point::Walked,
                    false => Point::Hit,
                };
                show(point, packet.frame());
            }
            Verdict::Held => show(Point::Held, &frame),
            Verdict::Hairpin(len) => {
                show(
                    Point::Hairpin,
                    reply.get(..len as usize).unwrap_or_default(),
                );
            }
            Verdict::Drop(reason) => show(Point::Dropped(reason), &frame),
        }
        verdict
    }
}
