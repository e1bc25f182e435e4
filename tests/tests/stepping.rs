//! What a guest sees while it is stepped through instruction by instruction is what it sees when it runs freely.

#[path = "stepping/aarch32.rs"]
mod aarch32;
#[path = "stepping/bare.rs"]
mod bare;
#[path = "stepping/exclusives.rs"]
mod exclusives;
#[path = "stepping/storm.rs"]
mod storm;
#[path = "stepping/told.rs"]
mod told;
#[path = "stepping/two.rs"]
mod two;

use bare::{Bare, Walk};

/// Steps the guest from its label `first` to `last`, one instruction at a time, and checks that it printed what it prints
/// without a debugger. Returns the way, for what is particular to the guest.
#[track_caller]
fn step_through(guest: &'static str) -> Walk {
    let free = Bare::free_run(guest, &[]);
    let mut bare = Bare::start(guest, &[]);
    bare.run_to("first");

    let pcs = bare.steps_to("last");
    let stepped = bare.finish();

    assert_eq!(stepped.console, free, "{guest} at {pcs:x?}");
    let walk = Walk::new(guest, pcs, stepped);
    walk.assert_plausible();
    walk
}

/// The exception classes (Arm ARM D24.2.40, ESR_EL1.EC) that guests here provoke.
mod class {
    pub const UNKNOWN: u64 = 0x00;
    pub const FP: u64 = 0x07;
    pub const BRANCH_TARGET: u64 = 0x0d;
    pub const SVC32: u64 = 0x11;
    pub const SVC: u64 = 0x15;
    pub const SYSREG: u64 = 0x18;
    pub const PAC: u64 = 0x1c;
    pub const FETCH_EL0: u64 = 0x20;
    pub const FETCH_EL1: u64 = 0x21;
    pub const PC_ALIGNMENT: u64 = 0x22;
    pub const DATA_EL0: u64 = 0x24;
    pub const DATA_EL1: u64 = 0x25;
    pub const SP_ALIGNMENT: u64 = 0x26;
    pub const BKPT32: u64 = 0x38;
    pub const BRK: u64 = 0x3c;
}

#[test]
fn svc() {
    let walk = step_through("step_svc");

    // Two at each level, and the one that leaves EL0.
    assert_eq!(walk.classes(), [class::SVC; 7]);
}

#[test]
fn undefined_instructions() {
    let walk = step_through("step_undefined");

    let [.., eret, end] = &walk.classes()[..] else { panic!("{}", walk.console) };
    assert_eq!([*eret, *end], [class::UNKNOWN, class::SVC]);
    assert_eq!(walk.classes()[..6], [class::UNKNOWN; 6]);
}

#[test]
fn the_guests_own_brk() {
    let walk = step_through("step_brk");

    assert_eq!(walk.classes()[..6], [class::BRK; 6]);
}

#[test]
fn data_and_instruction_aborts() {
    let walk = step_through("step_abort");

    let at = |data, fetch| [data, data, data, fetch];
    let (el1, el0) = (at(class::DATA_EL1, class::FETCH_EL1), at(class::DATA_EL0, class::FETCH_EL0));
    let el1 = [&el1[..], &[class::FETCH_EL1, class::DATA_EL1]].concat();
    let el0 = [&el0[..], &[class::DATA_EL0, class::FETCH_EL0, class::DATA_EL0]].concat();
    assert_eq!(walk.classes(), [&el1[..], &el1, &el0, &[class::SVC]].concat());
}

#[test]
fn alignment_faults() {
    let walk = step_through("step_align");

    // QEMU's CPUs do not check SP.
    let classes: Vec<_> =
        walk.classes().into_iter().filter(|class| *class != class::SP_ALIGNMENT).collect();
    let at = |data| [data, data, class::PC_ALIGNMENT];
    let (el1, el0) = (at(class::DATA_EL1), at(class::DATA_EL0));
    assert_eq!(classes, [&el1[..], &el1, &el0, &[class::SVC]].concat());
}

#[test]
fn traps_of_floating_point() {
    let walk = step_through("step_fp");

    // Two at EL1h, none at EL1t, and at EL0 FPCR as well.
    assert_eq!(walk.classes(), [&[class::FP; 6][..], &[class::SVC]].concat());
}

#[test]
fn pointers_with_a_wrong_signature() {
    let walk = step_through("step_pac");

    // A CPU without pointer authentication has nothing to show.
    let faults = walk.classes().iter().filter(|class| **class == class::PAC).count();
    let fetches = [class::FETCH_EL1, class::FETCH_EL0];
    let fetches = walk.classes().iter().filter(|class| fetches.contains(class)).count();
    assert!(matches!((faults, fetches), (0 | 3, 3) | (0, 0)), "{}", walk.console);
}

#[test]
fn hypervisor_and_monitor_calls() {
    let walk = step_through("step_hvc");

    assert_eq!(walk.classes(), [&[class::UNKNOWN; 4][..], &[class::SVC]].concat());
    // PSCI 1.x by HVC; the call that does not exist is refused.
    let words = walk.words();
    assert_eq!(words[0] >> 16, 1, "{}", walk.console);
    assert_eq!(words[1], u64::MAX, "{}", walk.console);
}

#[test]
fn trapped_system_registers() {
    let walk = step_through("step_sysreg");

    // What does not exist, and at EL0 everything; FEAT_IDST gives ID registers a class of their own there.
    let classes = walk.classes();
    assert_eq!(classes[..4], [class::UNKNOWN; 4], "{}", walk.console);
    let el0 = &classes[4..classes.len() - 1];
    assert_eq!(el0.len(), 8, "{}", walk.console);
    assert!(el0.iter().all(|it| matches!(*it, class::UNKNOWN | class::SYSREG)), "{el0:x?}");
}

#[test]
fn daif_as_the_guest_reads_and_writes_it() {
    let walk = step_through("step_daif");

    let wanted = [0x000, 0x040, 0x1c0, 0x0c0, 0x3c0, 0x000, 0x240, 0x000];
    assert_eq!(walk.words()[..8], wanted, "{}", walk.console);
    assert_eq!(walk.classes(), [class::SVC; 4]);
}

#[test]
fn daif_trapped_at_el0() {
    let walk = step_through("step_daif_trap");

    assert_eq!(walk.classes()[..4], [class::SYSREG; 4]);
}

#[test]
fn eret_with_and_without_pointer_authentication() {
    let walk = step_through("step_eret");

    // NZCV and DAIF after each return.
    assert_eq!(walk.words()[..8], [0, 0x80, 0, 0, 0, 0x3c0, 0, 0x140], "{}", walk.console);
    assert_eq!(walk.classes(), [class::SVC]);
}

#[test]
fn pstate_bits_with_registers_of_their_own() {
    let walk = step_through("step_pstate");

    assert_eq!(walk.classes(), [class::SVC; 4]);
    // First which of them the CPU has: PAN is bit 0, and stays where it was put.
    let words = walk.words();
    if words[0] & 1 != 0 {
        assert_eq!(words[2..5], [1 << 22, 0, 1 << 22], "{}", walk.console);
    }
}

#[test]
fn copies_and_sets_in_three_instructions() {
    let walk = step_through("step_mops");

    // Twelve words a level, of which x2, what is left to do, is the second, the sixth and the ninth, and the sum the tenth. A CPU
    // without FEAT_MOPS has nothing to show but NZCV and DAIF.
    let words = walk.words();
    let levels: Vec<_> = words.chunks(12).take(3).collect();
    if words.len() == 42 {
        assert!(levels.iter().all(|it| [it[1], it[5], it[8]] == [0; 3]), "{}", walk.console);
        assert!(levels.iter().all(|it| it[9] == levels[0][9]), "{}", walk.console);
    } else {
        assert_eq!(words.len(), 12, "{}", walk.console);
    }
}

#[test]
fn branch_targets() {
    let walk = step_through("step_bti");

    // A CPU without FEAT_BTI has nothing to show.
    let classes = walk.classes();
    assert!(
        classes == [class::SVC]
            || classes == [class::BRANCH_TARGET, class::BRANCH_TARGET, class::SVC],
        "{}",
        walk.console
    );
}

#[test]
fn waiting_with_an_interrupt_pending() {
    let walk = step_through("step_wait");

    assert_eq!(walk.classes(), [class::SVC]);
    for level in ["el1h", "el1t", "el0"] {
        for name in ["wfi", "wfe"] {
            let label = format!("{name}_{level}");
            assert_eq!(walk.steps_from(&label), [walk.address(&label) + 4], "{label}");
        }
    }
}

#[test]
fn a_timer_interrupt_that_is_pending_all_the_time() {
    let walk = step_through("step_irq");

    // SVC, UDF, BRK and SVC with IRQs masked; SPSR tells.
    let at = [class::SVC, class::UNKNOWN, class::BRK, class::SVC];
    assert_eq!(walk.classes(), [&at[..], &at, &at, &[class::SVC]].concat());
    let masked = |spsr: u64| spsr & 0x80 != 0;
    let wanted = [false, false, false, true].repeat(3);
    assert_eq!(walk.spsrs()[..12].iter().copied().map(masked).collect::<Vec<_>>(), wanted);
    // Nor does it come into an exclusive region.
    for level in ["el1h", "el1t", "el0"] {
        let end = walk.address(&format!("load_end_{level}"));
        assert_eq!(walk.steps_from(&format!("load_{level}")), [end; 3]);
        let out = walk.address(&format!("compare_out_{level}"));
        assert_eq!(walk.steps_from(&format!("compare_{level}")), [out]);
    }
}

#[test]
fn a_breakpoint_on_a_landing_pad_or_where_none_is_changes_nothing() {
    let free = Bare::free_run("step_bti", &[]);
    let mut bare = Bare::start("step_bti", &[]);
    let guarded = bare.address("GUARDED");
    let places = ["pad_c", "pad_j", "pad_jc", "pad_pac", "no_pad"]
        .map(|name| bare.address(&format!("{name}_el1h")) + guarded);
    bare.run_to("first");
    for at in places {
        bare.rsp.order(&format!("Z0,{at:x},4"));
    }

    // A CPU without FEAT_BTI goes to none of them.
    if free.lines().count() > 12 {
        for at in places {
            let stop = bare.rsp.resume("vCont;c");
            assert_eq!(stop.pc(), at, "{}", stop.text);
            let vector = bare.address("vectors") + 0x200;
            let after = if at == places[4] { vector } else { at + 4 };
            assert_eq!(bare.step(), after);
        }
    }
    assert_eq!(bare.finish().console, free);
}
