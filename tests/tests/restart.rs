//! The guest run again from its files, by packets and by GDB in extended mode (RSP manual, Packets, "vRun";
//! GDB manual, Connecting to a Remote Target, "target extended-remote").

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use tests::shell::INIT;
use tests::{Gdb, Minivmm, Rsp, bare_guest, bare_symbol, kernel, scratch};

/// Where flat binaries start: RAM + 0x80000.
const ENTRY: u64 = 0x40080000;

/// A bare-metal guest that waits at its first instruction, and a client in extended mode.
fn debug(guest: &str, more: &[&str]) -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare(guest, &[&["--gdb", &port.to_string()], more].concat());
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);
    rsp.order("!");
    (minivmm, rsp)
}

/// The same for a kernel in this file, by GDB.
fn debug_by_gdb(guest: &str) -> (Minivmm, Gdb) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare(guest, &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("target remote");
    let mut gdb = Gdb::start(Some(&bare_guest(guest).with_extension("elf")));
    let said = gdb.connect_extended(format!(":{port}"));
    assert!(said.contains("_start"), "{said}");
    (minivmm, gdb)
}

/// A copy of a guest that can be replaced.
fn copy_of(guest: &str) -> PathBuf {
    let copy = scratch().join("kernel");
    fs::copy(bare_guest(guest), &copy).unwrap();
    copy
}

#[test]
fn vrun_starts_anew_with_fresh_memory_and_without_breakpoints() {
    let (minivmm, mut rsp) = debug("count", &[]);
    let [body, rounds] = ["body", "rounds"].map(|symbol| bare_symbol("count", symbol));
    rsp.order(&format!("Z2,{rounds:x},8"));
    assert_eq!(rsp.resume("vCont;c").pc(), body + 4);
    rsp.order(&format!("Z0,{body:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.set_register(0, 0x1234);
    rsp.write(rounds, &5_u64.to_le_bytes());

    assert_eq!(rsp.resume("vRun;").pc(), ENTRY);

    assert_eq!(rsp.read_u64(rounds), 0);
    assert_ne!(rsp.register(0), 0x1234);
    assert_eq!(rsp.read(body, 4), [0xb5, 0x06, 0x00, 0x91]);
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    drop(rsp);
    let vm = minivmm.finish();
    assert_eq!((vm.status, vm.console.as_str()), (0, "000000000000000a\n"), "{vm:?}");
}

#[test]
fn the_r_packet_has_no_reply_and_starts_anew() {
    let (minivmm, mut rsp) = debug("count", &[]);
    let done = bare_symbol("count", "done");
    rsp.order(&format!("Z1,{done:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), done);

    rsp.send("R00");

    assert_eq!(rsp.resume("?").pc(), ENTRY);
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    drop(rsp);
    assert_eq!(minivmm.finish().console, "000000000000000a\n");
}

#[test]
fn killed_the_guest_is_gone_until_it_is_run_again_and_for_good_once_the_client_leaves() {
    let (minivmm, mut rsp) = debug("two", &["--cpus", "2"]);
    rsp.send("vCont;c");

    rsp.order("vKill;1");

    assert_eq!(rsp.ask("?"), "W00");
    assert!(rsp.ask("g").starts_with("E."), "a guest that was killed has no registers");
    assert_eq!(rsp.resume("vRun;").pc(), ENTRY);
    let second_body = bare_symbol("two", "second_body");
    rsp.order(&format!("Z0,{second_body:x},4"));
    assert_eq!(rsp.resume("vCont;c").thread(), 2);
    rsp.order("vKill;1");
    drop(rsp);
    let vm = minivmm.finish();
    assert_eq!((vm.status, vm.console.as_str()), (0, ""), "{vm:?}");
}

#[test]
fn a_guest_that_ended_by_itself_can_be_run_again_and_its_end_is_minivmms_status() {
    let (minivmm, mut rsp) = debug("reset", &[]);

    assert_eq!(rsp.ask("vCont;c"), "W20;process:1");
    minivmm.stderr.expect("gdb: guest asked for a reset: the debugger may run it again\n");
    assert_eq!(rsp.resume("vRun;").pc(), ENTRY);
    assert_eq!(rsp.ask("vCont;c"), "W20;process:1");
    drop(rsp);

    let vm = minivmm.finish();
    assert_eq!((vm.status, vm.console.as_str()), (32, "resetting\nresetting\n"), "{vm:?}");
    assert!(vm.stderr.ends_with("minivmm: guest asked for a reset\n"), "{}", vm.stderr);
}

#[test]
fn without_extended_mode_the_end_of_the_guest_is_the_end() {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("count", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);

    assert_eq!(rsp.ask("R00"), "");
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");

    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn after_a_detach_the_guest_runs_and_the_client_may_come_back_to_it() {
    let (minivmm, mut rsp) = debug("two", &["--cpus", "2"]);
    let [count, body] = ["count_1", "second_body"].map(|symbol| bare_symbol("two", symbol));
    rsp.order(&format!("Z0,{body:x},4"));
    rsp.resume("vCont;c");
    let before = rsp.read_u64(count);

    rsp.order("D;1");
    assert!(rsp.ask("g").starts_with("E."), "a guest that runs has no registers to show");
    let stop = rsp.resume("vAttach;1");

    assert!(stop.text.starts_with("T02"), "{}", stop.text);
    let first = rsp.read_u64(count);
    assert!(first >= before);
    rsp.order(&format!("Z0,{body:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.order("vKill;1");
    drop(rsp);
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_client_that_leaves_after_a_detach_leaves_the_guest_to_the_next_one() {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("two", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);
    rsp.order("!");
    rsp.order("D;1");
    drop(rsp);

    let mut rsp = Rsp::connect(port);

    assert!(rsp.resume("?").text.starts_with("T02"));
    rsp.send("k");
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_kernel_that_was_built_again_is_the_one_that_runs() {
    let kernel = copy_of("count");
    let port = Minivmm::free_port().to_string();
    let minivmm = Minivmm::start(["--kernel", kernel.to_str().unwrap(), "--gdb", &port]);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port.parse().unwrap());
    rsp.order("!");
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");

    fs::copy(bare_guest("poweroff"), &kernel).unwrap();
    assert_eq!(rsp.resume("vRun;").pc(), ENTRY);
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");

    drop(rsp);
    assert_eq!(minivmm.finish().console, "000000000000000a\npowering off\n");
}

#[test]
fn a_kernel_that_is_gone_is_named_and_the_guest_stays_as_it_was() {
    let kernel = copy_of("count");
    let port = Minivmm::free_port().to_string();
    let minivmm = Minivmm::start(["--kernel", kernel.to_str().unwrap(), "--gdb", &port]);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port.parse().unwrap());
    rsp.order("!");
    let [body, rounds] = ["body", "rounds"].map(|symbol| bare_symbol("count", symbol));
    rsp.order(&format!("Z0,{body:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.write(rounds, &30_u64.to_le_bytes());

    fs::remove_file(&kernel).unwrap();
    let reply = rsp.ask("vRun;");

    let why = format!("--kernel {}: cannot open: No such file or directory", kernel.display());
    assert!(reply.starts_with(&format!("E.{why}")), "{reply}");
    minivmm.stderr.expect(&format!("minivmm: gdb: cannot run the guest again: {why}"));
    assert_eq!((rsp.register(32), rsp.read_u64(rounds)), (body, 30));
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.order(&format!("z0,{body:x},4"));
    rsp.set_register(21, 30);
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    drop(rsp);
    assert_eq!(minivmm.finish().console, "0000000000000028\n");
}

#[test]
fn when_the_old_guest_has_gone_and_no_new_one_can_be_made_minivmm_ends_with_1() {
    // Takes /dev/kvm away, from minivmm alone, when it is told to.
    let script = "mkfifo $0/go $0/gone && \
                  { read word <$0/go; mount --bind /dev/null /dev/kvm; echo gone >$0/gone; } & \
                  exec \"$@\"";
    let unshare = "user=-r; [ $(id -u) = 0 ] && user=; exec unshare $user -m sh -c \"$@\"";
    let folder = std::env::temp_dir().join(format!("minivmm-gone-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let port = Minivmm::free_port();
    let mut command = Command::new("sh");
    command.args(["-c", unshare, "sh", script]).arg(&folder).arg(Minivmm::binary());
    command.arg("--kernel").arg(bare_guest("count")).args(["--gdb", &port.to_string()]);
    let minivmm = Minivmm::spawn(&mut command);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);
    rsp.order("!");
    fs::write(folder.join("go"), "go\n").unwrap();
    assert_eq!(fs::read_to_string(folder.join("gone")).unwrap(), "gone\n");

    let reply = rsp.ask("vRun;");

    assert!(reply.starts_with("E.the host failed: /dev/kvm: "), "{reply}");
    let vm = minivmm.finish();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(vm.status, 1, "{vm:?}");
    let last = vm.stderr.lines().last().unwrap();
    assert!(last.starts_with("minivmm: /dev/kvm: "), "{}", vm.stderr);
}

/// Entries of a folder of /proc/PID.
fn count(minivmm: &Minivmm, folder: &str) -> usize {
    fs::read_dir(format!("/proc/{}/{folder}", minivmm.pid())).unwrap().count()
}

/// A size in KiB from /proc/PID/status.
fn kib(minivmm: &Minivmm, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", minivmm.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn ten_restarts_leave_no_thread_no_descriptor_and_no_memory_behind() {
    /// Of what is loaded, and so in memory.
    const SIZE: u64 = 32 << 20;
    let kernel = copy_of("two");
    File::options().write(true).open(&kernel).unwrap().set_len(SIZE).unwrap();
    let port = Minivmm::free_port().to_string();
    let kernel = kernel.to_str().unwrap();
    let minivmm = Minivmm::start(["--kernel", kernel, "--cpus", "4", "--gdb", &port]);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port.parse().unwrap());
    rsp.order("!");
    let used = |minivmm: &Minivmm| (count(minivmm, "task"), count(minivmm, "fd"));
    let resident = |minivmm: &Minivmm| kib(minivmm, "VmRSS:");
    let before = (used(&minivmm), resident(&minivmm), kib(&minivmm, "VmSize:"));
    assert!(before.1 > SIZE as usize >> 10, "{before:?}");

    for _ in 0..10 {
        rsp.send("vCont;c");
        rsp.interrupt();
        assert_eq!(rsp.resume("vRun;").pc(), ENTRY);
    }

    let after = (used(&minivmm), resident(&minivmm), kib(&minivmm, "VmSize:"));
    assert_eq!(after.0, before.0);
    assert!(after.1 < before.1 + (16 << 10), "{before:?} {after:?}");
    // Stacks and heaps of ended threads stay for the next ones.
    assert!(after.2 < before.2 + (256 << 10), "{before:?} {after:?}");
    rsp.order("vKill;1");
    drop(rsp);
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn run_in_gdb_hits_its_breakpoints_again_whatever_the_guest_was_doing() {
    let (minivmm, mut gdb) = debug_by_gdb("count");
    gdb.run("break *&body");

    // Stopped at its first instruction; at a breakpoint.
    for _ in 0..2 {
        let said = gdb.run("run");
        assert!(said.contains("Breakpoint 1, body"), "{said}");
        assert_eq!(gdb.value("*(long *) &rounds"), 0);
        let said = gdb.run("continue");
        assert!(said.contains("Breakpoint 1, body"), "{said}");
        assert_eq!(gdb.value("*(long *) &rounds"), 1);
    }
    // Killed.
    let said = gdb.run("kill");
    assert!(said.contains("killed"), "{said}");
    let said = gdb.run("run");
    assert!(said.contains("Breakpoint 1, body"), "{said}");
    // Ended.
    gdb.run("disable");
    let said = gdb.run("continue");
    assert!(said.contains("exited normally"), "{said}");
    gdb.run("enable");
    let said = gdb.run("run");
    assert!(said.contains("Breakpoint 1, body"), "{said}");
    assert_eq!(gdb.value("*(long *) &rounds"), 0);

    gdb.run("kill");
    gdb.run("disconnect");
    gdb.assert_no_complaint();
    let vm = minivmm.finish();
    assert_eq!((vm.status, vm.console.as_str()), (0, "000000000000000a\n"), "{vm:?}");
}

#[test]
fn gdb_detaches_attaches_and_runs_again() {
    let (minivmm, mut gdb) = debug_by_gdb("wait");

    let said = gdb.run("detach");
    assert!(said.contains("detached"), "{said}");
    minivmm.console.expect("waiting\n");
    let said = gdb.run("attach 1");
    assert!(said.contains("Attaching to program"), "{said}");
    assert!(said.contains("received signal SIGINT"), "{said}");
    gdb.begin("run");
    minivmm.console.expect("waiting\n");
    gdb.interrupt();
    let said = gdb.end();
    assert!(said.contains("received signal SIGINT"), "{said}");

    gdb.run("kill");
    gdb.assert_no_complaint();
    drop(gdb);
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn linux_boots_again_and_powers_off() {
    let port = Minivmm::free_port();
    let more = ["--cpus", "2", "--gdb", &port.to_string()];
    let cmdline = format!("console=ttyAMA0 quiet panic=-1 -- {INIT}");
    let mut minivmm = Minivmm::boot_with(&cmdline, &kernel(), &more);
    minivmm.stderr.expect("target remote");
    // Without symbols. Any file will do that lets GDB not ask for one.
    let mut gdb = Gdb::start(Some(&bare_guest("count").with_extension("elf")));
    gdb.connect_extended(format!(":{port}"));
    gdb.begin("continue");
    minivmm.console.expect("READY\r\n");
    minivmm.send("echo $((6 * 7))\n");
    minivmm.console.expect("42\r\n");
    gdb.interrupt();
    let said = gdb.end();
    assert!(said.contains("received signal SIGINT"), "{said}");

    gdb.begin("run");
    minivmm.console.expect("READY\r\n");
    minivmm.send("echo $((7 * 7))\n");
    minivmm.console.expect("49\r\n");
    minivmm.send("poweroff -f\n");
    let said = gdb.end();

    assert!(said.contains("exited normally"), "{said}");
    gdb.assert_no_complaint();
    drop(gdb);
    assert_eq!(minivmm.finish().status, 0);
}
