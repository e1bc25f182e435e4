//! Debugging sessions with GDB on Debian's kernel, as a person would type them.

use std::env::temp_dir;
use std::process;

use tests::shell::Shell;
use tests::{Gdb, Minivmm, bare_guest, kernel, release, vmlinux};

/// The shell of the guest's initramfs.
const PROMPT: &str = "/root # ";

/// Debian's kernel on two vCPUs, waiting at its first instruction, and GDB with its symbols,
/// connected.
fn debug(port: u16) -> (Minivmm, Gdb) {
    let more = ["--cpus", "2", "--gdb", &port.to_string()];
    let minivmm = Minivmm::boot_with("console=ttyAMA0 quiet panic=-1", &kernel(), &more);
    let mut gdb = Gdb::start(Some(&vmlinux()));
    gdb.connect(format!(":{port}"));
    (minivmm, gdb)
}

#[test]
fn watchpoints_on_a_kernel_variable_stop_at_its_accesses() {
    let (minivmm, mut gdb) = debug(Minivmm::free_port());
    gdb.run("hbreak start_kernel");
    gdb.run("continue");
    gdb.run("delete");

    // GDB steps over the access before it reports it.
    let said = gdb.run("rwatch system_state");
    assert_eq!(said, "Hardware read watchpoint 2: system_state");
    for _ in 0..2 {
        let said = gdb.run("continue");
        assert!(said.contains("Hardware read watchpoint 2: system_state"), "{said}");
        assert!(said.contains("Value = SYSTEM_BOOTING"), "{said}");
        let access = gdb.run("x/i $pc - 4");
        assert!(access.contains("\tldr\t"), "{access}");
    }
    gdb.run("delete");

    let said = gdb.run("awatch system_state");
    assert_eq!(said, "Hardware access (read/write) watchpoint 3: system_state");
    let said = gdb.run("continue");
    assert!(said.contains("Hardware access (read/write) watchpoint 3: system_state"), "{said}");
    assert!(said.contains("Value = SYSTEM_BOOTING"), "{said}");
    gdb.run("delete");

    let said = gdb.run("watch system_state");
    assert_eq!(said, "Hardware watchpoint 4: system_state");
    let states = ["SYSTEM_BOOTING", "SYSTEM_SCHEDULING", "SYSTEM_FREEING_INITMEM"];
    for change in states.windows(2) {
        let said = gdb.run("continue");
        assert!(said.contains("Hardware watchpoint 4: system_state"), "{said}");
        assert!(said.contains(&format!("Old value = {}\n", change[0])), "{said}");
        assert!(said.contains(&format!("New value = {}\n", change[1])), "{said}");
        let access = gdb.run("x/i $pc - 4");
        assert!(access.contains("\tstr\t"), "{access}");
    }
    gdb.run("delete");

    // The last change, among reads.
    gdb.run("awatch system_state");
    let mut said = gdb.run("continue");
    while said.contains("\nValue = SYSTEM_FREEING_INITMEM\n") {
        said = gdb.run("continue");
    }
    assert!(said.contains("Old value = SYSTEM_FREEING_INITMEM\n"), "{said}");
    assert!(said.contains("New value = SYSTEM_RUNNING\n"), "{said}");

    gdb.run("delete");
    gdb.run("detach");
    minivmm.console.expect(PROMPT);
    gdb.assert_no_complaint();
}

#[test]
fn gdb_comes_to_a_running_guest_and_goes_and_dies_without_harm() {
    // Not among the logs: a socket's path has at most 107 bytes.
    let socket = temp_dir().join(format!("minivmm-test-{}.sock", process::id()));
    let address = format!("unix:{}", socket.display());
    // The guest's clock goes on while it is stopped, and where GDB is slow that is long enough for RCU.
    let cmdline = "console=ttyAMA0 quiet panic=-1 nowatchdog rcupdate.rcu_cpu_stall_suppress=1";
    let more = ["--cpus", "2", "--gdb", &address, "--gdb-nowait"];
    let mut shell = Shell::boot_with(cmdline, &kernel(), &more);
    let mut gdb = Gdb::start_inside(Some(&vmlinux()));

    gdb.connect(socket.display());
    let said = gdb.run("x/s linux_banner");
    assert!(said.contains(&format!("Linux version {} ", release(&kernel()))), "{said}");
    let said = gdb.run("thread apply all bt");
    assert!(said.contains("vCPU 0 [on]") && said.contains("vCPU 1 [on]"), "{said}");
    assert_eq!(said.matches("\n#0  ").count(), 2, "{said}");
    gdb.run("break do_sys_openat2");
    gdb.begin("continue");
    shell.begin("cat /proc/uptime >/dev/null");
    let said = gdb.end();
    assert!(said.contains("hit Breakpoint 1") && said.contains("do_sys_openat2 ("), "{said}");
    gdb.run("detach");
    assert_eq!(shell.run("echo still $((40 + 2))"), "still 42");

    // A client that dies leaves the guest as it was: stopped.
    gdb.connect(socket.display());
    let panic_timeout = gdb.value("&panic_timeout");
    gdb.run("set variable panic_timeout = 88");
    gdb.run("set $x0 = $x0");
    let (pc, sp) = (gdb.value("$pc"), gdb.value("$sp"));
    gdb.assert_no_complaint();
    drop(gdb);
    shell.begin("cat /proc/sys/kernel/panic");

    // Any file will do that lets GDB not ask for one.
    let mut gdb = Gdb::start_inside(Some(&bare_guest("count").with_extension("elf")));
    gdb.connect(socket.display());
    assert_eq!((gdb.value("$pc"), gdb.value("$sp")), (pc, sp));
    assert_eq!(gdb.value(&format!("*(int *) {panic_timeout:#x}")), 88);
    gdb.run("detach");
    gdb.assert_no_complaint();
    assert_eq!(shell.run("echo alive"), "88\nalive");

    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
    assert!(!socket.exists());
}

#[test]
fn gdb_works_with_a_kernel_that_moves_itself() {
    let port = Minivmm::free_port();
    let more = ["--gdb", &port.to_string()];
    let minivmm = Minivmm::boot_with("console=ttyAMA0 panic=-1 kaslr", &kernel(), &more);
    // Without symbols. Any file will do that lets GDB not ask for one.
    let mut gdb = Gdb::start(Some(&bare_guest("count").with_extension("elf")));
    gdb.connect(format!(":{port}"));

    // The branch to primary_entry, before anything has moved.
    gdb.run("hbreak *0x40000004");
    let said = gdb.run("continue");
    assert!(said.contains("Breakpoint 1, 0x0000000040000004"), "{said}");
    gdb.run("delete");
    gdb.begin("continue");
    minivmm.console.expect("KASLR enabled");
    minivmm.console.expect("Freeing unused kernel memory");
    gdb.interrupt();
    gdb.end();
    let steps = gdb.steps(5);
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{steps:x?}");
    gdb.run("x/4i $pc");

    gdb.run("kill");
    gdb.assert_no_complaint();
    assert_eq!(minivmm.finish().status, 0);
}
