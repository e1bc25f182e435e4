//! GDB steps through Debian's kernel, as slow as that is, and the kernel goes on as if nothing had happened.

use std::ops::Range;

use tests::shell::Shell;
use tests::{Gdb, Minivmm, guest};

/// GDB with the kernel's symbols. It takes code from the symbol file instead of asking several times a step, which under emulation
/// costs most of the time.
fn gdb() -> Gdb {
    let mut gdb = Gdb::start(Some(&guest("vmlinux-6.12")));
    gdb.run("set trust-readonly-sections on");
    gdb
}

/// The exception vectors: where a step must never end.
fn vectors(gdb: &mut Gdb) -> Range<u64> {
    let start = gdb.value("&vectors");
    start..start + 0x800
}

/// GDB, connected to a guest on four vCPUs, each with a shell of its own that starts one program after
/// the other.
fn debug_busy() -> (Gdb, Shell) {
    let port = Minivmm::free_port().to_string();
    // A vCPU that is stepped looks dead to the others.
    let cmdline = "console=ttyAMA0 quiet panic=-1 nowatchdog rcupdate.rcu_cpu_stall_suppress=1";
    let more = ["--cpus", "4", "--gdb", &port, "--gdb-nowait"];
    let mut shell = Shell::boot_with(cmdline, "6.12", &more);
    // Before the guest is busy: they share the host's CPUs.
    let mut gdb = gdb();
    shell.run(
        "for mask in 1 2 4 8; do
            busybox taskset $mask sh -c 'while :; do cat /proc/uptime >/dev/null; done' &
        done",
    );
    gdb.connect(format!(":{port}"));
    (gdb, shell)
}

/// Detaches, and the guest proves that it is well.
fn let_go(mut gdb: Gdb, mut shell: Shell) {
    gdb.run("delete");
    gdb.run("detach");
    gdb.assert_no_complaint();
    assert_eq!(shell.run("echo still $((40 + 2))"), "still 42");
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}

#[test]
fn two_thousand_steps_from_start_kernel_lead_to_the_shell() {
    let port = Minivmm::free_port().to_string();
    let minivmm = Minivmm::boot("6.12", "", &["--cpus", "2", "--gdb", &port]);
    let mut gdb = gdb();
    gdb.connect(format!(":{port}"));
    let vectors = vectors(&mut gdb);
    gdb.run("hbreak start_kernel");
    gdb.run("continue");
    gdb.run("delete");

    // Ten at once: what GDB prints costs more than the steps.
    let mut places = Vec::new();
    for _ in 0..200 {
        let said = gdb.run("stepi 10");
        assert!(!said.contains("received signal"), "{said}");
        places.push(gdb.value("$pc"));
    }

    assert!(places.iter().all(|pc| !vectors.contains(pc)), "{places:x?}");
    places.sort_unstable();
    places.dedup();
    assert!(places.len() > 50, "{places:x?}");
    gdb.begin("continue");
    minivmm.console.expect("/root # ");
    gdb.interrupt();
    gdb.end();
    gdb.run("kill");
    gdb.assert_no_complaint();
}

/// Steps by lines from `place`, `count` times in all, again from `place` whenever user space is reached.
/// Returns PC after each.
fn next_from(gdb: &mut Gdb, place: &str, count: usize) -> Vec<u64> {
    let mut reached = Vec::new();
    while reached.len() < count {
        gdb.run(&format!("tbreak {place}"));
        let said = gdb.run("continue");
        assert!(said.contains("hit Temporary breakpoint"), "{said}");
        // A few at once, each within the time that a command has.
        let mut is_kernel = true;
        while is_kernel && reached.len() < count {
            gdb.run("next");
            let pc = gdb.value("$pc");
            eprintln!("{pc:#x} {}", gdb.place());
            is_kernel = pc >> 63 != 0;
            reached.push(pc);
        }
    }
    reached
}

#[test]
fn lines_are_stepped_through_scheduler_locks_and_exception_returns_on_busy_vcpus() {
    let (mut gdb, shell) = debug_busy();
    let vectors = vectors(&mut gdb);

    // From a shell that waits for its program: it comes back on the vCPU on which GDB waits for it.
    gdb.run("tbreak do_wait");
    gdb.run("continue");
    let start = std::time::Instant::now();
    let thread = gdb.value("$_thread");
    let mut reached = next_from(&mut gdb, &format!("schedule thread {thread}"), 100);
    eprintln!("{:?}", start.elapsed());
    // Takes two locks.
    reached.extend(next_from(&mut gdb, "try_to_wake_up", 60));
    eprintln!("{:?}", start.elapsed());
    reached.extend(next_from(&mut gdb, "*ret_to_user", 40));
    eprintln!("{:?}", start.elapsed());

    assert!(reached.iter().all(|pc| !vectors.contains(pc)), "{reached:x?}");
    let_go(gdb, shell);
}

#[test]
fn a_breakpoint_that_four_vcpus_hit_all_the_time_is_passed_a_hundred_times() {
    let (mut gdb, shell) = debug_busy();

    gdb.run("break *do_sys_openat2");
    gdb.run("ignore 1 99");
    let said = gdb.run("continue");

    assert!(said.contains("hit Breakpoint 1, "), "{said}");
    assert_eq!(gdb.place(), "do_sys_openat2");
    let said = gdb.run("info breakpoints");
    assert!(said.contains("breakpoint already hit 100 times"), "{said}");
    let_go(gdb, shell);
}
