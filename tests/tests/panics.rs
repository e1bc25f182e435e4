//! A kernel that panics, told by pvpanic or by its console: the run ends, or the guest is kept as it is.

use std::fs;
use std::net::TcpStream;

use nix::sys::signal::Signal;
use tests::{Finished, Minivmm, Rsp};

const PANICKED: &str = "\x10";
const CRASH_LOADED: &str = "\x0e";
const POWER_OFF: &str = "\x04";

/// A guest that does what it is told.
fn parrot(flags: &[&str]) -> Minivmm {
    let minivmm = Minivmm::start_bare("parrot", flags);
    minivmm.console.expect("ready\n");
    minivmm
}

fn is_panic(finished: &Finished) {
    assert_eq!(finished.status, 34, "{finished:?}");
    assert_eq!(finished.stderr, "minivmm: guest kernel panicked\n");
}

#[test]
fn a_panic_told_by_pvpanic_ends_it_with_34_behind_the_last_lines() {
    let mut minivmm = parrot(&[]);
    minivmm.send(&format!("{PANICKED}last line\n"));

    let finished = minivmm.finish();

    is_panic(&finished);
    assert_eq!(finished.console, "ready\nlast line\n");
}

#[test]
fn a_crash_kernel_may_finish_its_work() {
    let mut minivmm = parrot(&[]);
    minivmm.send(&format!("{CRASH_LOADED}dumping\n"));
    minivmm.console.expect("dumping\n");
    minivmm.send(POWER_OFF);

    is_panic(&minivmm.finish());
}

/// The port in a message that ends with `target remote :PORT`.
fn port(minivmm: &Minivmm) -> u16 {
    minivmm.stderr.expect("target remote :");
    minivmm.stderr.expect("\n").trim_end().parse().unwrap()
}

#[test]
fn a_panicked_guest_is_kept_for_a_debugger_on_a_free_port() {
    let mut minivmm = parrot(&["--on-panic", "gdb"]);
    assert_eq!(minivmm.stderr.text(), "");
    minivmm.send(PANICKED);
    let mut rsp = Rsp::connect(port(&minivmm));

    assert!(rsp.ask("?").starts_with("T06"));
    // x23 holds the device's address, x24 what it was told.
    assert_eq!((rsp.register(23), rsp.register(24)), (0x090f_0000, 1));
    rsp.send("k");

    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_panic_that_ends_in_a_reset_is_kept_too() {
    let minivmm = Minivmm::start_bare("flood_panic", &["--on-panic", "gdb"]);
    let mut rsp = Rsp::connect(port(&minivmm));

    assert!(rsp.ask("?").starts_with("T06"));
    // What SYSTEM_RESET gives if it comes back, which it does not (PSCI, INTERNAL_FAILURE).
    assert_eq!(rsp.register(0).cast_signed(), -6);
}

#[test]
fn a_debugger_that_is_there_is_told_of_the_panic() {
    let port = Minivmm::free_port();
    let flags = ["--gdb", &port.to_string(), "--gdb-nowait", "--on-panic", "hold"];
    let mut minivmm = parrot(&flags);
    let mut rsp = Rsp::connect(port);
    rsp.ask("?");
    rsp.send("vCont;c");

    minivmm.send(PANICKED);

    assert!(rsp.receive().starts_with("T06"));
    assert_eq!(rsp.register(24), 1);
}

#[test]
fn a_held_guest_stands_still_until_its_user_or_the_timeout_ends_it() {
    let mut minivmm = parrot(&["--on-panic", "hold"]);
    minivmm.send(PANICKED);
    minivmm.stderr.expect("held");
    minivmm.signal(Signal::SIGTERM);
    assert_eq!(minivmm.finish().status, 143);

    let mut minivmm = parrot(&["--on-panic", "hold", "--timeout", "3s"]);
    minivmm.send(PANICKED);
    minivmm.stderr.expect("held");
    // It has until the end to repeat that.
    minivmm.send("more");
    let finished = minivmm.finish();
    assert_eq!((finished.status, finished.console.as_str()), (34, "ready\n"));
}

#[test]
fn a_free_port_is_found_and_said() {
    let minivmm = Minivmm::start_bare("wait", &["--gdb", "0"]);

    let mut rsp = Rsp::connect(port(&minivmm));

    assert!(rsp.ask("?").starts_with("T05"));
    let connections = fs::read_to_string("/proc/net/tcp").unwrap();
    assert!(connections.contains(&format!("0100007F:{:04X}", rsp.port())), "{connections}");
}

#[test]
fn a_guest_is_held_although_it_powers_off_right_behind_its_panic() {
    let mut minivmm = parrot(&["--on-panic", "hold"]);
    minivmm.send(&format!("{PANICKED}{POWER_OFF}"));
    minivmm.stderr.expect("held");

    minivmm.signal(Signal::SIGTERM);

    assert_eq!(minivmm.finish().status, 143);
}

#[test]
fn a_panic_in_the_middle_of_which_the_guest_hangs_is_one_when_time_is_over() {
    let mut minivmm = parrot(&["--timeout", "3s"]);
    minivmm.send("Kernel panic - not syncing: Attempted to kill init!\n");

    is_panic(&minivmm.finish());
}

/// A guest that runs, and a port for debuggers.
fn attachable() -> (Minivmm, u16) {
    let port = Minivmm::free_port();
    (parrot(&["--gdb", &port.to_string(), "--gdb-nowait"]), port)
}

#[test]
fn by_default_too_a_debugger_is_told_of_the_panic_and_ends_the_run_when_it_leaves() {
    let (mut minivmm, port) = attachable();
    let mut rsp = Rsp::connect(port);
    rsp.send("vCont;c");
    minivmm.send(PANICKED);
    assert!(rsp.receive().starts_with("T06"));
    // The last lines, after which Linux turns round for ever.
    rsp.send("vCont;c");
    minivmm.send("---[ end Kernel panic - not syncing: why ]---\n");
    minivmm.console.expect("why ]---\n");

    drop(rsp);

    assert_eq!(minivmm.finish().status, 34);
}

#[test]
fn who_has_detached_or_said_nothing_is_no_debugger_that_a_panic_waits_for() {
    let (mut minivmm, port) = attachable();
    let _silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    minivmm.send(PANICKED);
    assert_eq!(minivmm.finish().status, 34);

    let (mut minivmm, port) = attachable();
    let mut rsp = Rsp::connect(port);
    rsp.order("!");
    rsp.order("D;1");
    minivmm.send(PANICKED);
    assert_eq!(minivmm.finish().status, 34);
}
