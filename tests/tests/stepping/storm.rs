//! Thousands of steps through everything at once.

use tests::bare_symbol;

use super::bare::Bare;

/// How many steps of the guest's way are taken one by one.
const STEPS: usize = 20_000;

/// Checksum, violations and interrupts as the guest printed them.
fn results(console: &str) -> [u64; 3] {
    let words: Vec<_> = console
        .lines()
        .map(|word| u64::from_str_radix(word, 16).unwrap_or_else(|_| panic!("{console}")))
        .collect();
    words.try_into().unwrap_or_else(|_| panic!("{console}"))
}

#[test]
fn twenty_thousand_steps_under_a_pending_interrupt_change_nothing() {
    let [checksum, violations, ticks] = results(&Bare::free_run("step_storm", &[]));
    assert_eq!(violations, 0);
    assert!(ticks > 0);
    let mut bare = Bare::start("step_storm", &[]);
    bare.run_to("first");
    let vectors = bare.address("vectors");
    let ticks_at = bare.address("ticks");
    let [first, last] = [bare.address("first"), bare.address("last")];
    let alias = bare_symbol("step_storm", "ALIAS");
    let before = bare.rsp.read_u64(ticks_at);

    let (mut is_before, mut at_el0, mut exceptions) = (first, 0, 0);
    let t = std::time::Instant::now();
    for step in 0..STEPS {
        if step % 1000 == 0 {
            println!("{step} {:?}", t.elapsed());
        }
        let pc = bare.step();
        assert_ne!(pc, is_before, "step {step} led nowhere");
        let at_vector = pc.wrapping_sub(vectors);
        if at_vector < 0x800 {
            assert_eq!(at_vector & 0x180, 0, "step {step} led to an interrupt");
            exceptions += 1;
        }
        at_el0 += usize::from((first + alias..last + alias).contains(&pc));
        is_before = pc;
    }

    assert_eq!(bare.rsp.read_u64(ticks_at), before, "an interrupt came in a step");
    // Five exceptions at each level and the way back, of about 360 steps a round.
    assert!(exceptions > STEPS / 60 && at_el0 > STEPS / 10, "{exceptions} {at_el0}");
    let vm = bare.finish();
    let stepped = results(&vm.console);
    assert_eq!(stepped[..2], [checksum, 0], "{vm:?}");
    assert!(stepped[2] > before, "{vm:?}");
}
