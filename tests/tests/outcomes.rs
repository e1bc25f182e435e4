//! How a run ends by what its user has asked for: lines of the console, and time.

use std::fs;

use nix::sys::signal::Signal;
use tests::{Minivmm, Rsp, bare_guest, scratch};

/// A guest that repeats what it is told.
fn parrot(flags: &[&str]) -> Minivmm {
    let minivmm = Minivmm::start_bare("parrot", flags);
    minivmm.console.expect("ready\n");
    minivmm
}

#[test]
fn a_line_that_until_matches_ends_it_with_0() {
    let mut minivmm = parrot(&["--until", "^ok$"]);
    minivmm.send("ok, go on\nnot ok\nok\r\nmore\n");

    let finished = minivmm.finish();

    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
    assert!(finished.console.starts_with("ready\nok, go on\nnot ok\nok\r\n"), "{finished:?}");
}

#[test]
fn a_prompt_is_matched_although_its_line_is_not_ended() {
    let mut minivmm = parrot(&["--until", "(?i)login: $"]);
    minivmm.send("login: me\nLogin: ");

    let finished = minivmm.finish();

    assert_eq!(finished.status, 0);
    assert_eq!(finished.console, "ready\nlogin: me\nLogin: ");
}

#[test]
fn a_line_that_fail_on_matches_ends_it_with_34_although_until_matches_too() {
    let mut minivmm = parrot(&["--until", "FAIL|PASS", "--fail-on", "FAIL"]);
    minivmm.send("a\x1b[31mFAIL\x1b[0m\n");

    let finished = minivmm.finish();

    assert_eq!(finished.status, 34);
    assert_eq!(finished.stderr, "minivmm: --fail-on matched \"a\\u{1b}[31mFAIL\\u{1b}[0m\"\n");
    assert!(finished.console.starts_with("ready\na\x1b[31mFAIL\x1b[0m\n"), "{finished:?}");
}

#[test]
fn the_last_words_before_a_power_off_or_a_reset_count() {
    for (text, status) in [("FAIL\x04", 34), ("PASS\x12", 0), ("PAS\x12", 32), ("FAI\x04", 0)] {
        let mut minivmm = parrot(&["--until", "PASS", "--fail-on", "FAIL"]);
        minivmm.send(text);

        assert_eq!(minivmm.finish().status, status, "{text:?}");
    }
}

#[test]
fn a_guest_that_takes_too_long_ends_with_124() {
    let log = scratch().join("console.log");
    let flags = ["--timeout", "1s", "--until", "never", "--console-log", log.to_str().unwrap()];

    let finished = Minivmm::start_bare("wait", &flags).finish();

    assert_eq!(finished.status, 124);
    // Where it was comes first.
    assert!(finished.stderr.starts_with("minivmm: vCPU 0 at 0x00000000400800"), "{finished:?}");
    assert!(finished.stderr.ends_with("\nminivmm: --timeout: 1 s have passed\n"), "{finished:?}");
    assert_eq!(finished.console, "waiting\n");
    assert_eq!(fs::read_to_string(log).unwrap(), "waiting\n");
}

#[test]
fn the_timeout_stands_still_while_a_debugger_has_stopped_the_guest() {
    let port = Minivmm::free_port();
    let flags = ["--timeout", "1s", "--gdb", &port.to_string()];
    let minivmm = Minivmm::start_bare("wait", &flags);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);
    rsp.ask("?");

    // Another one's timeout tells that it would have passed.
    Minivmm::start_bare("wait", &["--timeout", "2s"]).finish();

    assert!(rsp.ask("g").len() > 100);
    rsp.send("vCont;c");
    assert!(rsp.receive().starts_with("W7c"));
    assert_eq!(minivmm.finish().status, 124);
}

#[test]
fn a_guest_that_waits_for_a_debugger_that_does_not_come_times_out() {
    let port = Minivmm::free_port().to_string();

    let finished = Minivmm::start_bare("wait", &["--timeout", "1s", "--gdb", &port]).finish();

    assert_eq!((finished.status, finished.console.as_str()), (124, ""));
}

#[test]
fn the_console_log_has_what_came_before_a_crash_and_before_a_kill() {
    let log = scratch().join("console.log");
    let flags = ["--console-log", log.to_str().unwrap()];
    let crashed = Minivmm::start_bare("pair", &flags).finish();
    assert_eq!(crashed.status, 33);
    assert_eq!(fs::read_to_string(&log).unwrap(), crashed.console);

    // What was there before is gone.
    let mut minivmm = parrot(&flags);
    minivmm.send("said\n");
    minivmm.console.expect("said\n");
    minivmm.signal(Signal::SIGKILL);
    minivmm.finish();

    assert_eq!(fs::read_to_string(&log).unwrap(), "ready\nsaid\n");
}

#[test]
fn a_console_log_that_cannot_be_is_named() {
    let kernel = bare_guest("parrot");
    let arguments = ["--kernel", kernel.to_str().unwrap(), "--console-log", "/nonexistent/log"];

    let finished = Minivmm::start(arguments).finish();

    assert_eq!((finished.status, finished.console.as_str()), (2, ""));
    assert_eq!(
        finished.stderr,
        "minivmm: --console-log /nonexistent/log: No such file or directory (os error 2)\n"
    );
}
