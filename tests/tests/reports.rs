//! `--report`, and where a guest was that hangs.

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::report::{self, read, strings};
use tests::{Minivmm, bare_symbol};

#[test]
fn every_end_has_its_report() {
    let path = report::path();
    let flags = ["--report", path.to_str().unwrap()];
    for (guest, outcome, message) in [
        ("poweroff", "powered-off", "guest powered off"),
        ("reset", "reset", "guest asked for a reset"),
        ("flood_panic", "panicked", "guest kernel panicked"),
        ("pair", "crashed", "guest crashed: vCPU 0"),
    ] {
        let finished = Minivmm::start_bare(guest, &flags).finish();

        let told = read(&finished);
        assert_eq!(told["outcome"], outcome);
        assert!(told["message"].as_str().unwrap().starts_with(message), "{told}");
        assert_eq!(told["times_ms"]["first_userspace"], Value::Null);
        assert_eq!(told["kernel"], Value::Null);
        let lines = strings(&told["console"]).join("\n");
        assert_ne!(lines, "");
        assert!(finished.console.trim_end().ends_with(&lines), "{lines}");
    }
}

#[test]
fn a_kill_and_a_run_that_cannot_begin_have_theirs() {
    let path = report::path();
    let flags = ["--report", path.to_str().unwrap()];
    let minivmm = Minivmm::start_bare("wait", &flags);
    minivmm.console.expect("waiting\n");
    minivmm.signal(Signal::SIGTERM);
    let finished = minivmm.finish();
    assert_eq!(read(&finished)["outcome"], "terminated");
    assert_eq!(strings(&read(&finished)["console"]), ["waiting"]);

    let more = [&flags[..], &["--initrd", "/nonexistent/initrd"]].concat();
    let finished = Minivmm::start_bare("wait", &more).finish();

    let told = read(&finished);
    assert_eq!((&told["outcome"], &told["status"]), (&"unusable".into(), &2.into()));
    assert_eq!(told["times_ms"]["first_instruction"], Value::Null);
}

#[test]
fn a_guest_that_times_out_is_told_where_it_was() {
    let path = report::path();
    let flags = ["--timeout", "1s", "--report", path.to_str().unwrap()];

    let finished = Minivmm::start_bare("wait", &flags).finish();

    let told = read(&finished);
    assert_eq!(told["outcome"], "timeout");
    let frames = &told["vcpus"][0]["frames"];
    let pc = frames[0]["address"].as_str().unwrap().strip_prefix("0x").unwrap();
    let pc = u64::from_str_radix(pc, 16).unwrap();
    let start = bare_symbol("wait", "_start");
    assert!((start..start + 0x40).contains(&pc), "{pc:#x}");
    assert_eq!(frames[0]["symbol"], Value::Null);
}

#[test]
fn a_report_that_cannot_be_written_is_refused() {
    // The second one is a folder in which nobody can make a file.
    for path in ["/nonexistent/report.json", "/proc/report.json"] {
        let finished = Minivmm::start_bare("wait", &["--report", path]).finish();

        assert_eq!((finished.status, finished.console.as_str()), (2, ""));
        assert_eq!(
            finished.stderr,
            format!(
                "minivmm: --report {path}: No such file or directory (os error 2), expected a file to write\n"
            )
        );
    }
}
