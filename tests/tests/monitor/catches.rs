//! `catch`: stops at the guest's own BRKs and exceptions, which the guest then gets as always.

use tests::rsp::Stop;
use tests::{Minivmm, Rsp, bare_symbol};

use crate::{debug, run_to};

/// Where the guest `brk` has its BRKs in AArch64, in the order in which it takes them.
const PLACES: [&str; 17] = [
    "bug", "planted", "largest", "user", "bug", "bug", "user", "bug", "bug", "bug", "user", "bug",
    "bug", "largest", "user", "largest", "user",
];

/// What this one prints for each: PSTATE in the handler, vector, ELR, SPSR, ESR, FAR, NZCV. The first and the last are
/// QEMU's own, see brk.rs.
fn columns(console: &str) -> Vec<Vec<&str>> {
    let lines: Vec<_> = console.lines().collect();
    lines.chunks(7).map(|row| row[1..6].to_vec()).collect()
}

fn immediate(place: &str) -> u32 {
    match place {
        "bug" => 0x800,
        "planted" => 0,
        "largest" => 0xffff,
        _ => 0x123,
    }
}

/// A stop at something caught: plain SIGTRAP, behind the words.
#[track_caller]
fn caught(rsp: &mut Rsp, resume: &str, words: &str) -> Stop {
    rsp.send(resume);
    let (said, stop) = rsp.words();
    assert!(said.starts_with("catch: vCPU 0: ") && said.ends_with('\n'), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(words), "{said}, expected {words}");
    assert!(stop.text.starts_with("T05"), "{}", stop.text);
    assert_eq!((stop.field("swbreak"), stop.field("hwbreak")), (None, None), "{}", stop.text);
    stop
}

#[test]
fn each_brk_of_the_guests_own_is_reported_once_and_then_taken() {
    let free = Minivmm::start_bare("brk", &[]).finish().console;
    let (minivmm, mut rsp) = debug("brk", &[]);
    let vectors = bare_symbol("brk", "vectors");
    assert_eq!(rsp.told("catch"), "nothing is caught\n");
    rsp.told("catch brk on");
    assert_eq!(rsp.told("catch"), "brk, all\n");

    let mut is_taken = false;
    for (row, place) in columns(&free).iter().zip(PLACES) {
        let at = bare_symbol("brk", place);
        let words = format!("BRK {:#x} at {at:#x}", immediate(place));
        let stop = caught(&mut rsp, "vCont;c", &words);
        assert_eq!(stop.pc(), at);
        // Every other one by a step.
        if is_taken {
            let vector = u64::from_str_radix(row[0], 16).unwrap();
            assert_eq!(rsp.resume("vCont;s:p1.1").pc(), vectors + vector, "{place}");
        }
        is_taken = !is_taken;
    }

    rsp.told("catch brk off");
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    assert_eq!(columns(&minivmm.finish().console), columns(&free));
}

#[test]
fn one_immediate_is_caught_alone_and_linux_has_a_word_for_it() {
    let (_minivmm, mut rsp) = debug("brk", &[]);
    rsp.told("catch brk on 0x800");
    rsp.told("catch brk on 5");
    assert_eq!(rsp.told("catch"), "brk 0x5 0x800\n");
    for _ in PLACES.iter().filter(|place| **place == "bug") {
        caught(&mut rsp, "vCont;c", "BRK 0x800");
    }
    rsp.told("catch brk off 0x800");
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");

    let (_minivmm, mut rsp) = debug("brk", &[]);
    rsp.told("catch brk on 0x800");
    let bug = bare_symbol("brk", "bug");
    caught(&mut rsp, "vCont;c", &format!("BRK 0x800 at {bug:#x} (BUG or WARN in Linux)\n"));
}

#[test]
fn a_step_stops_before_the_brk_and_the_next_one_takes_it() {
    let (_minivmm, mut rsp) = debug("brk", &[]);
    let [before, bug, vectors] =
        ["before_bug", "bug", "vectors"].map(|symbol| bare_symbol("brk", symbol));
    run_to(&mut rsp, "brk", "before_bug");
    rsp.told("catch brk on");
    assert_eq!(rsp.resume("vCont;s:p1.1").pc(), bug);

    assert_eq!(caught(&mut rsp, "vCont;s:p1.1", "BRK 0x800").pc(), bug);
    assert_eq!(rsp.resume("vCont;s:p1.1").pc(), vectors + 0x200);

    // Not another time for having been elsewhere meanwhile.
    let (_minivmm, mut rsp) = debug("brk", &[]);
    rsp.told("catch brk on");
    assert_eq!(caught(&mut rsp, "vCont;c", "BRK 0x800").pc(), bug);
    rsp.set_register(32, before);
    assert_eq!(caught(&mut rsp, "vCont;c", "BRK 0x800").pc(), bug);
}

#[test]
fn a_breakpoint_of_the_debuggers_at_a_caught_brk_is_one_stop() {
    let (_minivmm, mut rsp) = debug("brk", &[]);
    let [bug, vectors] = ["bug", "vectors"].map(|symbol| bare_symbol("brk", symbol));
    rsp.told("catch brk on 0x800");
    rsp.order(&format!("Z0,{bug:x},4"));

    rsp.send("vCont;c");
    let (said, stop) = rsp.words();
    assert!(said.contains("BRK 0x800"), "{said}");
    assert_eq!((stop.pc(), stop.field("swbreak")), (bug, Some("")), "{}", stop.text);
    rsp.order(&format!("z0,{bug:x},4"));
    assert_eq!(rsp.resume("vCont;s:p1.1").pc(), vectors + 0x200);
}

#[test]
fn exceptions_of_a_class_are_caught_at_their_vectors_and_others_pass_unseen() {
    let free = Minivmm::start_bare("step_svc", &[]).finish().console;
    let (minivmm, mut rsp) = debug("step_svc", &[]);
    let vectors = bare_symbol("step_svc", "vectors");
    let said = rsp.told("catch exception svc");
    assert!(said.starts_with("VBAR_EL1 leads to no memory yet"), "{said}");
    run_to(&mut rsp, "step_svc", "first");
    assert_eq!(rsp.told("catch"), "exception 0x15 svc\n");

    // EL1 with its own stack pointer, twice; the next two are taken by the vector at 0, which is not looked at;
    // then EL0, and its way back.
    let mut elrs = Vec::new();
    for (vector, immediate) in [(0x200, 7), (0x200, 8), (0x400, 7), (0x400, 8), (0x400, 0xff)] {
        let stop = caught(
            &mut rsp,
            "vCont;c",
            &format!("exception svc, immediate {immediate:#x}; ESR {:#x}", 0x56000000 + immediate),
        );
        assert_eq!(stop.pc(), vectors + vector);
        elrs.push(stop.text);
    }
    // The debugger finds no BRK there.
    let code = rsp.read(vectors + 0x400, 4);
    assert_ne!(u32::from_le_bytes(code.try_into().unwrap()), 0xd4200000);
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    assert_eq!(minivmm.finish().console, free);

    // Another class: nothing stops, and the guest sees no difference.
    let (minivmm, mut rsp) = debug("step_svc", &[]);
    run_to(&mut rsp, "step_svc", "first");
    rsp.told("catch exception data-abort-el1");
    rsp.told("catch exception 0x24");
    assert_eq!(rsp.told("catch"), "exception 0x24 data-abort-el0\nexception 0x25 data-abort-el1\n");
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    assert_eq!(minivmm.finish().console, free);
}

#[test]
fn a_breakpoint_of_the_debuggers_at_a_vector_and_a_catch_do_not_know_of_each_other() {
    let (minivmm, mut rsp) = debug("step_svc", &[]);
    let vector = bare_symbol("step_svc", "vectors") + 0x200;
    run_to(&mut rsp, "step_svc", "first");
    rsp.told("catch exception svc");
    rsp.order(&format!("Z0,{vector:x},4"));
    rsp.send("vCont;c");
    let (said, stop) = rsp.words();
    assert!(said.contains("exception svc"), "{said}");
    assert_eq!((stop.pc(), stop.field("swbreak")), (vector, Some("")), "{}", stop.text);

    // Its breakpoint goes, and the catch is still there; and the other way round.
    rsp.order(&format!("z0,{vector:x},4"));
    assert_eq!(caught(&mut rsp, "vCont;c", "exception svc").pc(), vector);
    rsp.told("catch exception off");
    rsp.order(&format!("Z0,{vector:x},4"));
    rsp.told("catch exception svc");
    rsp.told("catch exception off");
    assert_eq!(rsp.told("catch"), "nothing is caught\n");
    rsp.order("D;1");
    let vm = minivmm.finish();
    assert_eq!(vm.status, 0, "{vm:?}");
}

#[test]
fn the_panic_is_where_the_user_says_or_the_symbols_which_not_every_guest_has() {
    let (minivmm, mut rsp) = debug("count", &[]);
    let why = rsp.monitor("catch panic on").unwrap_err();
    assert_eq!(
        why,
        "catch panic: found no symbol of it, expected --vmlinux FILE, or its address behind on"
    );
    // A register would stop at other addresses too.
    for (address, complaint) in [
        (0x4008_000e_u64, "panic at 0x4008000e: expected a multiple of 4"),
        (0x8000_0000_0000_0000, "panic at 0x8000000000000000: not a canonical address"),
    ] {
        assert_eq!(rsp.monitor(&format!("catch panic on {address:#x}")).unwrap_err(), complaint);
    }
    assert_eq!(rsp.told("catch"), "nothing is caught\n");

    // The routine that prints x0 does for a panic whose message that is, and is not passed twice.
    let panic = bare_symbol("count", "putx");
    rsp.told(&format!("catch panic on {panic:#x}"));
    assert_eq!(rsp.told("catch"), format!("panic at {panic:#x}\n"));
    assert_eq!(caught(&mut rsp, "vCont;c", &format!("panic at {panic:#x}: \"\"")).pc(), panic);
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    assert_eq!(minivmm.finish().console, "000000000000000a\n");

    // It needs a debug register, unless one is there already.
    let (_minivmm, mut rsp) = debug("count", &[]);
    for place in (panic..).step_by(4).take(6) {
        rsp.order(&format!("Z1,{place:x},4"));
    }
    rsp.told(&format!("catch panic on {panic:#x}"));
    let why = rsp.monitor(&format!("catch panic on {:#x}", panic + 0x100)).unwrap_err();
    assert_eq!(why, "all 6 hardware breakpoints are in use");
    assert_eq!(rsp.told("catch"), "nothing is caught\n");
}

/// The guest `brk_cpus` where its vectors are set.
fn debug_endless(more: &[&str]) -> (Minivmm, Rsp) {
    let (minivmm, mut rsp) = debug("brk_cpus", more);
    run_to(&mut rsp, "brk_cpus", "before_bug");
    (minivmm, rsp)
}

#[test]
fn a_range_step_ends_at_a_caught_brk_and_the_next_one_takes_it() {
    let (_minivmm, mut rsp) = debug_endless(&[]);
    let [before, bug, taken] =
        ["before_bug", "bug", "taken"].map(|symbol| bare_symbol("brk_cpus", symbol));
    rsp.told("catch brk on");
    // All there is.
    let everything = format!("vCont;r{before:x},{:x}:p1.1", taken + 0x100);
    // What is around the BRK.
    let loops = format!("vCont;r{before:x},{:x}:p1.1", bug + 8);

    for count in 0..3 {
        let stop = caught(&mut rsp, &everything, "BRK 0x800");
        assert_eq!((stop.pc(), stop.register(21)), (bug, count), "{}", stop.text);
    }
    let stop = rsp.resume(&loops);
    assert_eq!((stop.pc(), stop.register(21)), (taken, 2), "{}", stop.text);
    // And out of a range that starts at the BRK.
    run_to(&mut rsp, "brk_cpus", "counted");
    assert_eq!(rsp.resume("vCont;s:p1.1").pc(), bug + 4);
    assert_eq!(caught(&mut rsp, &loops, "BRK 0x800").pc(), bug);
    let at_it = format!("vCont;r{bug:x},{:x}:p1.1", bug + 4);
    assert_eq!(rsp.resume(&at_it).pc(), taken);
}

/// Bytecode of a condition (GDB manual, Agent Expressions): whether x21 is this number.
fn x21_is(value: u8) -> String {
    format!("X7,26001522{value:02x}1327")
}

#[test]
fn a_breakpoints_condition_is_its_own_and_not_the_catchs() {
    let (_minivmm, mut rsp) = debug_endless(&[]);
    let [bug, taken] = ["bug", "taken"].map(|symbol| bare_symbol("brk_cpus", symbol));
    rsp.told("catch brk on");
    rsp.order(&format!("Z0,{bug:x},4;{}", x21_is(1)));

    // False, true, false.
    for (count, swbreak) in [(0, None), (1, Some("")), (2, None)] {
        rsp.send("vCont;c");
        let (said, stop) = rsp.words();
        assert_eq!(said, format!("catch: vCPU 0: BRK 0x800 at {bug:#x} (BUG or WARN in Linux)\n"));
        assert_eq!((stop.pc(), stop.register(21)), (bug, count), "{}", stop.text);
        assert_eq!(stop.field("swbreak"), swbreak, "{}", stop.text);
    }
    // Without the catch the condition alone counts, and the other way round.
    rsp.told("catch brk off");
    rsp.order(&format!("Z0,{bug:x},4;{}", x21_is(5)));
    let stop = rsp.resume("vCont;c");
    assert_eq!((stop.field("swbreak"), stop.register(21)), (Some(""), 5), "{}", stop.text);
    rsp.order(&format!("z0,{bug:x},4"));
    rsp.told("catch brk on");
    assert_eq!(caught(&mut rsp, "vCont;c", "BRK 0x800").register(21), 5);
    assert_eq!(caught(&mut rsp, "vCont;c", "BRK 0x800").register(21), 6);
    rsp.told("catch brk off");

    // The same at a vector's first instruction.
    rsp.told("catch exception brk");
    rsp.order(&format!("Z0,{taken:x},4;{}", x21_is(8)));
    for (count, swbreak) in [(6, None), (7, None), (8, Some("")), (9, None)] {
        rsp.send("vCont;c");
        let (said, stop) = rsp.words();
        assert!(said.starts_with("catch: vCPU 0: exception brk"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!((stop.pc(), stop.register(21)), (taken, count), "{}", stop.text);
        assert_eq!(stop.field("swbreak"), swbreak, "{}", stop.text);
    }
    // A class that none of these is of.
    rsp.told("catch exception off");
    rsp.told("catch exception svc");
    rsp.order(&format!("Z0,{taken:x},4;{}", x21_is(20)));
    let stop = rsp.resume("vCont;c");
    assert_eq!((stop.field("swbreak"), stop.register(21)), (Some(""), 20), "{}", stop.text);
}

#[test]
fn two_vcpus_that_run_into_one_brk_are_caught_each_and_take_it_once_for_each_stop() {
    let (_minivmm, mut rsp) = debug("brk_cpus", &["--cpus", "2"]);
    let bug = bare_symbol("brk_cpus", "bug");
    rsp.told("catch brk on 0x800");
    let mut counts = [0; 2];

    while counts.iter().any(|count| *count < 5) {
        rsp.send("vCont;c");
        let (said, stop) = rsp.words();
        let cpu = stop.thread() as usize - 1;
        assert_eq!(
            said,
            format!("catch: vCPU {cpu}: BRK 0x800 at {bug:#x} (BUG or WARN in Linux)\n")
        );
        assert_eq!((stop.pc(), stop.register(21)), (bug, counts[cpu]), "{}", stop.text);
        counts[cpu] += 1;
        assert!(counts.iter().sum::<u64>() < 1000, "one of them is kept waiting: {counts:?}");
    }
}

#[test]
fn nothing_is_caught_any_longer_when_the_debugger_has_detached() {
    let (minivmm, mut rsp) = debug_endless(&[]);
    let [bug, taken, counted] =
        ["bug", "taken", "counted"].map(|symbol| bare_symbol("brk_cpus", symbol));
    let port = rsp.port();
    rsp.told("catch brk on");
    rsp.told("catch exception brk");
    rsp.told(&format!("catch panic on {counted:#x}"));
    for (at, words) in
        [(bug, "BRK 0x800"), (taken, "exception brk"), (counted, "panic at"), (bug, "BRK 0x800")]
    {
        assert_eq!(caught(&mut rsp, "vCont;c", words).pc(), at);
    }

    rsp.order("D;1");
    drop(rsp);

    let mut rsp = Rsp::connect(port);
    assert_eq!(rsp.told("catch"), "nothing is caught\n");
    let before = rsp.register(21);
    assert!(before >= 1, "{before}");
    rsp.order(&format!("Z1,{counted:x},4"));
    // `resume` fails on words.
    let first = rsp.resume("vCont;c").register(21);
    for count in 1..5 {
        assert_eq!(rsp.resume("vCont;s:p1.1").pc(), bug + 4);
        let stop = rsp.resume("vCont;c");
        assert_eq!((stop.pc(), stop.register(21)), (counted, first + count), "{}", stop.text);
    }
    rsp.send("k");
    assert_eq!(minivmm.finish().status, 0);
}
