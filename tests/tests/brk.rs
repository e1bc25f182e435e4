//! A guest's own BRK reaches the guest as if no debugger were there.

use tests::shell::Shell;
use tests::{Gdb, Minivmm, bare_guest, guest};

/// The guest `brk`, waiting for GDB.
fn debug(gdb: &mut Gdb) -> Minivmm {
    let port = Minivmm::free_port().to_string();
    let minivmm = Minivmm::start_bare("brk", &["--gdb", &port]);
    gdb.connect(format!(":{port}"));
    minivmm
}

/// Lets the guest run to its end and returns what it printed.
fn run_to_the_end(gdb: &mut Gdb, minivmm: Minivmm) -> String {
    let said = gdb.run("continue");
    assert!(said.contains("exited normally"), "{said}");
    minivmm.finish().console
}

/// What the guest prints for each BRK: PSTATE in the handler without NZCV, offset of the vector, ELR,
/// SPSR, ESR, FAR, and NZCV in the handler.
const COLUMNS: usize = 7;

fn column(console: &str, number: usize) -> Vec<u64> {
    let words = console.lines().map(|word| u64::from_str_radix(word, 16).expect("digits"));
    words.skip(number).step_by(COLUMNS).collect()
}

/// Checks that a guest under a debugger printed what it prints without one.
#[track_caller]
fn assert_same(debugged: &str, free: &str) {
    for number in 0..COLUMNS - 1 {
        assert_eq!(column(debugged, number), column(free, number), "{debugged}");
    }
    // The architecture keeps NZCV, as SPSR has it; QEMU's CPUs clear it, so without a debugger the
    // emulated host's guest sees zeros.
    let nzcv: Vec<_> = column(debugged, 3).into_iter().map(|spsr| spsr & 0xf0000000).collect();
    assert_eq!(column(debugged, 6), nzcv, "{debugged}");
}

#[test]
fn a_bare_metal_guest_sees_the_same_brk_with_and_without_a_debugger() {
    let free = Minivmm::start_bare("brk", &[]).finish().console;
    let mut gdb = Gdb::start(Some(&bare_guest("brk").with_extension("elf")));

    assert_eq!(free.lines().count(), 5 * COLUMNS, "{free}");
    assert_eq!(column(&free, 1), [0x200, 0x200, 0, 0x400, 0x400]);
    assert_eq!(column(&free, 4), [0xf2000800, 0xf2000000, 0xf200ffff, 0xf2000123, 0xf2000124]);
    assert_eq!(column(&free, 5), [0x5a5a5a5a; 5]);

    // Attached, and nothing set.
    let minivmm = debug(&mut gdb);
    assert_same(&run_to_the_end(&mut gdb, minivmm), &free);

    // Software breakpoints before and behind. (On a BRK, GDB takes it for its own and skips it.)
    let minivmm = debug(&mut gdb);
    for (number, place) in (1..).zip(["before_el1h", "after_el1h", "after_el0"]) {
        gdb.run(&format!("break *&{place}"));
        let said = gdb.run("continue");
        assert!(said.contains(&format!("Breakpoint {number}, ")), "{said}");
        assert_eq!(gdb.place(), place);
    }
    assert_same(&run_to_the_end(&mut gdb, minivmm), &free);
    gdb.run("delete");

    // Stepped over: the step ends in the vector, where the CPU would be.
    let minivmm = debug(&mut gdb);
    for (level, offset) in [("el1h", 0x200), ("el1t", 0), ("el0", 0x400)] {
        gdb.run(&format!("hbreak *&before_{level}"));
        gdb.run("continue");
        let brk = gdb.value(&format!("&brk_{level}"));
        let vector = gdb.value(&format!("(char *) &vectors + {offset:#x}"));
        assert_eq!(gdb.steps(2), [brk, vector]);
        assert_eq!(gdb.value("$cpsr & 0x3cf"), 0x3c5, "all masked, EL1h");
    }
    assert_same(&run_to_the_end(&mut gdb, minivmm), &free);
    gdb.assert_no_complaint();
}

/// Counts how often `cat` opens a file, by a kprobe, which is a BRK in the kernel.
fn opens_by_cat(shell: &mut Shell) -> String {
    shell.run("cd /sys/kernel/tracing; echo >trace; echo 1 >events/kprobes/opened/enable");
    shell.run("cat /proc/version /proc/cmdline /proc/uptime >/dev/null");
    shell.run("echo 0 >events/kprobes/opened/enable");
    shell.run("grep -c 'cat-.*opened' trace")
}

#[test]
fn kprobes_work_the_same_with_and_without_a_debugger() {
    let port = Minivmm::free_port().to_string();
    let mut shell = Shell::boot("6.12", &["--cpus", "2", "--gdb", &port, "--gdb-nowait"]);
    shell.run("mount -t tracefs none /sys/kernel/tracing");
    shell.run("echo 'p:opened do_sys_openat2' >/sys/kernel/tracing/kprobe_events");
    let free = opens_by_cat(&mut shell);

    let mut gdb = Gdb::start(Some(&guest("vmlinux-6.12")));
    gdb.connect(format!(":{port}"));
    gdb.begin("continue");
    let attached = opens_by_cat(&mut shell);
    gdb.interrupt();
    gdb.end();

    // And with a breakpoint of GDB's in what the kprobe's BRK leads to.
    gdb.run("break *&kprobe_brk_handler");
    gdb.begin("continue");
    shell.begin("echo 1 >/sys/kernel/tracing/events/kprobes/opened/enable; cat /proc/version");
    let said = gdb.end();
    assert!(said.contains("hit Breakpoint 1, "), "{said}");
    assert_eq!(gdb.value("$x1"), 0xf2000004, "ESR of a kprobe's BRK");
    let place = gdb.run("info symbol ((struct pt_regs *) $x0)->pc");
    assert!(place.starts_with("do_sys_openat2 "), "{place}");
    gdb.run("detach");

    let free: u32 = free.parse().expect("a count");
    assert!(free >= 3, "{free}");
    assert_eq!(attached, free.to_string());
    gdb.assert_no_complaint();
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}
