//! `reset` and `quit`.

use tests::{Rsp, bare_symbol};

use crate::{ENTRY, debug};

/// GDB's number of PC.
const PC: u32 = 32;

#[test]
fn reset_makes_the_guest_anew_and_keeps_what_the_debugger_has_set() {
    let (minivmm, mut rsp) = debug("count", &[]);
    let [body, done, rounds] =
        ["body", "done", "rounds"].map(|symbol| bare_symbol("count", symbol));
    rsp.order(&format!("Z0,{body:x},4"));
    rsp.order(&format!("Z1,{done:x},4"));
    rsp.order(&format!("Z2,{rounds:x},8"));
    rsp.told("catch brk on 0x800");
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.write(rounds, &5_u64.to_le_bytes());

    let said = rsp.told("reset");

    assert_eq!(
        said,
        "the guest is at its first instruction again; GDB: maintenance flush register-cache\n"
    );
    assert_eq!((rsp.register(PC), rsp.read_u64(rounds)), (ENTRY, 0));
    assert_eq!(rsp.told("catch"), "brk 0x800\n");
    assert_eq!(rsp.resume("?").pc(), ENTRY);
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.order(&format!("z0,{body:x},4"));
    let stop = rsp.resume("vCont;c");
    assert_eq!(stop.field("watch"), Some(format!("{rounds:x}").as_str()), "{}", stop.text);
    rsp.order(&format!("z2,{rounds:x},8"));
    let stop = rsp.resume("vCont;c");
    assert_eq!((stop.pc(), stop.field("hwbreak")), (done, Some("")), "{}", stop.text);
    rsp.order(&format!("z1,{done:x},4"));
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    assert_eq!(minivmm.finish().console, "000000000000000a\n");
}

#[test]
fn catches_work_in_the_guest_that_a_reset_has_made() {
    let (_minivmm, mut rsp) = debug("brk_cpus", &[]);
    let [before, taken, counted] =
        ["before_bug", "taken", "counted"].map(|symbol| bare_symbol("brk_cpus", symbol));
    rsp.order(&format!("Z1,{before:x},4"));
    rsp.resume("vCont;c");
    rsp.told("catch exception brk");
    rsp.told(&format!("catch panic on {counted:#x}"));
    let round = |rsp: &mut Rsp| {
        // Past the breakpoint.
        rsp.resume("vCont;s:p1.1");
        for (at, words) in [(taken, "exception brk"), (counted, "panic at 0x")] {
            rsp.send("vCont;c");
            let (said, stop) = rsp.words();
            assert!(said.starts_with("catch: vCPU 0: ") && said.contains(words), "{said}");
            assert_eq!((stop.pc(), stop.field("hwbreak")), (at, None), "{}", stop.text);
        }
        assert_eq!(rsp.resume("vCont;c").pc(), before);
    };
    round(&mut rsp);
    round(&mut rsp);

    rsp.told("reset");

    let listed = rsp.told("catch");
    assert_eq!(listed, format!("panic at {counted:#x}\nexception 0x3c brk\n"));
    let stop = rsp.resume("vCont;c");
    assert_eq!((stop.pc(), stop.register(21)), (before, 0), "{}", stop.text);
    round(&mut rsp);
    round(&mut rsp);
}

#[test]
fn quit_ends_minivmm_as_the_debuggers_kill_does() {
    let (minivmm, mut rsp) = debug("count", &[]);

    assert_eq!(rsp.told("quit"), "");

    let vm = minivmm.finish();
    assert_eq!((vm.status, vm.console.as_str()), (0, ""), "{vm:?}");
}
