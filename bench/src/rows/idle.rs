//! What a guest costs that does nothing: Linux at its shell prompt.

use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use crate::process;
use crate::stage::Stage;
use crate::table::{Must, RUNS, Row, Series};
use crate::vmm::{Guest, compare};

/// For what the kernel put off until after its start.
const SETTLING: Duration = Duration::from_secs(5);
/// All of them together are a minute.
const WINDOW: Duration = Duration::from_secs(60 / RUNS as u64);

/// Two rows: memory beyond the guest's RAM, and CPU time of all threads that are no vCPU's.
pub fn idle(stage: &Stage) -> Vec<Row> {
    let guest = Guest::linux(stage, "console=ttyAMA0 panic=-1 quiet");
    let mut times = Vec::new();
    let memory = compare(stage, "MiB", Must::AtMost(3.0), |vmm| {
        let mut running = vmm.start(stage, &guest, None);
        let mut said = Vec::new();
        while !said.ends_with(b"# ") {
            let mut byte = [0];
            running.console().read_exact(&mut byte).expect("the guest's prompt");
            said.extend(byte);
        }
        sleep(SETTLING);
        let pid = running.pid();
        // Both kinds of threads are told apart, for both have worked.
        assert!(process::cpu_time(pid, process::is_vcpu) > 0, "{vmm:?} has no vCPU thread");
        assert!(process::cpu_time(pid, |name| !process::is_vcpu(name)) > 0, "{vmm:?}'s own");
        let mut time = Vec::new();
        let mut memory = Vec::new();
        for _ in 0..RUNS {
            let before = process::cpu_time(pid, |name| !process::is_vcpu(name));
            sleep(WINDOW);
            let after = process::cpu_time(pid, |name| !process::is_vcpu(name));
            time.push((after - before) as f64 / 1e3);
            memory.push(process::memory_beyond_ram(pid, guest.memory << 10) as f64 / 1024.0);
        }
        times.push(Series::of(time));
        Series::of(memory)
    });
    let minivmm = times.pop();
    vec![memory, Row { unit: "us", qemu: times.pop(), minivmm, must: Must::BeNothing }]
}

/// Size of the program without symbols and line tables. QEMU's is that of Debian's package, without the libraries that it needs.
pub fn size(stage: &Stage) -> Vec<Row> {
    let megabytes = |bytes: u64| Series::of(vec![bytes as f64 / 1e6]);
    let qemu = stage.qemu.as_ref().and_then(|words| std::fs::metadata(words.last()?).ok());
    let qemu = qemu.map(|file| megabytes(file.len()));
    let minivmm = Some(megabytes(stage.stripped_len));
    vec![Row { unit: "MB", qemu, minivmm, must: Must::AtMost(3.0) }]
}
