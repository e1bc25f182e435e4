//! What a stop reply says of registers is so, though few of them are read for it.

use std::time::Duration;

use tests::rsp::{Stop, to_hex};
use tests::{Minivmm, Rsp};

use super::bare::Bare;

/// x0 to x30, sp, pc and cpsr, as stop replies and `g` have them: two digits a byte.
const GENERAL: usize = 33 * 16 + 8;

/// What the stop reply says of the general registers.
fn told(stop: &Stop) -> String {
    let field = |number| stop.field(&format!("{number:02x}"));
    (0..34_u32).map(|number| field(number).expect("all general registers")).collect()
}

/// Checks it against registers that KVM was asked for again: a write of cpsr makes minivmm forget
/// the others.
#[track_caller]
fn assert_true(rsp: &mut Rsp, stop: &Stop) {
    let cpsr = stop.field("21").expect("cpsr");
    rsp.order(&format!("P21={cpsr}"));
    let registers = rsp.ask("g");
    assert_eq!(told(stop), registers[..GENERAL], "{}", stop.text);
}

/// Steps as often, and checks after every `every`th step.
#[track_caller]
fn step_and_check(rsp: &mut Rsp, steps: usize, every: usize) {
    for step in 1..=steps {
        let stop = rsp.resume("vCont;s:p1.1");
        if step % every == 0 {
            assert_true(rsp, &stop);
        }
    }
}

#[test]
fn of_every_kind_of_instruction() {
    let mut bare = Bare::start("effects", &[]);
    bare.run_to("first");
    let last = bare.address("last");
    // What is wrong stays wrong until it is written again.
    let mut stop = bare.rsp.resume("vCont;s:p1.1");
    while stop.pc() != last {
        assert_true(&mut bare.rsp, &stop);
        for _ in 0..3 {
            if stop.pc() != last {
                stop = bare.rsp.resume("vCont;s:p1.1");
            }
        }
    }
    assert_true(&mut bare.rsp, &stop);
    bare.kill();
}

#[test]
fn of_instructions_that_need_care() {
    for guest in ["step_daif", "step_svc", "step_abort", "step_eret", "step_mops", "step_a32"] {
        let mut bare = Bare::start(guest, &[]);
        bare.run_to("first");
        step_and_check(&mut bare.rsp, 300, 5);
        bare.kill();
    }
}

#[test]
fn of_linux_before_and_after_its_mmu_is_on() {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::boot("6.12", "", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("gdb: ");
    let mut rsp = Rsp::connect(port);
    step_and_check(&mut rsp, 700, 7);
    for _ in 0..4 {
        rsp.send("vCont;c");
        std::thread::sleep(Duration::from_millis(300));
        rsp.interrupt();
        step_and_check(&mut rsp, 350, 7);
    }
}

#[test]
fn of_a_vcpu_that_another_one_turns_on() {
    let mut bare = Bare::start("step_two", &["--cpus", "2"]);
    let rsp = &mut bare.rsp;
    rsp.select(2);
    rsp.set_register(32, 0x1234_5678);
    assert_eq!(rsp.register(32), 0x1234_5678);
    // Up to behind the HVC, alone.
    for _ in 0..5 {
        rsp.resume("vCont;s:p1.1");
    }
    rsp.select(2);
    let second = tests::bare_symbol("step_two", "second");
    assert_eq!(rsp.register(32), second);
    assert_eq!(rsp.register(0), 0);
    bare.kill();
}

#[test]
fn of_a_vcpu_that_is_turned_on_within_a_step() {
    let mut bare = Bare::start("step_off", &["--cpus", "2"]);
    bare.run_to("is_off");
    let again = bare.address("again");
    let rsp = &mut bare.rsp;
    rsp.select(2);
    // It is known by now, as are all its registers.
    assert_eq!(rsp.register(32), tests::bare_symbol("step_off", "turn_off") + 4);

    let stop = rsp.resume("vCont;s:p1.2;c");

    assert_eq!((stop.thread(), stop.pc()), (2, again + 4), "{}", stop.text);
    // Reset: EL1h, all masked.
    assert_eq!(stop.field("21"), Some("c5030000"));
    assert_eq!(stop.register(19), 0x3c0);
    rsp.select(2);
    assert_true(rsp, &stop);
    bare.kill();
}

#[test]
fn of_registers_that_a_client_wrote() {
    let mut bare = Bare::start("effects", &[]);
    bare.run_to("first");
    let rsp = &mut bare.rsp;
    rsp.set_register(7, 0x1111_2222_3333_4444);
    // v0, or with SVE z0, behind which there are predicates too.
    let vector = rsp.ask("p22").len() / 2;
    let fpsr = if vector == 16 { 66 } else { 34 + 32 + 16 + 1 };
    rsp.order(&format!("P22={}", to_hex(&vec![0x5a; vector])));
    // FPSR has bits that do not exist, which a host's CPU may drop.
    rsp.order(&format!("P{fpsr:x}=ffffffff"));
    let stop = rsp.resume("vCont;s:p1.1");

    assert_eq!(stop.register(7), 0x1111_2222_3333_4444);
    assert_eq!(rsp.ask("p22"), "5a".repeat(vector));
    let value = rsp.ask(&format!("p{fpsr:x}"));
    assert_true(rsp, &stop);
    assert_eq!(rsp.ask(&format!("p{fpsr:x}")), value, "told, and asked for again");
    bare.kill();
}
