//! `--gdb stdio`: the debugger has minivmm's standard input and output, the console standard error.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::tcgetattr;
use tests::{Gdb, Minivmm, bare_guest, guest, kernel, scratch, vmlinux};

const STDIO: [&str; 2] = ["--gdb", "stdio"];
const WAITS: &str = "minivmm: added nokaslr to the kernel command line (say kaslr to keep it on)\n\
    minivmm: gdb: guest waits at its first instruction: its debugger is on standard input and output\n";
const ENDED: &str = "minivmm: gdb: standard input ended without a detach: guest killed\n";

/// A command line for GDB's `target remote`.
fn pipe_to(words: &[&OsStr], stderr: &str) -> String {
    let words = words.iter().map(|word| format!("'{}'", word.to_str().unwrap()));
    let words: Vec<_> =
        [format!("'{}'", Minivmm::binary().display())].into_iter().chain(words).collect();
    format!("| {} --gdb stdio 2>'{stderr}'", words.join(" "))
}

#[test]
fn gdb_starts_minivmm_and_debugs_through_a_pipe() {
    let log = scratch().join("console");
    let kernel = bare_guest("count");
    let words = [OsStr::new("--kernel"), kernel.as_os_str()];
    let mut gdb = Gdb::start_inside(Some(&kernel.with_extension("elf")));

    let said = gdb.connect(pipe_to(&words, log.to_str().unwrap()));
    assert!(said.contains("_start"), "{said}");
    gdb.run("break *&body");
    for round in 0..10 {
        let said = gdb.run("continue");
        assert!(said.contains("Breakpoint 1, body"), "{said}");
        assert_eq!(gdb.value("*(long *) &rounds"), round);
    }
    let said = gdb.run("continue");

    assert!(said.contains("exited normally"), "{said}");
    gdb.assert_no_complaint();
    assert_eq!(fs::read_to_string(log).unwrap(), format!("{WAITS}000000000000000a\n"));
}

#[test]
fn gdb_leads_linux_to_start_kernel_through_a_pipe() {
    let log = scratch().join("console");
    let (image, initrd) = (guest(&format!("Image-{}", kernel())), guest("initramfs.cpio"));
    let words = [
        OsStr::new("--kernel"),
        image.as_os_str(),
        OsStr::new("--initrd"),
        initrd.as_os_str(),
        OsStr::new("--cmdline"),
        OsStr::new("console=ttyAMA0"),
        OsStr::new("--cpus"),
        OsStr::new("2"),
    ];
    let mut gdb = Gdb::start_inside(Some(&vmlinux()));
    gdb.connect(pipe_to(&words, log.to_str().unwrap()));

    gdb.run("hbreak start_kernel");
    let said = gdb.run("continue");
    assert!(said.contains("hit Breakpoint 1"), "{said}");
    let said = gdb.run("bt");
    assert!(said.starts_with("#0  ") && said.contains("start_kernel ()"), "{said}");
    assert_eq!(gdb.steps(5).len(), 5);
    // What a terminal or a line-wise pipe would change, there and back.
    gdb.run("set variable *(long *) $sp = 0x0a0d03040011137f");
    assert_eq!(gdb.value("*(long *) $sp"), 0x0a0d03040011137f);
    let said = gdb.run("kill");

    assert!(said.contains("killed"), "{said}");
    gdb.assert_no_complaint();
    let said = fs::read_to_string(log).unwrap();
    assert_eq!(said, WAITS);
}

#[test]
fn the_end_of_standard_input_without_a_detach_kills_the_guest() {
    // Before the first packet, and after some.
    for packets in ["", "$QStartNoAckMode#b0+$?#3f$vCont;c#a8"] {
        let mut minivmm = Minivmm::start_bare("two", &STDIO);
        minivmm.stderr.expect(WAITS);
        minivmm.send(packets);
        if !packets.is_empty() {
            minivmm.console.expect("+$OK#9a");
            minivmm.console.expect("$T05thread:");
        }
        minivmm.close_stdin();

        let vm = minivmm.finish();
        assert_eq!((vm.status, vm.stderr), (0, format!("{WAITS}{ENDED}")));
    }
}

#[test]
fn the_end_of_standard_input_kills_a_guest_that_did_not_wait_too() {
    let mut minivmm = Minivmm::start_bare("wait", &["--gdb", "stdio", "--gdb-nowait"]);
    minivmm
        .stderr
        .expect("minivmm: gdb: guest runs: its debugger is on standard input and output\n");
    minivmm.stderr.expect("waiting\n");
    // The first packet stops it.
    minivmm.send("$?#3f");
    minivmm.console.expect("+$T02thread:");
    minivmm.close_stdin();

    let vm = minivmm.finish();
    assert_eq!(vm.status, 0);
    assert!(vm.stderr.ends_with(ENDED), "{}", vm.stderr);
}

#[test]
fn after_a_detach_the_guest_runs_to_its_end_and_its_debugger_has_left() {
    let mut minivmm = Minivmm::start_bare("keys", &STDIO);
    minivmm.send("$D#44");
    // The stream ends with the reply, while the guest still waits for a key.
    assert_eq!(minivmm.console.finish(), "+$OK#9a");
    minivmm.stderr.expect("keys\n");
    drop(minivmm);

    let mut minivmm = Minivmm::start_bare("count", &STDIO);
    minivmm.send("$D#44");
    minivmm.close_stdin();
    let vm = minivmm.finish();

    assert_eq!(vm.status, 0);
    assert_eq!(vm.console, "+$OK#9a");
    assert_eq!(vm.stderr, format!("{WAITS}000000000000000a\n"));
}

#[test]
fn extended_mode_ends_with_standard_input_and_the_guests_status() {
    let mut minivmm = Minivmm::start_bare("reset", &STDIO);
    minivmm.send("$QStartNoAckMode#b0+$!#21$vCont;c#a8");
    minivmm.console.expect("$W20#b9");
    minivmm.send("$vRun;#e6");
    minivmm.console.expect("$T05thread:");
    minivmm.send("$vCont;c#a8");
    minivmm.console.expect("$W20#b9");
    minivmm.close_stdin();

    let vm = minivmm.finish();
    assert_eq!(vm.status, 32);
    assert!(vm.stderr.ends_with("minivmm: guest asked for a reset\n"), "{}", vm.stderr);
}

#[test]
fn a_client_that_does_not_read_is_waited_for_and_loses_nothing() {
    /// 16 KiB each, 32 KiB in digits: together more than any pipe holds.
    const REQUESTS: usize = 64;
    let mut child = Command::new(Minivmm::binary())
        .arg("--kernel")
        .arg(bare_guest("count"))
        .args(STDIO)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"$QStartNoAckMode#b0+").unwrap();
    stdin.write_all("$m40080000,4000#e9".repeat(REQUESTS).as_bytes()).unwrap();
    drop(stdin);

    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();

    assert_eq!(said.matches('$').count(), 1 + REQUESTS);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn packets_from_a_file_are_served() {
    let packets = scratch().join("packets");
    fs::write(&packets, "$QStartNoAckMode#b0+$qC#b4$k#6b").unwrap();
    let mut command = Command::new(Minivmm::binary());
    command.arg("--kernel").arg(bare_guest("count")).args(STDIO);

    let vm = Minivmm::spawn(command.stdin(File::open(packets).unwrap())).finish();

    assert_eq!((vm.status, vm.console.as_str()), (0, "+$OK#9a$QC1#c5"), "{vm:?}");
    let vm = Minivmm::spawn(command.stdin(Stdio::null())).finish();
    assert_eq!((vm.status, vm.stderr), (0, format!("{WAITS}{ENDED}")));
}

#[test]
fn what_minivmm_shares_with_others_stays_as_it_is() {
    // A pipe whose open file is ours as well.
    let (read, mut write) = pipe().unwrap();
    let mut command = Command::new(Minivmm::binary());
    command.arg("--kernel").arg(bare_guest("count")).args(STDIO);
    let minivmm = Minivmm::spawn(command.stdin(read.try_clone().unwrap()));
    write.write_all(b"$?#3f").unwrap();
    minivmm.console.expect("+$T05thread:");

    let flags = OFlag::from_bits_retain(fcntl(&read, FcntlArg::F_GETFL).unwrap());
    assert!(!flags.contains(OFlag::O_NONBLOCK), "{flags:?}");
    drop(write);
    assert_eq!(minivmm.finish().status, 0);

    // A terminal keeps its settings.
    let (minivmm, terminal): (_, OwnedFd) = Minivmm::start_on_terminal(
        [OsStr::new("--kernel"), bare_guest("wait").as_os_str()]
            .into_iter()
            .chain(["--gdb", "stdio", "--gdb-nowait"].map(OsStr::new)),
    );
    let before = tcgetattr(&terminal).unwrap();
    minivmm.stderr.expect("waiting\n");
    assert_eq!(tcgetattr(&terminal).unwrap(), before);
}

#[test]
fn nothing_but_packets_is_on_standard_output() {
    // It reads and writes where nothing is, and prints.
    let mut minivmm = Minivmm::start_bare("unmapped", &STDIO);
    minivmm.send("$QStartNoAckMode#b0+$vCont;c#a8");

    let vm = minivmm.finish();

    assert_eq!((vm.status, vm.console.as_str()), (0, "+$OK#9a$W00#b7"), "{vm:?}");
    assert!(
        vm.stderr.contains("no device there") && vm.stderr.contains("00000000ffffffff\n"),
        "{}",
        vm.stderr
    );
}
