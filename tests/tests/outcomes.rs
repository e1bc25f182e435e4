//! How a run ends by what its user has asked for: lines of the console, and time.

use std::fs;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::transcript::PATIENCE;
use tests::{Minivmm, Rsp, Shm, bare_guest, scratch};

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

#[test]
fn a_console_log_is_the_last_runs_that_was_one() {
    let folder = Shm::new();
    let log = folder.join("console.log");
    fs::write(&log, "of the run before\n").unwrap();
    let run = |more: &[&str]| {
        let flags = [&["--console-log", &log], more].concat();
        let status = Minivmm::start_bare("poweroff", &flags).finish().status;
        (status, fs::read_to_string(&log).unwrap())
    };

    let refused = run(&["--disk", "/nonexistent/disk"]);
    let ran = run(&[]);

    assert_eq!(refused, (2, "of the run before\n".to_owned()));
    assert_eq!(ran, (0, "powering off\n".to_owned()));
}

#[test]
fn the_line_that_ends_it_may_make_its_reader_leave() {
    let script = "\"$@\" | grep -m1 -q ^00000010; exit ${PIPESTATUS[0]}";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(Minivmm::binary()).arg("--kernel");
    command.arg(bare_guest("flood")).args(["--until", "^00000010"]);

    let finished = Minivmm::spawn(&mut command).finish();

    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn sigquit_is_heard_although_a_shell_has_it_ignored_in_the_background() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' QUIT; exec \"$@\"", "sh"]).arg(Minivmm::binary());
    command.arg("--kernel").arg(bare_guest("wait"));
    let minivmm = Minivmm::spawn(&mut command);
    minivmm.console.expect("waiting\n");

    minivmm.signal(Signal::SIGQUIT);

    assert_eq!(minivmm.finish().status, 131);
}

/// A pipe that takes nothing more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let size = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(1)).unwrap();
    writer.write_all(&vec![0; usize::try_from(size).unwrap()]).unwrap();
    (reader, writer)
}

#[test]
fn a_signal_ends_the_wait_for_a_reader_that_does_not_read_as_it_ends_a_run() {
    let folder = Shm::new();
    let (report, socket) = (folder.join("report.json"), folder.join("gdb.sock"));
    let (_reader, writer) = full_pipe();
    let mut command = Command::new(Minivmm::binary());
    command.arg("--kernel").arg(bare_guest("poweroff")).args(["--report", &report]);
    command.args(["--gdb", &format!("unix:{socket}"), "--gdb-nowait"]);
    let mut child = command.stdin(Stdio::null()).stdout(writer).spawn().unwrap();
    let pid = child.id();
    let waits = || {
        fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().any(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "last words\n")
        })
    };
    let deadline = Instant::now() + PATIENCE;
    while !waits() {
        if child.try_wait().unwrap().is_some() || Instant::now() > deadline {
            let _ = child.kill();
            panic!("minivmm does not wait for its reader");
        }
        thread::yield_now();
    }

    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).unwrap();

    assert_eq!(child.wait().unwrap().code(), Some(143));
    let told: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!((&told["outcome"], &told["status"]), (&"terminated".into(), &143.into()));
    assert!(!Path::new(&socket).exists());
}

#[test]
fn a_log_that_nobody_reads_holds_up_the_console_and_not_the_end() {
    let folder = Shm::new();
    let report = folder.join("report.json");
    let (_reader, writer) = full_pipe();
    let log = format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd());

    let more = ["--timeout", "1s", "--console-log", &log, "--report", &report];
    let finished = Minivmm::start_bare("wait", &more).finish();

    // It is shown when it is in the log.
    assert_eq!((finished.status, finished.console.as_str()), (124, ""));
    let told: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(told["outcome"], "timeout");
}

#[test]
fn a_report_goes_where_links_and_pipes_lead() {
    let folder = Shm::new();
    let (link, pipe) = (folder.join("link"), folder.join("pipe"));
    symlink("to.json", &link).unwrap();
    let ended = |path: &str| {
        let finished = Minivmm::start_bare("poweroff", &["--report", path]).finish();
        assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
        finished.console
    };
    let outcome = |text: &str| serde_json::from_str::<Value>(text).unwrap()["outcome"].clone();

    ended(&link);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(outcome(&fs::read_to_string(folder.join("to.json")).unwrap()), "powered-off");

    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    ended(&pipe);
    assert_eq!(outcome(&reader.join().unwrap()), "powered-off");
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());

    let said = ended("/dev/stdout");
    assert_eq!(outcome(said.strip_prefix("powering off\n").unwrap()), "powered-off");

    // As long as a name can be.
    let long = folder.join(&"x".repeat(255));
    ended(&long);
    assert_eq!(outcome(&fs::read_to_string(long).unwrap()), "powered-off");
    let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}

/// A guest that repeats what it is told once a debugger lets it go, and one in extended mode.
fn debugged(more: &[&str]) -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("parrot", &[&["--gdb", &port.to_string()], more].concat());
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);
    rsp.order("!");
    (minivmm, rsp)
}

#[test]
fn what_a_guest_has_left_unsaid_is_no_beginning_of_the_next_ones_first_line() {
    let flags = ["--fail-on", "^login: ready$", "--until", "^done$"];
    let (mut minivmm, mut rsp) = debugged(&flags);
    rsp.send("vCont;c");
    minivmm.console.expect("ready\n");
    minivmm.send("login: ");
    minivmm.console.expect("login: ");
    rsp.interrupt();
    rsp.told("reset");
    rsp.send("vCont;c");
    minivmm.console.expect("ready\n");

    minivmm.send("done\n");

    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_report_is_of_the_last_guest_also_if_that_has_not_said_anything() {
    let folder = Shm::new();
    let report = folder.join("report.json");
    let (minivmm, mut rsp) = debugged(&["--report", &report]);
    rsp.send("vCont;c");
    minivmm.console.expect("ready\n");
    rsp.interrupt();
    rsp.told("reset");

    minivmm.signal(Signal::SIGTERM);

    assert_eq!(minivmm.finish().status, 143);
    let told: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(told["console"], Value::Array(Vec::new()));
    assert_eq!(told["times_ms"]["first_console_byte"], Value::Null);
}

#[test]
fn a_guest_that_has_ended_is_not_asked_to_power_off() {
    let (mut minivmm, mut rsp) = debugged(&[]);
    rsp.send("vCont;c");
    // It listens to the button, and powers off by itself.
    minivmm.send("\x07");
    minivmm.console.expect("listening\n");
    minivmm.send("\x04");
    assert!(rsp.receive().starts_with("W00"));

    minivmm.signal(Signal::SIGTERM);

    let finished = minivmm.finish();
    assert_eq!(finished.status, 143);
    assert!(!finished.stderr.contains("asked the guest"), "{finished:?}");
}
