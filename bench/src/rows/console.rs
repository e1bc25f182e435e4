//! Bytes that a guest writes to the PL011.

use std::io::Read;
use std::time::Instant;

use crate::exits;
use crate::growth::exponent;
use crate::stage::Stage;
use crate::table::{Must, Row, Series};
use crate::vmm::{Guest, Vmm, compare};

/// Bytes that are written for the figures, and once, to see that time grows as they do.
const LEN: u64 = 4 << 10;
const FEWER: u64 = LEN / 4;

/// One line of the guest's text.
const LINE: u64 = 64;

/// Written one after the other, without a look at the flags.
pub fn write(stage: &Stage) -> Vec<Row> {
    rows(stage, "bench_write")
}

/// As Linux's driver does, which reads UARTFR before each byte.
pub fn poll(stage: &Stage) -> Vec<Row> {
    rows(stage, "bench_poll")
}

/// Three rows: time for a byte, returns of KVM_RUN for a byte, and how time grows with the bytes.
fn rows(stage: &Stage, name: &str) -> Vec<Row> {
    let guest = |len| Guest::flat(stage.guest(name, 0, &[("count", LINE + len)]));
    let (mut exit_counts, mut exponents) = (Vec::new(), Vec::new());
    let time = compare(stage, "us", Must::Ratio(1.0), |vmm| {
        let all = guest(LEN);
        let mut exits = None;
        let series = Series::measure(|| {
            let run = || run(stage, vmm, &all, LEN) / LEN as f64;
            // Counted while it warms up, for counting takes time.
            if exits.is_none() { exits.insert(exits::count(run)).1 } else { run() }
        });
        let fewer = run(stage, vmm, &guest(FEWER), FEWER);
        let points = [(FEWER as f64, fewer), (LEN as f64, series.median() * LEN as f64)];
        exponents.push(Series::of(vec![exponent(&points)]));
        let count = exits.and_then(|(count, _)| count);
        exit_counts.push(count.map(|count| Series::of(vec![count as f64 / (LINE + LEN) as f64])));
        series
    });
    let minivmm = exit_counts.pop().flatten();
    let exits =
        Row { unit: "exits", qemu: exit_counts.pop().flatten(), minivmm, must: Must::Nothing };
    let minivmm = exponents.pop();
    let growth = Row { unit: "exponent", qemu: exponents.pop(), minivmm, must: Must::AtMost(1.1) };
    vec![time, exits, growth]
}

/// Microseconds for `len` bytes, which a line went before: minivmm hands on whole lines.
fn run(stage: &Stage, vmm: Vmm, guest: &Guest, len: u64) -> f64 {
    let mut running = vmm.start(stage, guest, None);
    let mut said = vec![0; (LINE + len) as usize];
    let (first, rest) = said.split_at_mut(LINE as usize);
    running.console().read_exact(first).expect("the first line");
    let start = Instant::now();
    running.console().read_exact(rest).expect("the last byte");
    let time = start.elapsed().as_secs_f64() * 1e6;
    let line = ["x".repeat(63), "\n".into()].concat();
    assert!(
        said.chunks(line.len()).all(|chunk| chunk == line.as_bytes()),
        "{}",
        said.escape_ascii()
    );
    assert!(running.read_to_end().is_empty() && running.wait().success());
    time
}
