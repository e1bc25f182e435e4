//! How often KVM_RUN returned, counted by the kernel's own tracepoint.

use std::fs;
use std::path::Path;
use std::process::Command;

const TRACING: &str = "/sys/kernel/tracing";
/// Once at each return of KVM_RUN, whatever the reason (virt/kvm/kvm_main.c). A histogram needs no buffer that could overflow
/// (Documentation/trace/histogram.rst).
const TRIGGER: &str = "/sys/kernel/tracing/events/kvm/kvm_userspace_exit/trigger";
const HISTOGRAM: &str = "/sys/kernel/tracing/events/kvm/kvm_userspace_exit/hist";

/// Returns of all KVM_RUNs of this host during `run`, `None` where tracing is not allowed; and what `run` returns.
pub fn count<T>(run: impl FnOnce() -> T) -> (Option<u64>, T) {
    if !Path::new(TRIGGER).exists() {
        let _ = Command::new("mount").args(["-t", "tracefs", "tracefs", TRACING]).status();
    }
    let is_counting = fs::write(TRIGGER, "hist:keys=reason").is_ok();
    let value = run();
    (is_counting.then(total), value)
}

fn total() -> u64 {
    let histogram = fs::read_to_string(HISTOGRAM).expect("the histogram");
    fs::write(TRIGGER, "!hist:keys=reason").expect("the trigger goes as it came");
    let hits = histogram.lines().find_map(|line| line.trim().strip_prefix("Hits:"));
    hits.expect("a total").trim().parse().expect("a number")
}
