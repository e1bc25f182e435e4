//! Conditions and commands of breakpoints, evaluated beside the guest. The guest `two` counts for ever, on each vCPU in x21.

use tests::rsp::{Stop, to_hex};
use tests::{Minivmm, Rsp, bare_symbol};

/// Instructions of the agent bytecode (GDB manual, Bytecode Descriptions), in hexadecimal digits.
const X21: &str = "260015";
const EQUAL: &str = "13";
const REF64: &str = "1a";
const END: &str = "27";

fn constant(value: u32) -> String {
    format!("24{value:08x}")
}

/// A list of expressions as it stands in a `Z` packet.
fn expressions(codes: &[&str]) -> String {
    let one = |code: &&str| format!("X{:x},{code}", code.len() / 2);
    codes.iter().map(one).collect()
}

/// Whether x21 is this number.
fn x21_is(value: u32) -> String {
    [X21, &constant(value), EQUAL, END].concat()
}

/// `printf FORMAT, $x21`.
fn print_as(format: &str) -> String {
    let digits = to_hex(&[format.as_bytes(), &[0]].concat());
    let length = format!("{:04x}", format.len() + 1);
    [X21, "2200", "2200", "34", "01", &length, &digits, END].concat()
}

/// `printf "n %lu\n", $x21`.
fn print_x21() -> String {
    print_as(r"n %lu\n")
}

/// The guest `two` on so many vCPUs, at its first instruction.
fn debug(cpus: &str) -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("two", &["--gdb", &port.to_string(), "--cpus", cpus]);
    minivmm.stderr.expect("gdb: ");
    (minivmm, Rsp::connect(port))
}

fn symbol(name: &str) -> u64 {
    bare_symbol("two", name)
}

#[track_caller]
fn assert_stopped(stop: &Stop, kind: &str, at: &str, x21: u64) {
    assert_eq!((stop.field(kind), stop.pc()), (Some(""), symbol(at)), "{}", stop.text);
    assert_eq!(stop.register(21), x21, "{}", stop.text);
}

/// Resumes; returns what the guest had to say until it stopped, and the stop.
fn listen(rsp: &mut Rsp, resume: &str) -> (String, Stop) {
    rsp.send(resume);
    rsp.words()
}

#[test]
fn a_hit_whose_condition_is_false_costs_no_packet() {
    let (_minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");

    rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&x21_is(300)])));
    // `resume` fails on any packet but the stop reply.
    let stop = rsp.resume("vCont;c");

    assert_stopped(&stop, "swbreak", "first_loop", 300);
    assert_eq!(rsp.read_u64(symbol("count_0")), 300);
}

#[test]
fn of_several_conditions_any_counts() {
    let (_minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");

    rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&x21_is(30), &x21_is(20), &x21_is(25)])));

    for count in [20, 25, 30] {
        let stop = rsp.resume("vCont;c");
        assert_stopped(&stop, "swbreak", "first_loop", count);
        assert_eq!(rsp.resume("vCont;s:p1.1").register(21), count);
    }
}

#[test]
fn a_hardware_breakpoint_has_conditions_too() {
    let (_minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");

    rsp.order(&format!("Z1,{at:x},4;{}", expressions(&[&x21_is(300)])));
    let stop = rsp.resume("vCont;c");

    assert_stopped(&stop, "hwbreak", "first_loop", 300);
}

#[test]
fn setting_it_again_replaces_the_condition_and_removing_it_forgets_it() {
    let (_minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");

    rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&x21_is(5)])));
    rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&x21_is(9)])));
    assert_stopped(&rsp.resume("vCont;c"), "swbreak", "first_loop", 9);
    rsp.resume("vCont;s:p1.1");
    rsp.order(&format!("z0,{at:x},4"));
    rsp.order(&format!("Z0,{at:x},4"));
    assert_stopped(&rsp.resume("vCont;c"), "swbreak", "first_loop", 10);
}

#[test]
fn two_breakpoints_at_one_place_are_judged_each_by_its_own_condition() {
    let (_minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");

    rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&x21_is(7)])));
    rsp.order(&format!("Z1,{at:x},4;{}", expressions(&[&x21_is(12)])));

    for count in [7, 12] {
        let stop = rsp.resume("vCont;c");
        assert_eq!((stop.pc(), stop.register(21)), (at, count), "{}", stop.text);
        rsp.resume("vCont;s:p1.1");
    }
}

#[test]
fn a_condition_that_fails_is_a_stop_that_says_so() {
    let (_minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");
    // No RAM is there, but the interrupt controller: it must not be read.
    let device = [&constant(0x0800_0000), REF64, END].concat();

    rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&device])));
    let (said, stop) = listen(&mut rsp, "vCont;c");

    assert_eq!(said, format!("breakpoint at {at:#x}: condition failed: no memory at 0x8000000\n"));
    assert_stopped(&stop, "swbreak", "first_loop", 0);
}

#[test]
fn commands_print_and_the_guest_runs_on() {
    let (_minivmm, mut rsp) = debug("1");
    let (at, end) = (symbol("first_loop"), symbol("first_loop") + 4);

    rsp.order(&format!("Z0,{at:x},4;cmds:1,{}", expressions(&[&print_x21()])));
    rsp.order(&format!("Z1,{end:x},4;{}", expressions(&[&x21_is(99)])));
    let (said, _) = listen(&mut rsp, "vCont;c");

    let line = |count| format!("n {count}\n");
    let expected: String = (0..=rsp.register(21)).map(line).collect();
    assert_eq!(said, expected);
}

#[test]
fn commands_run_where_the_condition_holds() {
    let (_minivmm, mut rsp) = debug("1");
    let (at, end) = (symbol("first_loop"), symbol("first_loop") + 4);

    rsp.order(&format!(
        "Z0,{at:x},4;{};cmds:0,{}",
        expressions(&[&x21_is(20), &x21_is(30)]),
        expressions(&[&print_x21()])
    ));
    rsp.order(&format!("Z1,{end:x},4;{}", expressions(&[&x21_is(40)])));
    let (said, _) = listen(&mut rsp, "vCont;c");

    assert_eq!(said, "n 20\nn 30\n");
}

#[test]
fn a_range_step_goes_through_a_false_condition_and_stops_at_a_true_one() {
    let (_minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");
    let resume = format!("vCont;r{at:x},{:x}:p1.1", at + 16);

    rsp.order(&format!("Z0,{at:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), at);
    rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&x21_is(50)])));
    let stop = rsp.resume(&resume);

    assert_stopped(&stop, "swbreak", "first_loop", 50);
}

#[test]
fn every_vcpu_is_judged_by_its_own_registers() {
    let (_minivmm, mut rsp) = debug("2");
    for label in ["first_loop", "second_loop"] {
        let at = symbol(label);
        rsp.order(&format!("Z0,{at:x},4;{}", expressions(&[&x21_is(100)])));
    }

    let first = rsp.resume("vCont;c");
    assert_eq!(first.register(21), 100, "{}", first.text);
    let other = 3 - first.thread();
    let label = ["first_loop", "second_loop"][usize::from(first.thread() == 2)];
    assert_eq!(first.pc(), symbol(label));
    rsp.order(&format!("z0,{:x},4", symbol(label)));
    let second = rsp.resume("vCont;c");
    assert_eq!((second.thread(), second.register(21)), (other, 100), "{}", second.text);
}

#[test]
fn what_a_client_does_not_read_waits_and_nothing_is_lost_or_said_twice() {
    const LINES: usize = 60;
    let (_minivmm, mut rsp) = debug("2");
    let at = symbol("first_loop");
    // Half a megabyte of packets for each hit.
    let wide = print_as(r"%4000lu\n");
    rsp.order(&format!("Z0,{at:x},4;cmds:1,{}", expressions(&[&wide[..]; LINES])));

    let mut said = String::new();
    for _ in 0..2 {
        rsp.send("vCont;c");
        // More than minivmm and the sockets keep.
        rsp.wait_for_bytes(5_000_000);
        rsp.send_interrupt();
        let (words, stop) = rsp.words();
        assert!(stop.text.starts_with("T02"), "{}", stop.text);
        said += &words;
    }

    rsp.select(1);
    let (pc, count) = (rsp.register(32), rsp.register(21));
    let hits = said.lines().count() / LINES;
    let expected: String = (0..hits).map(|count| format!("{count:4000}\n").repeat(LINES)).collect();
    assert!(said == expected, "{hits} hits");
    // At the breakpoint it may have been printed or not, behind it it has.
    let hits = hits as u64;
    assert!(hits == count + 1 || pc == at && hits == count, "{hits} at {pc:#x}: {count}");
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_it_holds_nothing_up() {
    let (minivmm, mut rsp) = debug("1");
    let at = symbol("first_loop");
    // Half a megabyte of packets for each hit, most of it not read.
    let wide = print_as(r"%4000lu\n");
    rsp.order(&format!("Z0,{at:x},4;cmds:1,{}", expressions(&[&wide[..]; 60])));
    rsp.send("vCont;c");
    rsp.wait_for_bytes(1_000_000);

    drop(rsp);

    minivmm.stderr.expect(" 40\n");
}

#[test]
fn without_a_client_words_go_to_standard_error() {
    let (minivmm, mut rsp) = debug("1");
    let (at, end) = (symbol("first_loop"), symbol("first_loop") + 4);
    rsp.order(&format!("Z0,{at:x},4;cmds:1,{}", expressions(&[&print_x21()])));
    rsp.order(&format!("Z1,{end:x},4;{}", expressions(&[&x21_is(300)])));
    rsp.send("vCont;c");
    rsp.wait_for_bytes(100);
    let port = rsp.port();

    drop(rsp);
    minivmm.stderr.expect("minivmm: n 299\n");
    let mut rsp = Rsp::connect(port);
    let mut stop = Stop { text: rsp.ask("?") };
    if stop.text.starts_with("T02") {
        // The guest had not come so far.
        stop = listen(&mut rsp, "vCont;c").1;
    }

    assert_eq!((stop.field("hwbreak"), stop.pc()), (Some(""), end), "{}", stop.text);
    assert_eq!(rsp.register(21), 300);
}
