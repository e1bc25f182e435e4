//! Bare-metal guests: power, further vCPUs, and accesses that nobody can take.

use tests::{Finished, Minivmm};

fn run(guest: &str, more: &[&str]) -> Finished {
    Minivmm::start_bare(guest, more).finish()
}

#[test]
fn system_off_ends_with_0() {
    let finished = run("poweroff", &[]);

    assert_eq!(finished.console, "powering off\n");
    assert_eq!(finished.stderr, "");
    assert_eq!(finished.status, 0);
}

#[test]
fn system_reset_ends_with_32_and_says_so() {
    let finished = run("reset", &[]);

    assert_eq!(finished.console, "resetting\n");
    assert_eq!(finished.stderr, "minivmm: guest asked for a reset\n");
    assert_eq!(finished.status, 32);
}

#[test]
fn a_vcpu_is_turned_on_with_its_context_and_off_again() {
    let finished = run("cpus", &["--cpus", "2"]);

    assert_eq!(finished.console, "123456789abcdef0 is vCPU 1's context\nvCPU 1 is off\n");
    assert_eq!(finished.status, 0);
}

#[test]
fn a_vcpu_that_is_not_there_cannot_be_turned_on() {
    let finished = run("cpus", &["--cpus", "1"]);

    // INVALID_PARAMETERS (DEN0022, 5.2.2).
    assert_eq!(finished.console, "fffffffffffffffe from CPU_ON\n");
}

#[test]
fn a_suspended_vcpu_goes_on_when_its_timer_expires() {
    let finished = run("suspend", &[]);

    assert_eq!(finished.console, "suspending\n0000000000000000 from CPU_SUSPEND\n");
    assert_eq!(finished.status, 0);
}

#[test]
fn as_many_vcpus_start_as_kvm_offers() {
    let refusal = run("poweroff", &["--cpus", "100000"]).stderr;
    let limit = refusal.split("expected at most ").nth(1).and_then(|rest| rest.split(' ').next());
    let limit = limit.unwrap_or_else(|| panic!("no limit in {refusal:?}"));

    let finished = run("poweroff", &["--cpus", limit]);

    assert_eq!(finished.console, "powering off\n");
    assert_eq!(finished.status, 0, "{limit} vCPUs: {}", finished.stderr);
}

#[test]
fn where_nothing_is_a_guest_reads_ones_and_is_reported_once_each_way() {
    let finished = run("unmapped", &[]);

    assert_eq!(finished.console, "00000000ffffffff\n00000000000000ff\n");
    assert_eq!(
        finished.stderr,
        "minivmm: 4-byte guest read at 0xb000000: no device there; reads as ones\n\
         minivmm: 4-byte guest write at 0xb000000: no device there; ignored\n"
    );
    assert_eq!(finished.status, 0);
}

#[test]
fn an_access_that_kvm_cannot_decode_ends_with_33_and_the_registers() {
    let finished = run("pair", &[]);

    assert_eq!(finished.console, "loading a pair\n");
    assert_eq!(finished.status, 33);
    let report = finished.stderr;
    for expected in [
        "minivmm: guest crashed: vCPU 0: access outside RAM by an instruction that KVM cannot decode",
        // The instruction: machine.h's first branch and functions are in front of it.
        "  pc 00000000400800",
        "x19 1122334455667788",
        "x20 000000000b000000",
        "esr_el1 ",
        "pstate 00000000000003c5",
    ] {
        assert!(report.contains(expected), "{expected:?} is not in\n{report}");
    }
}
