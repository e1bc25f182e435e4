//! `--report`, and where a guest was that hangs.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{Finished, Minivmm, bare_symbol, kernel, release, scratch, vmlinux};

fn report() -> PathBuf {
    scratch().join("report.json")
}

/// The report of a run that has ended.
fn read(finished: &Finished) -> Value {
    let text = fs::read_to_string(report()).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["schema"], 1);
    assert_eq!(report["status"], finished.status);
    let files = fs::read_dir(report_folder()).unwrap().map(|file| file.unwrap().file_name());
    assert!(files.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
    report
}

fn report_folder() -> PathBuf {
    scratch()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
}

#[test]
fn a_linux_that_is_interrupted_has_its_life_told_and_where_it_was() {
    let version = kernel();
    let (report, symbols) = (report(), vmlinux());
    let more = [
        "--cpus",
        "2",
        "--report",
        report.to_str().unwrap(),
        "--vmlinux",
        symbols.to_str().unwrap(),
    ];
    let mut minivmm = Minivmm::boot(&version, "", &more);
    minivmm.console.expect("/root # ");
    minivmm.send("echo '<4>WARNING: of a test' > /dev/kmsg; cat /proc/version\n");
    minivmm.console.expect("WARNING: of a test\r\n");
    minivmm.console.expect("Linux version ");
    minivmm.console.expect("/root # ");

    minivmm.signal(Signal::SIGQUIT);

    let finished = minivmm.finish();
    assert_eq!(finished.status, 131);
    assert!(finished.stderr.contains("minivmm: vCPU 0 at 0xffff"), "{}", finished.stderr);
    assert!(finished.stderr.contains(" do_idle+0x"), "{}", finished.stderr);
    let told = read(&finished);
    assert_eq!(
        (&told["outcome"], &told["kernel"]),
        (&"terminated".into(), &release(&version).into())
    );
    let times = ["first_instruction", "first_console_byte", "first_userspace", "end"]
        .map(|name| told["times_ms"][name].as_u64().unwrap());
    assert!(times.is_sorted(), "{times:?}");
    assert!(told["exits"]["write to PL011"].as_u64().unwrap() > 100, "{}", told["exits"]);
    let [peak, guest] = ["peak", "guest"].map(|name| told["memory_kib"][name].as_u64().unwrap());
    assert!(20_000 < guest && guest <= peak && peak < 600_000, "{guest} of {peak}");
    let lines = strings(&told["console"]);
    assert_eq!(lines.len(), 50);
    let warnings = strings(&told["warnings"]);
    assert!(warnings.iter().any(|line| line.ends_with("WARNING: of a test")), "{warnings:?}");
    // Both idle, one of them by way of start_kernel, or on the way there from the shell's last system call.
    let vcpus = told["vcpus"].as_array().unwrap();
    let names = vcpus.iter().map(|vcpu| {
        let frames = vcpu["frames"].as_array().unwrap().iter();
        frames.filter_map(|frame| frame["symbol"].as_str()).collect::<Vec<_>>().join(" ")
    });
    let names: Vec<String> = names.collect();
    assert_eq!(names.len(), 2);
    for (names, wanted) in names.iter().zip(["start_kernel+0x", "secondary_start_kernel+0x"]) {
        let is_idle = names.contains("do_idle+0x") && names.contains(wanted);
        assert!(is_idle || names.contains("el0t_64_sync+0x"), "{names}");
    }
}

#[test]
fn every_end_has_its_report() {
    let path = report();
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
        assert!(finished.console.trim_end().ends_with(&lines), "{lines}");
    }
}

#[test]
fn a_kill_and_a_run_that_cannot_begin_have_theirs() {
    let path = report();
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
    let path = report();
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
