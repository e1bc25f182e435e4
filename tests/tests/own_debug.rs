//! A guest that debugs itself with the CPU's debug registers and its software step.

use tests::{Minivmm, Rsp, bare_symbol};

/// What the guest `own_debug` prints of each exception.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Taken {
    /// Offset of the vector.
    vector: u64,
    esr: u64,
    /// Only of a watchpoint: for all others FAR_EL1 holds nothing defined, and what QEMU's CPU writes
    /// there, minivmm does not.
    far: Option<u64>,
    elr: u64,
    spsr: u64,
}

impl Taken {
    /// Exception class (Arm ARM, ESR_EL1.EC).
    fn class(&self) -> u64 {
        self.esr >> 26
    }

    fn is_svc(&self) -> bool {
        self.class() == 0x15
    }

    fn is_step(&self) -> bool {
        matches!(self.class(), 0x32 | 0x33)
    }
}

fn taken(console: &str) -> Vec<Taken> {
    let words: Vec<_> =
        console.lines().map(|word| u64::from_str_radix(word, 16).expect("digits")).collect();
    let events = words.chunks(5).map(|words| {
        let [vector, esr, far, elr, spsr] = words.try_into().expect("5 words");
        let far = matches!(esr >> 26, 0x34 | 0x35).then_some(far);
        Taken { vector, esr, far, elr, spsr }
    });
    events.collect()
}

/// Version of the kernel whose KVM this is.
fn host_kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a Linux host");
    let digits = release.split(|char: char| !char.is_ascii_digit());
    let mut numbers = digits.map(|number| number.parse().expect("digits"));
    (numbers.next().expect("a version"), numbers.next().expect("its second number"))
}

/// The guest's own account when nobody debugs it.
fn free_run() -> Vec<Taken> {
    taken(&Minivmm::start_bare("own_debug", &[]).finish().console)
}

/// The guest, waiting at its first instruction.
fn debug() -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("own_debug", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("gdb: ");
    (minivmm, Rsp::connect(port))
}

/// Lets the guest run to its end.
#[track_caller]
fn run_to_the_end(minivmm: Minivmm, mut rsp: Rsp) -> Vec<Taken> {
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    taken(&minivmm.finish().console)
}

#[test]
fn a_guest_without_a_debugger_can_debug_itself() {
    let symbol = |name| bare_symbol("own_debug", name);

    let free = free_run();

    // Each is followed by the SVC with which its code ends.
    let found: Vec<_> = free.iter().map(|event| (event.class(), event.vector, event.elr)).collect();
    let svc_el1 = (0x15, 0x200, symbol("stores_at_el1") + 8);
    let svc_el0 = (0x15, 0x400, symbol("loads_at_el0") + 8);
    let wanted = [
        (0x31, 0x200, symbol("at_el1")),
        svc_el1,
        (0x35, 0x200, symbol("stores_at_el1")),
        svc_el1,
        (0x30, 0x400, symbol("at_el0")),
        svc_el0,
        (0x34, 0x400, symbol("loads_at_el0")),
        svc_el0,
        (0x33, 0x200, symbol("el1") + 4),
        svc_el1,
        (0x32, 0x400, symbol("el0") + 4),
        svc_el0,
    ];
    assert_eq!(found, wanted);
    let cell = symbol("cell");
    assert!((cell..cell + 8).contains(&free[2].far.expect("FAR")), "{:x?}", free[2]);
}

#[test]
fn a_debugger_that_has_nothing_set_leaves_the_guest_its_debug_registers_and_steps() {
    let (minivmm, rsp) = debug();

    assert_eq!(run_to_the_end(minivmm, rsp), free_run());
}

#[test]
fn a_debugger_that_has_left_leaves_the_guest_its_debug_registers_and_steps() {
    let (minivmm, mut rsp) = debug();
    rsp.order(&format!("Z0,{:x},4", bare_symbol("own_debug", "power_off")));
    rsp.order(&format!("Z1,{:x},4", bare_symbol("own_debug", "put_words")));

    rsp.order("D");

    assert_eq!(taken(&minivmm.finish().console), free_run());
}

#[test]
fn under_software_breakpoints_the_guest_keeps_its_debug_registers_but_not_its_steps() {
    let (minivmm, mut rsp) = debug();
    rsp.order(&format!("Z0,{:x},4", bare_symbol("own_debug", "putx")));
    rsp.order(&format!("Z0,{:x},4", bare_symbol("own_debug", "at_el0")));
    assert_eq!(rsp.resume("vCont;c").pc(), bare_symbol("own_debug", "at_el0"));
    rsp.order(&format!("z0,{:x},4", bare_symbol("own_debug", "at_el0")));
    assert_eq!(rsp.resume("vCont;c").pc(), bare_symbol("own_debug", "putx"));
    rsp.order(&format!("z0,{:x},4", bare_symbol("own_debug", "putx")));

    let found = run_to_the_end(minivmm, rsp);

    // KVM clears MDSCR_EL1.SS while anything is set (kvm_arm_setup_debug in arch/arm64/kvm/debug.c of 6.12),
    // so of the guest's steps there is no trace but that its code runs on to the SVC. From 6.14 on it takes
    // the debug registers as well.
    let has_registers = host_kernel() < (6, 14);
    let is_kept = |event: &Taken| event.is_svc() || has_registers && !event.is_step();
    assert_eq!(found, free_run().into_iter().filter(is_kept).collect::<Vec<_>>());
}

#[test]
fn under_hardware_breakpoints_or_watchpoints_the_guest_runs_on_without_its_own() {
    for kind in [1, 2] {
        let (minivmm, mut rsp) = debug();
        // KVM lends us all of the registers or none. Nothing comes to this address.
        rsp.order(&format!("Z{kind},{:x},4", 0xffff000000000000_u64));

        let found = run_to_the_end(minivmm, rsp);

        let without_own: Vec<_> = free_run().into_iter().filter(Taken::is_svc).collect();
        assert_eq!(found, without_own);
    }
}
