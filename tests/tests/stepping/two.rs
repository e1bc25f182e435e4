//! Two vCPUs, one of which steps.

use super::bare::{Bare, assert_is_step};

#[test]
fn one_steps_through_exclusives_while_the_other_runs_and_no_count_is_lost() {
    let mut bare = Bare::start("step_two", &["--cpus", "2"]);
    bare.run_to("stored_1");
    bare.run_to("loop_0");
    let [loop_0, stored_0] = ["loop_0", "stored_0"].map(|label| bare.address(label));
    let mut before = counts(&mut bare);

    // The way round takes six steps, or two where the other one came in between load and store.
    let mut pcs = vec![loop_0];
    for _ in 0..10 {
        for _ in 0..30 {
            let stop = bare.rsp.resume("vCont;s:p1.1;c");
            assert_is_step(&stop);
            pcs.push(stop.pc());
        }
        let after = counts(&mut bare);
        assert!(after[1] > before[1] && after[2] > before[2], "{before:?} {after:?}");
        before = after;
    }

    for pair in pcs.windows(2) {
        let offset = |pc: u64| pc.wrapping_sub(loop_0);
        let is_next = match offset(pair[0]) {
            0 => pair[1] == stored_0,
            12 => matches!(offset(pair[1]), 0 | 16),
            28 => pair[1] == loop_0,
            at => offset(pair[1]) == at + 4,
        };
        assert!(is_next, "{pcs:x?}");
    }
    let [shared, own_0, own_1] = counts(&mut bare);
    // Each may have added to the shared one and not yet to its own.
    assert!((0..=2).contains(&(shared - own_0 - own_1)), "{shared} {own_0} {own_1}");
    bare.kill();
}

/// The counter that both have, and each one's own.
fn counts(bare: &mut Bare) -> [u64; 3] {
    ["shared", "own_0", "own_1"].map(|label| {
        let at = bare.address(label);
        bare.rsp.read_u64(at)
    })
}

#[test]
fn no_vcpu_runs_through_a_breakpoint_that_another_steps_over() {
    const ROUNDS: u64 = 100;
    let mut bare = Bare::start("step_rounds", &["--cpus", "2"]);
    let body = bare.address("body");
    bare.rsp.order(&format!("Z0,{body:x},4"));

    // How often each vCPU was seen to get to the breakpoint, and whether it has yet to step over it.
    let (mut hits, mut is_there) = ([0; 2], [false; 2]);
    while hits != [ROUNDS; 2] || is_there != [false; 2] {
        let stepping = is_there.iter().position(|is_there| *is_there);
        let stop = match stepping {
            Some(vcpu) => bare.rsp.resume(&format!("vCont;s:p1.{};c", vcpu + 1)),
            None => bare.rsp.resume("vCont;c"),
        };
        let vcpu = stop.thread() as usize - 1;
        if stop.field("swbreak").is_some() {
            // Told once more if another one stopped before it could step.
            assert_eq!(stop.pc(), body, "{}", stop.text);
            hits[vcpu] += u64::from(!is_there[vcpu]);
            is_there[vcpu] = true;
        } else {
            assert_eq!((Some(vcpu), stop.pc()), (stepping, body + 4), "{}", stop.text);
        }
        // Each has done as many rounds as it was seen to begin.
        for (vcpu, label) in ["own_0", "own_1"].into_iter().enumerate() {
            bare.rsp.select(vcpu as u32 + 1);
            // A step that is done goes untold if another one has stopped as well.
            is_there[vcpu] &= bare.rsp.register(32) == body;
            let at = bare.address(label);
            let done = bare.rsp.read_u64(at);
            let is_right = done + 1 == hits[vcpu] || done == hits[vcpu] && !is_there[vcpu];
            assert!(is_right, "{label} {done}, {hits:?} {is_there:?}, {stepping:?} {}", stop.text);
        }
    }

    assert_eq!(bare.finish().console, "0000000000000064\n".repeat(2));
}

#[test]
fn a_vcpu_that_turns_itself_off_in_a_step_comes_back_as_after_reset() {
    let free = Bare::free_run("step_off", &["--cpus", "2"]);
    let mut bare = Bare::start("step_off", &["--cpus", "2"]);
    bare.run_to("turn_off");
    let again = bare.address("again");

    // The step ends when the vCPU is on again, before or behind its first instruction.
    let stop = bare.rsp.resume("vCont;s:p1.2;c");
    assert_eq!(stop.thread(), 2, "{}", stop.text);
    assert!([again, again + 4].contains(&stop.pc()), "{}", stop.text);
    bare.rsp.select(2);
    assert_eq!(bare.rsp.register(33) & 0x3cf, 0x3c5);

    assert_eq!(bare.finish().console, free);
    assert!(free.starts_with("00000000000003c0\n"), "{free}");
}

#[test]
fn a_step_over_the_call_that_powers_off_is_the_end() {
    let mut bare = Bare::start("poweroff", &[]);
    // It prints a line, loads the function's number and calls.
    let reply = (0..1000).map(|_| bare.rsp.ask("vCont;s:p1.1")).find(|it| !it.starts_with('T'));

    assert_eq!(reply.as_deref(), Some("W00;process:1"));
}
