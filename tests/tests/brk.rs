//! A guest's own BRK reaches the guest as if no debugger were there.

use tests::shell::Shell;
use tests::{Gdb, Minivmm, Rsp, bare_symbol, guest};

/// GDB's number of cpsr.
const CPSR: u32 = 33;

/// Bits of PSTATE, as SPSR has them.
const NZCV: u64 = 0xf << 28;
const DIT: u64 = 1 << 24;
const UAO: u64 = 1 << 23;
const PAN: u64 = 1 << 22;
const SSBS: u64 = 1 << 12;
const BTYPE: u64 = 3 << 10;

/// What the guest `brk` prints for each BRK: PSTATE in the handler without NZCV, offset of the vector,
/// ELR, SPSR, ESR, FAR, and NZCV in the handler.
const COLUMNS: usize = 7;
const PSTATE: usize = 0;
const VECTOR: usize = 1;
const ELR: usize = 2;
const SPSR: usize = 3;
const ESR: usize = 4;
const FAR: usize = 5;
const FLAGS: usize = 6;

fn column(console: &str, number: usize) -> Vec<u64> {
    let words = console.lines().map(|word| u64::from_str_radix(word, 16).expect("digits"));
    words.skip(number).step_by(COLUMNS).collect()
}

/// The guest `brk`, waiting at its first instruction.
fn debug() -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("brk", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("gdb: ");
    (minivmm, Rsp::connect(port))
}

/// Lets the guest run to its end and returns what it printed.
#[track_caller]
fn run_to_the_end(minivmm: Minivmm, mut rsp: Rsp) -> String {
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    minivmm.finish().console
}

/// Checks that a guest whose BRKs were delivered by the debug engine printed what it prints without
/// one.
#[track_caller]
fn assert_same(debugged: &str, free: &str) {
    for number in [VECTOR, ELR, SPSR, ESR, FAR] {
        let [debugged, free] = [debugged, free].map(|console| column(console, number));
        assert!(debugged == free, "column {number}: {debugged:#x?}, expected {free:#x?}");
    }
    let [pstate, nzcv] = [PSTATE, FLAGS].map(|number| column(debugged, number));
    let found: Vec<_> = pstate.iter().zip(nzcv).map(|(pstate, nzcv)| pstate | nzcv).collect();
    let wanted = handler_pstates(free);
    assert!(found == wanted, "{found:#x?}, expected {wanted:#x?}");
}

/// PSTATE in the handler by the architecture: as the CPU has it without a debugger, except that NZCV and
/// DIT are those of before, in SPSR. QEMU's CPUs clear them.
fn handler_pstates(free: &str) -> Vec<u64> {
    let rows = column(free, PSTATE).into_iter().zip(column(free, SPSR));
    rows.map(|(pstate, spsr)| pstate & !(NZCV | DIT) | spsr & (NZCV | DIT)).collect()
}

#[test]
fn a_guest_without_a_debugger_takes_brk_and_bkpt_as_this_file_expects() {
    let free = Minivmm::start_bare("brk", &[]).finish().console;

    // EL1h, EL1t, EL0 in AArch64, and where the CPU has it EL0 in AArch32.
    let vectors = [
        0x200, 0x200, 0, 0x400, 0x200, 0x200, 0x400, 0x200, 0x200, 0x200, 0x400, 0x200, 0x200, 0,
        0x400, 0, 0x400, 0x600, 0x600, 0x600,
    ];
    let bug = 0xf2000800;
    let esrs = [
        bug, 0xf2000000, 0xf200ffff, 0xf2000123, bug, bug, 0xf2000123, bug, bug, bug, 0xf2000123,
        bug, bug, 0xf200ffff, 0xf2000123, 0xf200ffff, 0xf2000123, 0xe2001234, 0xe2001234,
        0xe2000056,
    ];
    let taken = column(&free, VECTOR);
    assert!(matches!(taken.len(), 17 | 20), "{free}");
    assert_eq!(taken, vectors[..taken.len()]);
    // The last one is 16 bits long: on hardware IL (bit 25) is 0, on QEMU's CPUs 1.
    let found = column(&free, ESR).into_iter().map(|esr| esr | 1 << 25);
    assert!(found.eq(esrs[..taken.len()].iter().copied()), "{free}");
    assert!(column(&free, FAR).iter().all(|far| *far == 0x5a5a5a5a), "{free}");

    // Where the CPU has these bits, there are BRKs with each set and clear, and the handler has PAN and
    // SSBS from PSTATE or from SCTLR.
    let (pstate, spsr) = (column(&free, PSTATE), column(&free, SPSR));
    for (bit, set, clear) in [(PAN, 4, 5), (UAO, 7, 5), (DIT, 8, 5), (SSBS, 9, 5), (BTYPE, 14, 5)] {
        if spsr.iter().any(|spsr| spsr & bit != 0) {
            assert_eq!((spsr[set] & bit, spsr[clear] & bit), (bit, 0), "{bit:#x}: {free}");
        }
    }
    let has = |bit| spsr[15] & bit != 0;
    for (bit, expected) in [(PAN, [0, PAN, PAN, PAN]), (SSBS, [0, 0, 0, SSBS])] {
        if has(bit) {
            assert_eq!([0, 4, 5, 15].map(|row| pstate[row] & bit), expected, "{bit:#x}: {free}");
        }
    }
    assert_eq!(pstate[10] & SSBS, if has(SSBS) { SSBS } else { 0 }, "{free}");
    assert_eq!(pstate[9] & SSBS, 0, "{free}");
}

#[test]
fn a_guest_takes_its_brk_the_same_with_a_debugger_that_has_something_set() {
    let free = Minivmm::start_bare("brk", &[]).finish().console;

    // Attached, and nothing set: the CPU's own doing.
    let (minivmm, rsp) = debug();
    assert_eq!(run_to_the_end(minivmm, rsp), free);

    // Each kind of breakpoint and a watchpoint, somewhere else: minivmm delivers the BRKs.
    let print = bare_symbol("brk", "print");
    for kind in [0, 1] {
        let (minivmm, mut rsp) = debug();
        rsp.order(&format!("Z{kind},{print:x},4"));
        assert_eq!(rsp.resume("vCont;c").pc(), print);
        rsp.order(&format!("z{kind},{print:x},4"));
        assert_same(&run_to_the_end(minivmm, rsp), &free);
    }
    let (minivmm, mut rsp) = debug();
    rsp.order(&format!("Z2,{:x},8", bare_symbol("brk", "vectors") - 8));
    assert_same(&run_to_the_end(minivmm, rsp), &free);
}

#[test]
fn a_guest_takes_its_brk_the_same_where_the_debugger_has_a_breakpoint_on_it() {
    let free = Minivmm::start_bare("brk", &[]).finish().console;
    let places = ["bug", "planted", "largest", "user"].map(|symbol| bare_symbol("brk", symbol));
    let vectors = bare_symbol("brk", "vectors");

    let (minivmm, mut rsp) = debug();
    for place in places {
        rsp.order(&format!("Z0,{place:x},4"));
    }
    let print = bare_symbol("brk", "print");
    rsp.order(&format!("Z0,{print:x},4"));
    // Those in AArch64.
    for row in 0..17 {
        let stop = rsp.resume("vCont;c");
        assert_eq!(stop.field("swbreak"), Some(""), "{row}: {}", stop.text);
        assert!(places.contains(&stop.pc()), "{row}: {}", stop.text);
        // The step over ours takes the guest's.
        let stop = rsp.resume("vCont;s");
        assert_eq!(stop.pc(), vectors + column(&free, VECTOR)[row], "{row}: {}", stop.text);
    }
    assert_eq!(rsp.resume("vCont;c").pc(), print);
    for place in places.into_iter().chain([print]) {
        rsp.order(&format!("z0,{place:x},4"));
    }
    assert_same(&run_to_the_end(minivmm, rsp), &free);
}

#[test]
fn a_step_over_a_brk_of_the_guests_own_ends_in_the_vector_with_the_pstate_of_there() {
    let free = Minivmm::start_bare("brk", &[]).finish().console;
    let [leave, vectors] = ["leave", "vectors"].map(|symbol| bare_symbol("brk", symbol));

    let (minivmm, mut rsp) = debug();
    rsp.order(&format!("Z0,{leave:x},4"));
    for (row, offset) in column(&free, VECTOR).into_iter().enumerate() {
        assert_eq!(rsp.resume("vCont;c").pc(), leave, "{row}");
        // ERET, for some NOP, and the BRK.
        let mut stop = rsp.resume("vCont;s");
        while stop.pc() != column(&free, ELR)[row] {
            stop = rsp.resume("vCont;s");
        }
        stop = rsp.resume("vCont;s");
        assert_eq!(stop.pc(), vectors + offset, "{row}: {}", stop.text);
        let (pstate, wanted) = (rsp.register(CPSR), handler_pstates(&free)[row]);
        assert!(pstate == wanted, "{row}: {pstate:#x}, expected {wanted:#x}");
    }
    rsp.order(&format!("z0,{leave:x},4"));
    assert_same(&run_to_the_end(minivmm, rsp), &free);
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
