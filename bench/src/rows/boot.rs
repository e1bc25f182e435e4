//! Linux from exec to power-off: Debian's 6.12 cloud kernel and the busybox initramfs, 512 MiB, one vCPU.

use std::time::Instant;

use crate::stage::Stage;
use crate::table::{Must, Row, Series};
use crate::vmm::{Guest, Vmm, compare};

/// Two rows: the whole process, and the guest's own clock at its last line (`[    1.783994] reboot: Power down`).
pub fn quiet(stage: &Stage) -> Vec<Row> {
    let guest = Guest::linux(stage, "console=ttyAMA0 panic=-1 quiet -- true");
    let mut clocks = Vec::new();
    let whole = compare(stage, "s", Must::Ratio(0.80), |vmm| {
        let mut clock = Vec::new();
        let series = Series::measure(|| {
            let (time, said) = run(stage, vmm, &guest);
            clock.push(power_down(&said));
            time
        });
        // The first one was to warm up.
        clocks.push(Series::of(clock.split_off(1)));
        series
    });
    let minivmm = clocks.pop();
    vec![whole, Row { unit: "s", qemu: clocks.pop(), minivmm, must: Must::Nothing }]
}

/// With all that the kernel has to say, about 16 KB, from its first line on. Three runs: for the emulated host an exit is worth a
/// million instructions.
pub fn verbose(stage: &Stage) -> Vec<Row> {
    let guest = Guest::linux(stage, "console=ttyAMA0 earlycon panic=-1 -- true");
    vec![compare(stage, "s", Must::Nothing, |vmm| {
        Series::measure_times(3, || run(stage, vmm, &guest).0)
    })]
}

/// Seconds from exec to the end, and what the guest said.
fn run(stage: &Stage, vmm: Vmm, guest: &Guest) -> (f64, String) {
    let start = Instant::now();
    let mut running = vmm.start(stage, guest, None);
    let said = running.read_to_end();
    let status = running.wait();
    let time = start.elapsed().as_secs_f64();
    assert!(status.success() && said.contains("Power down"), "{vmm:?}: {status}: {said}");
    (time, said)
}

fn power_down(said: &str) -> f64 {
    let line = said.lines().find(|line| line.contains("Power down")).expect("its last line");
    let stamp = line.trim_start().trim_start_matches('[').split(']').next().expect("a time");
    stamp.trim().parse().unwrap_or_else(|_| panic!("no time: {line}"))
}
