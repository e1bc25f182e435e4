//! The guest's performance monitors.

use std::fs;

use tests::{Minivmm, skip};

#[test]
fn a_guest_counts_its_cycles_and_is_interrupted_when_the_counter_overflows() {
    let mut devices = fs::read_dir("/sys/bus/event_source/devices").unwrap();
    if !devices.any(|device| device.unwrap().file_name().to_str().unwrap().starts_with("armv8")) {
        return skip("has no PMU");
    }

    let finished = Minivmm::start_bare("pmu", &[]).finish();

    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
    assert_eq!(finished.console, "cycles\noverflow\ninterrupt\n");
}

#[test]
fn a_guest_has_none_where_they_are_off() {
    let finished = Minivmm::start_bare("pmu", &["--cpu-features", "pmu=off"]).finish();

    assert_eq!((finished.status, finished.console.as_str()), (0, "none\n"));
}
