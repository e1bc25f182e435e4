//! Thousands of steps through everything at once.

use tests::bare_symbol;

use super::bare::Bare;

/// Steps through the guest's rounds but for the last ones, which it runs freely.
const STEPS: usize = 20_000;
/// Of these, the first are the client's, who looks at each; the others are left to the engine, as one range.
const SEEN: usize = 2_000;

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
    let [first, last, vectors, ticks_at] =
        ["first", "last", "vectors", "ticks"].map(|label| bare.address(label));
    let alias = bare_symbol("step_storm", "ALIAS");
    let before = bare.rsp.read_u64(ticks_at);

    let pcs: Vec<_> = (0..SEEN).map(|_| bare.step()).collect();
    for pair in pcs.windows(2) {
        assert_ne!(pair[0], pair[1], "a step led nowhere");
        let at_vector = pair[1].wrapping_sub(vectors);
        assert!(at_vector >= 0x800 || at_vector & 0x180 == 0, "{:x} led to an interrupt", pair[0]);
    }
    let el0 = pcs.iter().filter(|pc| (first + alias..last + alias).contains(pc)).count();
    assert!(el0 > SEEN / 10, "{el0}");
    let rounds_left = bare.rsp.register(27) - bare_symbol("step_storm", "FREE");
    let rounds: Vec<_> = (0..SEEN).filter(|step| pcs[*step] == first).collect();
    let shortest = rounds.windows(2).map(|pair| pair[1] - pair[0]).min().expect("some rounds");
    // x27 counts the rounds left, this one included.
    assert!(SEEN + shortest * (rounds_left as usize - 1) >= STEPS, "{shortest} {rounds_left}");

    // EL0's addresses are behind EL1's.
    bare.step_within(first..last + alias, "free");
    assert_eq!(bare.rsp.read_u64(ticks_at), before, "an interrupt came in a step");

    let vm = bare.finish();
    let stepped = results(&vm.console);
    assert_eq!(stepped[..2], [checksum, 0], "{vm:?}");
    assert!(stepped[2] > before, "{vm:?}");
}
