//! Saving a port with a million flows, and restoring it.

use std::time::Instant;

use opte::port::Restored;

use crate::reference::Reference;
use crate::{Meter, Row, Unit};

/// Rows of this module.
pub const ROWS: &[Row] = &[
    row("save_1000000_flows", save),
    row("restore_1000000_flows", restore),
];

const FLOWS: usize = 1_000_000;

/// Two seconds each way.
const fn row(name: &'static str, run: fn(&mut Meter)) -> Row {
    Row {
        name,
        unit: Unit::Microseconds,
        budget: 2_000_000.0,
        run,
    }
}

fn save(meter: &mut Meter) {
    let reference = paused();
    let (start, mut bytes) = (Instant::now(), 0);
    each_page(&reference, |page| bytes += page.len());
    meter.found(start.elapsed().as_nanos() as f64 / 1000.0);
    assert!(bytes > FLOWS);
}

fn restore(meter: &mut Meter) {
    let reference = paused();
    let mut pages = Vec::new();
    each_page(&reference, |page| pages.push(page));
    drop(reference);
    let other = Reference::new(FLOWS as u32);
    other.vpc.port().reset();
    let (start, mut last) = (Instant::now(), Restored::default());
    for page in &pages {
        let port = other.vpc.port();
        last = port.restore(other.now, page).expect("what was saved");
    }
    meter.found(start.elapsed().as_nanos() as f64 / 1000.0);
    assert!(last.complete && last.flows == FLOWS as u32, "{last:?}");
}

/// A port with a million flows, paused.
fn paused() -> Reference {
    let reference = Reference::new(FLOWS as u32);
    reference.flows(FLOWS);
    reference.vpc.port().pause().expect("a running port");
    reference
}

fn each_page(reference: &Reference, mut each: impl FnMut(Vec<u8>)) {
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        let port = reference.vpc.port();
        let page = port
            .save(reference.now, from, 1 << 18)
            .expect("a paused port");
        cursor = page.next;
        each(page.bytes);
    }
}
