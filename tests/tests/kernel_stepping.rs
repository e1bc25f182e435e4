//! GDB steps through Debian's kernel, as slow as that is, and the kernel goes on as if nothing had
//! happened.

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
    let minivmm =
        Minivmm::boot_with("console=ttyAMA0 quiet", "6.12", &["--cpus", "2", "--gdb", &port]);
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

/// Steps by lines, `count` times in all, and returns PC after each. `find` brings the guest to where it begins, and does so again each
/// time that a step has ended where `is_over`, given the symbol there.
fn next_from(
    gdb: &mut Gdb,
    count: usize,
    find: fn(&mut Gdb),
    is_over: fn(&str) -> bool,
) -> Vec<u64> {
    let mut reached = Vec::new();
    while reached.len() < count {
        find(gdb);
        let mut place = gdb.place();
        while !is_over(&place) && reached.len() < count {
            gdb.run("next");
            reached.push(gdb.value("$pc"));
            place = gdb.place();
        }
    }
    reached
}

/// Runs to the next time that a vCPU comes to this place.
fn run_to(gdb: &mut Gdb, place: &str) {
    gdb.run(&format!("tbreak {place}"));
    let said = gdb.run("continue");
    assert!(said.contains(" hit Temporary breakpoint "), "{said}");
}

/// Runs to where a shell goes to sleep until its program ends. GDB waits for the end of schedule() in the same task on the same vCPU:
/// these shells come back there, when many others would not.
fn find_schedule(gdb: &mut Gdb) {
    run_to(gdb, "do_wait");
    let (thread, sp) = (gdb.value("$_thread"), gdb.value("$sp"));
    // 16 KiB of stack tell the task.
    run_to(gdb, &format!("schedule thread {thread} if ($sp ^ {sp:#x}) < 0x4000"));
}

#[test]
fn lines_are_stepped_through_scheduler_locks_and_exception_returns_on_busy_vcpus() {
    let (mut gdb, shell) = debug_busy();
    let vectors = vectors(&mut gdb);

    // Into the next task and back, and up to the handler of the system call. That one returns to assembly which branches to ret_to_user:
    // GDB takes this for a call and waits for its end, for ever, whatever it debugs.
    let mut reached = next_from(&mut gdb, 110, find_schedule, |place| place.starts_with("el0t_"));
    // Takes the locks of a task and of a run queue, which are inline.
    let find_lock = |gdb: &mut Gdb| run_to(gdb, "try_to_wake_up");
    reached
        .extend(next_from(&mut gdb, 60, find_lock, |place| !place.starts_with("try_to_wake_up")));
    // The return to user space, where there are no lines, is the last of three.
    let find_return = |gdb: &mut Gdb| run_to(gdb, "*ret_to_user");
    let mut returns =
        next_from(&mut gdb, 30, find_return, |place| !place.starts_with("ret_to_user"));

    let in_user_space = returns.iter().filter(|pc| *pc >> 63 == 0).count();
    assert_eq!(in_user_space, 10, "{returns:x?}");
    reached.append(&mut returns);
    assert_eq!(reached.len(), 200);
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
    assert!(gdb.place().starts_with("do_sys_openat2 "));
    let said = gdb.run("info breakpoints");
    assert!(said.contains("breakpoint already hit 100 times"), "{said}");
    let_go(gdb, shell);
}
