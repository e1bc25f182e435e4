//! Output in bursts, which the guest writes without an exit for each byte: all of it arrives, in order, in time.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use tests::transcript::PATIENCE;
use tests::{Minivmm, Rsp, bare_guest, bare_symbol, kernel, skip};

/// What tests/guests/flood.inc prints.
fn flood(lines: u32) -> String {
    (0..lines).fold(String::new(), |mut text, line| {
        write!(text, "{line:08x}").unwrap();
        text.extend((0..55).map(|at| char::from(b'A' + ((line + at) % 16) as u8)));
        text + "\n"
    })
}

/// What tests/guests/flood_blind.S prints.
fn blind_flood(lines: u32) -> String {
    let line = |line| (0..63).map(move |at| char::from(b'A' + ((line + at) % 16) as u8));
    (0..lines).flat_map(|number| line(number).chain(['\n'])).collect()
}

/// Says where two texts part, which is easier to read than both of them.
#[track_caller]
fn assert_same(found: &str, expected: &str) {
    let at = found.bytes().zip(expected.bytes()).position(|(found, expected)| found != expected);
    let part = |text: &str| {
        let start = at.unwrap_or_default().saturating_sub(80);
        text.get(start..(start + 160).min(text.len())).unwrap_or_default().to_owned()
    };
    assert!(
        found == expected,
        "{} bytes, expected {}; different at {at:?}:\n{}\nexpected\n{}",
        found.len(),
        expected.len(),
        part(found),
        part(expected)
    );
}

#[test]
fn an_output_of_72_kib_arrives_whole() {
    let finished = Minivmm::start_bare("flood", &[]).finish();

    assert_same(&finished.console, &flood(1152));
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn so_does_that_of_a_guest_that_never_looks() {
    let finished = Minivmm::start_bare("flood_blind", &[]).finish();

    assert_same(&finished.console, &blind_flood(1152));
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn four_vcpus_print_at_once_and_each_ones_bytes_stay_in_order() {
    let finished = Minivmm::start_bare("flood_cpus", &["--cpus", "4"]).finish();

    for vcpu in 0..4 {
        let first = 0x40 + vcpu * 16;
        let own: String =
            finished.console.chars().filter(|byte| *byte as u32 / 16 * 16 == first).collect();
        let expected: String =
            (0..10000).filter_map(|count| char::from_u32(first + count % 16)).collect();
        assert_same(&own, &expected);
    }
    assert_eq!((finished.console.len(), finished.status), (40000, 0));
}

#[test]
fn a_prompt_behind_a_burst_shows_while_the_guest_sleeps_and_then_nobody_wakes() {
    let minivmm = Minivmm::start_bare("flood_prompt", &[]);

    let shown = minivmm.console.expect("prompt> ");

    assert_same(&shown, &(flood(40) + "prompt> "));
    // The burst ends some milliseconds later.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = wakeups(minivmm.pid());
        thread::sleep(Duration::from_millis(500));
        if wakeups(minivmm.pid()) == before {
            break;
        }
        assert!(Instant::now() < deadline, "woken again and again");
    }
    minivmm.signal(Signal::SIGTERM);
    let finished = minivmm.finish();
    assert_same(&finished.console, &shown);
    assert_eq!(finished.status, 143);
}

/// How often the console's thread has waited.
fn wakeups(pid: i32) -> u64 {
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let read = |name| fs::read_to_string(task.as_ref().unwrap().path().join(name)).unwrap();
        if read("comm") == "console\n" {
            let status = read("status");
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            return line.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
        }
    }
    panic!("no thread is called console");
}

#[test]
fn a_burst_costs_few_exits() {
    // KVM's own count; there already, or not to be had.
    let _ = Command::new("mount").args(["-t", "debugfs", "none", "/sys/kernel/debug"]).output();
    let minivmm = Minivmm::start_bare("flood_prompt", &[]);
    minivmm.console.expect("prompt> ");
    let machines = fs::read_dir("/sys/kernel/debug/kvm").into_iter().flatten();
    let own = format!("{}-", minivmm.pid());
    let mut machines = machines.filter_map(Result::ok);
    let Some(folder) = machines.find(|entry| entry.file_name().to_string_lossy().starts_with(&own))
    else {
        return skip("KVM's statistics in debugfs cannot be read");
    };

    let count = fs::read_to_string(folder.path().join("mmio_exit_user")).unwrap();

    // 2568 bytes, each with a look at UARTFR before it. Without bursts that is two exits a byte. The
    // first characters of each burst exit, and on a busy machine it is several.
    let count: u32 = count.trim().parse().unwrap();
    assert!(count < 2568, "{count}");
}

#[test]
fn what_is_typed_reaches_a_guest_that_prints_all_the_time_and_looks_between() {
    let mut minivmm = Minivmm::start_bare("flood_keys", &[]);
    // Long inside a burst.
    minivmm.console.expect("00000040");

    minivmm.send("k");

    let finished = minivmm.finish();
    let (before, key) = finished.console.split_once("key ").expect("the guest took the key");
    assert_eq!((key, finished.status), ("000000000000006b", 0));
    let lines = u32::try_from(before.len() / 64).unwrap();
    assert_same(before, &flood(lines));
}

#[test]
fn ctrl_c_stops_an_endless_output_of_linux() {
    let mut minivmm = Minivmm::boot_with("console=ttyAMA0 quiet", &kernel(), &[]);
    minivmm.console.expect("/root # ");
    minivmm.send("yes 'all the time'\n");
    for _ in 0..100 {
        minivmm.console.expect("all the time\r\n");
    }

    minivmm.send("\x03");

    minivmm.console.expect("^C");
    minivmm.console.expect("/root # ");
    minivmm.send("poweroff -f\n");
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_slow_reader_loses_nothing() {
    let mut child = Command::new(Minivmm::binary())
        .arg("--kernel")
        .arg(bare_guest("flood"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut console = child.stdout.take().unwrap();
    fcntl(console.as_fd(), FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    // What the pipe and minivmm's queue hold is less. Without other work the guest fills them in 4 s.
    thread::sleep(Duration::from_secs(20));
    let mut text = Vec::new();
    loop {
        let len = console.by_ref().take(16 << 10).read_to_end(&mut text).unwrap();
        if len == 0 {
            break;
        }
        thread::sleep(Duration::from_secs(1));
    }

    let output = child.wait_with_output().unwrap();
    assert_same(&String::from_utf8(text).unwrap(), &flood(1152));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn loopback_turned_on_in_a_burst_is_seen_at_once() {
    let finished = Minivmm::start_bare("flood_loopback", &[]).finish();

    let (burst, looped) = finished.console.split_at(40 * 64);
    assert_same(burst, &flood(40));
    // In loopback the modem inputs follow the outputs, which are off (PL011 TRM 2.4.3). TXFE and RXFF, since the FIFOs are
    // off; x; TXFE and RXFE.
    assert_eq!(looped, "00000000000000c000000000000000780000000000000090");
}

#[test]
fn the_last_words_before_a_reset_decide_about_the_end() {
    let finished = Minivmm::start_bare("flood_panic", &[]).finish();

    assert_same(&finished.console, &(flood(40) + "Kernel panic - not syncing: of a flood\n"));
    assert_eq!(finished.status, 34);
}

#[test]
fn a_kill_in_the_middle_of_a_burst_leaves_no_gap() {
    let minivmm = Minivmm::start_bare("flood_keys", &[]);
    minivmm.console.expect("00000040");

    minivmm.signal(Signal::SIGINT);

    let finished = minivmm.finish();
    let lines = u32::try_from(finished.console.len() / 64 + 1).unwrap();
    assert_same(&finished.console, &flood(lines)[..finished.console.len()]);
    assert_eq!(finished.status, 130);
}

#[test]
fn a_debugger_that_stops_the_guest_in_a_burst_finds_its_output_complete() {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("flood", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("gdb: ");
    let mut rsp = Rsp::connect(port);
    let store = bare_symbol("flood", "put") + 8;
    rsp.send("vCont;c");
    for line in ["00000080", "00000180"] {
        minivmm.console.expect(line);

        rsp.interrupt();
        rsp.order(&format!("Z1,{store:x},4"));
        let at_store = rsp.resume("vCont;c");
        assert_eq!(at_store.pc(), store);

        // The guest is about to write the byte in x23, one of the 55 or of the 8 before them.
        let (line, place) = (rsp.register(21) as usize, rsp.register(22) as usize);
        let next = flood(1152).as_bytes()[..(line + 1) * 64].to_vec();
        let is_next = |len: usize| next.get(len).copied() == Some(rsp_byte(&at_store));
        let shown = settled(&minivmm);
        assert!(shown.len() / 64 == line && is_next(shown.len()), "{line}, {place}: {shown}");
        assert_same(&shown, &flood(1152)[..shown.len()]);
        // One byte more, a step each.
        rsp.order(&format!("z1,{store:x},4"));
        assert_eq!(rsp.resume("vCont;s:p1.1").pc(), store + 4);
        assert_eq!(settled(&minivmm).len(), shown.len() + 1);
        rsp.send("vCont;c");
    }

    assert_eq!(rsp.receive(), "W00;process:1");
    drop(rsp);
    assert_same(&minivmm.finish().console, &flood(1152));
}

/// The byte that the guest is about to write.
fn rsp_byte(stop: &tests::rsp::Stop) -> u8 {
    stop.register(23) as u8
}

/// What is on the console when no more comes: the thread that writes it has done so well within this time.
fn settled(minivmm: &Minivmm) -> String {
    loop {
        let before = minivmm.console.text();
        thread::sleep(Duration::from_millis(300));
        if minivmm.console.text() == before {
            return before;
        }
    }
}
