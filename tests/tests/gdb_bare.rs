//! Breakpoints, watchpoints, steps and registers, to the bit, on guests of a few instructions.

use tests::{Gdb, Minivmm, bare_guest};

/// A bare-metal guest that waits at its first instruction, and GDB with its symbols, connected.
fn debug(guest: &str, more: &[&str]) -> (Minivmm, Gdb) {
    let port = Minivmm::free_port().to_string();
    let minivmm = Minivmm::start_bare(guest, &[&["--gdb", &port], more].concat());
    let mut gdb = Gdb::start(Some(&bare_guest(guest).with_extension("elf")));
    gdb.connect(format!(":{port}"));
    (minivmm, gdb)
}

/// What the guest prints when nobody debugs it.
fn free_run(guest: &str) -> String {
    Minivmm::start_bare(guest, &[]).finish().console
}

/// Lets the guest run to its end.
fn run_to_the_end(gdb: &mut Gdb) {
    let said = gdb.run("continue");
    assert!(said.contains("exited normally"), "{said}");
}

/// Kills the guest, which ends minivmm.
fn end(minivmm: Minivmm, gdb: &mut Gdb) {
    gdb.run("kill");
    let vm = minivmm.finish();
    assert_eq!(vm.status, 0, "{vm:?}");
}

#[test]
fn a_breakpoint_in_a_loop_is_hit_once_a_round() {
    let (minivmm, mut gdb) = debug("count", &[]);

    gdb.run("break *&body");
    for round in 0..10 {
        let said = gdb.run("continue");
        assert!(said.contains("Breakpoint 1, body"), "{said}");
        assert_eq!(gdb.value("*(long *) &rounds"), round);
    }
    run_to_the_end(&mut gdb);

    gdb.assert_no_complaint();
    assert_eq!(minivmm.finish().console, "000000000000000a\n");
}

#[test]
fn a_planted_breakpoint_is_out_of_sight_and_survives_being_written_over() {
    let (minivmm, mut gdb) = debug("count", &[]);

    gdb.run("set breakpoint always-inserted on");
    gdb.run("break *&body");
    gdb.run("continue");

    // add x21, x21, #1
    assert!(gdb.run("x/i $pc").contains("add\tx21, x21, #0x1"));
    let read = format!("maint packet m{:x},4", gdb.value("&body"));
    assert!(gdb.run(&read).contains("received: \"b5060091\""), "{}", gdb.transcript());
    // Two bytes of it, and with what comes before it.
    let around = format!("maint packet m{:x},4", gdb.value("&body") - 2);
    assert!(gdb.run(&around).contains("40f9b506"), "{}", gdb.transcript());

    // add x21, x21, #2
    let write = format!("maint packet M{:x},4:b50a0091", gdb.value("&body"));
    assert!(gdb.run(&write).contains("received: \"OK\""), "{}", gdb.transcript());
    assert!(gdb.run(&read).contains("received: \"b50a0091\""), "{}", gdb.transcript());
    for round in 1..10 {
        let said = gdb.run("continue");
        assert!(said.contains("Breakpoint 1, body"), "{said}");
        assert_eq!(gdb.value("*(long *) &rounds"), 2 * round);
    }
    run_to_the_end(&mut gdb);

    gdb.assert_no_complaint();
    assert_eq!(minivmm.finish().console, "0000000000000014\n");
}

#[test]
fn gdb_can_use_every_hardware_breakpoint_and_is_refused_more() {
    let (minivmm, mut gdb) = debug("count", &[]);
    gdb.run("hbreak *&body");
    gdb.run("hbreak *&done");
    // Behind the end of the code. With these there are more than any CPU has (Arm ARM, ID_AA64DFR0_EL1.BRPs).
    for number in 2..17 {
        gdb.run(&format!("hbreak *((char *) &power_off + 4 * {number})"));
    }

    let said = gdb.run("continue");

    // GDB keeps the stub's message to itself and names those that did not fit.
    let refused = said.split("Cannot insert hardware breakpoint ").nth(1);
    let refused =
        refused.and_then(|text| text.split('.').next()).and_then(|text| text.parse().ok());
    let refused: usize = refused.unwrap_or_else(|| panic!("none refused: {said}"));
    let have = refused - 1;
    assert!((2..=16).contains(&have), "{said}");

    // As many as there are work.
    gdb.run(&format!("delete {}-17", have + 1));
    for _ in 0..3 {
        let said = gdb.run("continue");
        assert!(said.contains("Breakpoint 1, body"), "{said}");
    }
    gdb.run("delete 1");
    let said = gdb.run("continue");
    assert!(said.contains("Breakpoint 2, done"), "{said}");
    run_to_the_end(&mut gdb);
    assert_eq!(minivmm.finish().console, "000000000000000a\n");
}

#[test]
fn steps_advance_with_an_interrupt_pending_all_the_time() {
    let (minivmm, mut gdb) = debug("timer", &[]);
    gdb.run("hbreak *&loop");
    gdb.run("continue");
    gdb.run("delete");
    let first = gdb.value("&loop");
    let ticks = gdb.value("*(long *) &ticks");

    // Six instructions a round, and not one of the handler's.
    let steps = gdb.steps(48);
    let wanted: Vec<_> = (1..=48).map(|step| first + step % 6 * 4).collect();
    assert_eq!(steps, wanted);
    assert_eq!(gdb.value("$x21 & 4"), 4, "the timer asks for an interrupt");
    assert_eq!(gdb.value("$x22"), 0x340, "the guest sees its IRQs unmasked");
    assert_eq!(gdb.value("$cpsr & 0x3c0"), 0x340);
    assert_eq!(gdb.value("*(long *) &ticks"), ticks);
    assert_eq!(gdb.value("$x19"), 8);

    // Continuing from a breakpoint gets away from it, and the interrupts arrive.
    gdb.run("break *&loop");
    for round in 8..11 {
        gdb.run("continue");
        assert_eq!(gdb.place(), "loop");
        assert_eq!(gdb.value("$x19"), round + 1);
    }
    gdb.run("delete");
    gdb.run("hbreak *&idle");
    gdb.run("continue");
    assert_eq!(gdb.value("*(long *) &ticks"), 5);

    // WFI with an interrupt pending but masked; then for one instruction unmasked.
    assert_eq!(gdb.steps(4), [4, 8, 12, 16].map(|offset| first + 28 + offset));
    assert_eq!(gdb.value("$x22"), 0x3c0);
    assert_eq!(gdb.value("*(long *) &ticks"), 5);
    run_to_the_end(&mut gdb);

    gdb.assert_no_complaint();
    assert_eq!(minivmm.finish().console, "ticked\n");
}

#[test]
fn a_guest_that_is_stepped_through_sees_the_same_as_one_that_is_not() {
    let (minivmm, mut gdb) = debug("pstate", &[]);
    gdb.run("hbreak *&first");
    gdb.run("continue");
    gdb.run("delete");
    let handler = gdb.value("(char *) &vectors + 0x200");

    let steps = gdb.steps_while("$pc != (unsigned long) &last");
    // Both SVCs and the UDF went to the handler.
    assert_eq!(steps.iter().filter(|pc| **pc == handler).count(), 3, "{steps:x?}");
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{steps:x?}");
    run_to_the_end(&mut gdb);

    gdb.assert_no_complaint();
    let console = minivmm.finish().console;
    // DAIF after reset, then with everything unmasked.
    assert!(console.starts_with("00000000000003c0\n0000000000000000\n"), "{console}");
    assert_eq!(console, free_run("pstate"));
}

#[test]
fn a_device_access_that_is_stepped_over_happens_once() {
    let (mut minivmm, mut gdb) = debug("mmio", &[]);
    gdb.run("break *&write");
    gdb.run("continue");
    assert_eq!(minivmm.console.text(), "");

    assert_eq!(gdb.steps(1), [gdb.value("&write_again")]);
    minivmm.console.expect("A");
    assert_eq!(gdb.steps(2), [gdb.value("&read"), gdb.value("&after")]);
    // FR: both FIFOs empty, neither full, not busy.
    assert_eq!(gdb.value("$w3 & 0xf8"), 0x90);
    run_to_the_end(&mut gdb);

    gdb.assert_no_complaint();
    minivmm.close_stdin();
    assert_eq!(minivmm.finish().console, "AB");
}

#[test]
fn a_breakpoint_on_the_second_vcpu_is_its_own_and_locked_steps_move_no_other() {
    let (minivmm, mut gdb) = debug("two", &["--cpus", "2"]);
    gdb.run("break *&second_body");

    let said = gdb.run("continue");
    assert!(said.contains("Thread 2 ") && said.contains("hit Breakpoint 1"), "{said}");
    let threads = gdb.run("info threads");
    assert!(threads.contains("* 2 ") && threads.contains("vCPU 1 [on]"), "{threads}");
    assert!(threads.contains("vCPU 0 [on]"), "{threads}");

    gdb.run("set scheduler-locking on");
    let (others, own) = (gdb.value("*(long *) &count_0"), gdb.value("*(long *) &count_1"));
    gdb.steps(20);
    assert_eq!(gdb.value("*(long *) &count_0"), others);
    assert_eq!(gdb.value("*(long *) &count_1"), own + 5);
    assert_eq!(gdb.value("$_thread"), 2);

    // The other one, from where it was interrupted: four instructions a round.
    gdb.run("thread 1");
    gdb.steps(20);
    assert_eq!(gdb.value("*(long *) &count_0"), others + 5);
    assert_eq!(gdb.value("*(long *) &count_1"), own + 5);

    gdb.run("set scheduler-locking off");
    let said = gdb.run("continue");
    assert!(said.contains("Thread 2 ") && said.contains("hit Breakpoint 1"), "{said}");
    gdb.assert_no_complaint();
    end(minivmm, &mut gdb);
}

#[test]
fn the_guest_finds_what_was_set_and_sp_is_the_selected_one() {
    let (minivmm, mut gdb) = debug("registers", &[]);
    gdb.run("hbreak *&el1h");
    gdb.run("hbreak *&el1t");

    gdb.run("continue");
    assert_eq!(gdb.value("$sp"), 0x2220);
    gdb.run("set $sp = 0x4440");
    assert_eq!(gdb.value("$sp"), 0x4440);

    gdb.run("continue");
    assert_eq!(gdb.value("$sp"), 0x1110);
    for (register, value) in [
        ("sp", "0x3330"),
        ("x30", "0x123456789abcdef0"),
        ("cpsr", "($cpsr | 0x90000000)"),
        ("v0.d.u[0]", "0x1111222233334444"),
        ("v0.d.u[1]", "0x5555666677778888"),
        ("fpsr", "0x8000009f"),
        ("fpcr", "0x01000000"),
    ] {
        gdb.run(&format!("set ${register} = {value}"));
    }
    assert_eq!(gdb.value("$sp"), 0x3330);
    assert_eq!(gdb.value("$v0.d.u[1]"), 0x5555666677778888);
    run_to_the_end(&mut gdb);

    gdb.assert_no_complaint();
    // x30, NZCV, SP_EL0, SP_EL1, v0, FPSR, FPCR.
    let wanted = [
        "123456789abcdef0",
        "0000000090000000",
        "0000000000003330",
        "0000000000004440",
        "1111222233334444",
        "5555666677778888",
        "000000008000009f",
        "0000000001000000",
    ];
    assert_eq!(minivmm.finish().console.lines().collect::<Vec<_>>(), wanted);
}
