//! What a stop costs: steps, and the registers read after them.

use std::time::Instant;

use crate::client::Debugger;
use crate::stage::Stage;
use crate::table::{Must, Row, Series};
use crate::vmm::{Vmm, compare};

const GUEST: &str = "bench_rounds";
const STEPS: u32 = 200;
const ASKS: u32 = 200;
/// Number of the register pc in target.xml.
const PC: u32 = 32;

/// A guest in its rounds, MMU and caches on.
pub fn in_rounds(stage: &Stage, vmm: Vmm, len: usize) -> Debugger {
    let mut debugger = Debugger::start(stage, vmm, stage.guest(GUEST, len, &[]));
    debugger.run_to(stage.symbol(GUEST, "round"));
    debugger
}

/// Microseconds for each of `count` that are done in `run`.
pub fn each(count: u32, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

/// From `vCont;s` to its stop reply, which has all general registers in minivmm's case and none in
/// QEMU's.
pub fn step(stage: &Stage) -> Vec<Row> {
    vec![compare(stage, "us", Must::AtMost(420.0), |vmm| {
        let mut debugger = in_rounds(stage, vmm, 0);
        Series::measure(|| each(STEPS, || (0..STEPS).for_each(|_| debugger.step())))
    })]
}

/// `g`, the guest standing where it stood at the last one.
pub fn registers(stage: &Stage) -> Vec<Row> {
    vec![compare(stage, "us", Must::AtMost(200.0), |vmm| {
        let mut debugger = in_rounds(stage, vmm, 0);
        Series::measure(|| each(ASKS, || (0..ASKS).for_each(|_| get_registers(&mut debugger))))
    })]
}

/// `vCont;s`, then `g`.
pub fn step_and_registers(stage: &Stage) -> Vec<Row> {
    vec![compare(stage, "us", Must::Nothing, |vmm| {
        let mut debugger = in_rounds(stage, vmm, 0);
        let mut step = || {
            debugger.step();
            get_registers(&mut debugger);
        };
        Series::measure(|| each(STEPS, || (0..STEPS).for_each(|_| step())))
    })]
}

fn get_registers(debugger: &mut Debugger) {
    let reply = debugger.ask("g");
    // With SVE it has x0 to cpsr alone, and the bench's guest leaves most of them 0.
    assert!(reply.len() > 40, "g: {}", reply.escape_ascii());
}

/// A packet that asks for nothing but the current thread's name.
pub fn round_trip(stage: &Stage) -> Vec<Row> {
    vec![compare(stage, "us", Must::Nothing, |vmm| {
        let mut debugger = in_rounds(stage, vmm, 0);
        Series::measure(|| bare(&mut debugger))
    })]
}

/// Microseconds for a packet that has nothing done.
pub fn bare(debugger: &mut Debugger) -> f64 {
    each(ASKS, || {
        for _ in 0..ASKS {
            assert!(debugger.ask("qC").starts_with(b"QC"));
        }
    })
}

/// An instruction of a loop, within one packet. QEMU has no `vCont;r`: there it is a `vCont;s` each.
pub fn range(stage: &Stage) -> Vec<Row> {
    const INSTRUCTIONS: u32 = 2001;
    let [start, end] = ["counted", "counted_end"].map(|label| stage.symbol(GUEST, label));
    vec![compare(stage, "us", Must::AtMost(60.0), |vmm| {
        let mut debugger = in_rounds(stage, vmm, 0);
        Series::measure(|| {
            debugger.set_register(PC, start);
            match vmm {
                Vmm::Qemu => each(STEPS, || (0..STEPS).for_each(|_| debugger.step())),
                Vmm::Minivmm => {
                    let packet = format!("vCont;r{start:x},{end:x}:p1.1");
                    let time = each(INSTRUCTIONS, || debugger.resume(&packet));
                    assert_eq!(debugger.register(PC), end);
                    time
                }
            }
        })
    })]
}
