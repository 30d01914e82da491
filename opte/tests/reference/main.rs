//! The engine against a reference that caches nothing: on any configuration and any sequence of packets, changes and pauses
//! both say the same of every packet, with the same bytes and the same counters, and nothing is held when all is over.
//!
//! The reference makes each layer's change on the bytes, one layer after the other, and computes checksums anew. So what is
//! compared is also fused against layer by layer, first packets against later ones, and traces against what happens.
//! TCP is left to `tcp.rs`: whether a segment passes is decided by the connection, not by the layers.
//!
//! More cases: `PROPTEST_CASES=100000 cargo test --release -p opte --test reference`.
#![allow(unreachable_pub)]

mod bytes;
mod config;
mod plain;
mod real;
mod rules;

use std::sync::atomic::Ordering;

use config::{Config, Event, config, event};
use opte::Direction;
use plain::{Fate, Plain};
use proptest::prelude::*;
use real::Real;

struct Both {
    plain: Plain,
    real: Real,
    layers: usize,
    tunnel: bool,
    /// What was sent, and what came out of it.
    sent: Vec<(Direction, Vec<u8>)>,
    passed: Vec<(Direction, Vec<u8>)>,
}

impl Both {
    fn new(cfg: &Config) -> Self {
        Self {
            plain: Plain::new(cfg),
            real: Real::new(cfg),
            layers: cfg.layers.len(),
            tunnel: cfg.tunnel,
            sent: Vec::new(),
            passed: Vec::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Send(dir, cfg) => self.send(*dir, &bytes::make(cfg)),
            Event::Answer(dir) => {
                let mut passed = self.passed.iter().rev();
                let other = passed.find(|(of, _)| of.opposite() == *dir);
                if let Some(answer) = other.map(|(_, frame)| bytes::mirror(frame)) {
                    self.send(*dir, &answer);
                }
            }
            Event::Again(back) => {
                let sent = self.sent.iter().rev().nth(*back).cloned();
                if let Some((dir, frame)) = sent {
                    self.send_whole(dir, &frame);
                }
            }
            Event::Add(layer, dir, rule) => {
                let layer = layer.index(self.layers);
                let id = self.plain.add(layer, *dir, rule);
                assert_eq!(self.real.add(layer, *dir, rule), id);
            }
            Event::Remove(layer, dir, rule) => {
                let layer = layer.index(self.layers);
                if let Some(id) = self.plain.remove(layer, *dir, *rule) {
                    self.real.remove(layer, *dir, id);
                }
            }
            Event::Set(layer, into, out) => {
                let layer = layer.index(self.layers);
                self.plain.set(layer, into, out);
                self.real.set(layer, into, out);
            }
            Event::ClearUft => {
                self.plain.clear_uft();
                self.real.clear_uft();
            }
            Event::ClearLft(layer) => {
                let layer = layer.index(self.layers);
                self.plain.clear_lft(layer);
                self.real.clear_lft(layer);
            }
            Event::Wait(long) => self.plain.now += if *long { 2_000_000 } else { 500 },
            Event::Expire => {
                self.plain.expire();
                self.real.expire(self.plain.now);
            }
        }
    }

    fn send(&mut self, dir: Direction, frame: &[u8]) {
        let whole = if self.tunnel && dir == Direction::In {
            bytes::push(frame, 2, 1)
        } else {
            frame.to_vec()
        };
        self.send_whole(dir, &whole);
    }

    fn send_whole(&mut self, dir: Direction, frame: &[u8]) {
        let now = self.plain.now;
        let traced = self.real.trace(dir, now, frame);
        let asked = self.plain.asked;
        let expected = self.plain.process(dir, frame);
        // A trace takes no port: where one comes after another it cannot tell the second.
        if self.plain.asked - asked <= 1 {
            assert_eq!(traced, expected, "traced");
        }
        assert_eq!(self.real.process(dir, now, frame), expected, "processed");
        self.sent.push((dir, frame.to_vec()));
        if let Fate::Forward(frame) = expected {
            let inner = if self.tunnel && dir == Direction::Out {
                bytes::pop(&frame)
            } else {
                frame
            };
            self.passed.push((dir, inner));
        }
    }

    fn counters_agree(&self) {
        for layer in 0..self.layers {
            for dir in Direction::BOTH {
                assert_eq!(
                    self.real.counters(layer, dir),
                    self.plain.counters(layer, dir),
                    "hits {dir:?} in layer {layer}"
                );
            }
        }
    }

    /// Long after the last packet nothing is held.
    fn nothing_is_left(&mut self) {
        self.real.expire(self.plain.now + 100_000_000);
        assert_eq!(self.real.held(), (0, 0), "flows and programs");
        assert_eq!(self.real.ports.in_use.load(Ordering::Relaxed), 0, "ports");
    }
}

/// As many as `PROPTEST_CASES` says, or else few.
fn cases() -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_reference_does(
        cfg in config(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut both = Both::new(&cfg);
        for event in &events {
            both.happen(event);
        }
        both.counters_agree();
        both.nothing_is_left();
    }
}
