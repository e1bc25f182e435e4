//! How soon a guest runs, and how soon all is over.

use std::io::Read;

use crate::counter;
use crate::stage::Stage;
use crate::table::{Must, Row, Series};
use crate::vmm::{Guest, Vmm, compare};

/// A guest that does nothing but power off: the whole process.
pub fn power_off(stage: &Stage) -> Vec<Row> {
    let guest = Guest::flat(stage.guest("bench_off", 0, &[]));
    vec![compare(stage, "ms", Must::AtMost(7.0), |vmm| {
        Series::measure(|| vmm.whole_run(stage, &guest))
    })]
}

/// From exec to the first instruction, with a kernel of 40 MB and an initrd of 2 MB.
pub fn first_instruction(stage: &Stage) -> Vec<Row> {
    let guest = Guest { initrd: Some(initrd(stage)), ..Guest::flat(stamp(stage, 40 << 20)) };
    vec![compare(stage, "ms", Must::AtMost(6.0), |vmm| {
        Series::measure(|| until_first_instruction(stage, vmm, &guest))
    })]
}

/// A guest of so many bytes that tells the time of its first instruction.
pub fn stamp(stage: &Stage, len: usize) -> std::path::PathBuf {
    stage.guest("bench_stamp", len, &[])
}

fn initrd(stage: &Stage) -> std::path::PathBuf {
    let path = stage.file("initrd");
    let linux = std::fs::read(stage.file("Image-6.12")).expect("the Linux kernel");
    std::fs::write(&path, &linux[..2 << 20]).expect("room in memory");
    path
}

/// Milliseconds from exec to the first instruction of a [`stamp`] guest.
pub fn until_first_instruction(stage: &Stage, vmm: Vmm, guest: &Guest) -> f64 {
    let exec = counter::now();
    let mut running = vmm.start(stage, guest, None);
    let mut said = [0; 16];
    running.console().read_exact(&mut said[..1]).expect("the guest's first byte");
    let first_byte = counter::now();
    running.console().read_exact(&mut said[1..]).expect("the guest's stamp");
    let said = String::from_utf8_lossy(&said).into_owned();
    let stamp = u64::from_str_radix(&said, 16).unwrap_or_else(|_| panic!("no number: {said}"));
    assert!(
        exec < stamp && stamp < first_byte,
        "the guest's counter is not the host's: {stamp} is not between {exec} and {first_byte}"
    );
    running.read_to_end();
    assert!(running.wait().success());
    counter::duration(stamp - exec).as_secs_f64() * 1e3
}
