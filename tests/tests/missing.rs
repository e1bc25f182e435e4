//! Hosts whose KVM lacks something that a debugger wants: it is refused, with the reason, and the
//! rest works. tests/programs/kvm_without.c makes KVM lack it.

use std::process::{Command, Stdio};

use tests::{Gdb, Minivmm, Rsp, bare_guest, bare_symbol};

/// minivmm with a bare-metal guest on a KVM without `feature`.
fn start_without(feature: &str, guest: &str, more: &[&str]) -> Minivmm {
    let mut command = Command::new(bare_guest("kvm_without").with_extension(""));
    let kernel = bare_guest(guest);
    command.arg(feature).arg(Minivmm::binary()).arg("--kernel").arg(kernel).args(more);
    Minivmm::spawn(command.stdin(Stdio::piped()))
}

/// The guest `count`, waiting for a debugger.
fn debug_without(feature: &str, port: u16) -> Minivmm {
    let minivmm = start_without(feature, "count", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("target remote");
    minivmm
}

/// The text of an error reply.
#[track_caller]
fn refusal(rsp: &mut Rsp, packet: &str) -> String {
    let reply = rsp.ask(packet);
    reply.strip_prefix("E.").unwrap_or_else(|| panic!("{packet}: {reply}")).to_owned()
}

#[test]
fn without_single_step_steps_are_refused_and_the_rest_works() {
    let port = Minivmm::free_port();
    let minivmm = debug_without("step", port);
    let mut rsp = Rsp::connect(port);
    let [body, done, rounds] =
        ["body", "done", "rounds"].map(|symbol| bare_symbol("count", symbol));

    let entry = rsp.register(32);
    // The reason on the client's console (RSP manual, Stop Reply Packets, "O"), then SIGINT.
    for packet in ["vCont;s:p1.1", "vCont;s:p1.1;c"] {
        let console = rsp.ask(packet);
        let reason = b"this host's KVM cannot single-step; ".map(|byte| format!("{byte:02x}"));
        assert!(console.starts_with(&format!("O{}", reason.concat())), "{console}");
        assert!(rsp.receive().starts_with("T02"));
    }
    assert_eq!(rsp.register(32), entry);

    // Software and hardware breakpoints, a watchpoint, memory and registers.
    rsp.order(&format!("Z0,{body:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.order(&format!("z0,{body:x},4"));
    rsp.order(&format!("Z2,{rounds:x},8"));
    assert_eq!(rsp.resume("vCont;c").pc(), body + 4);
    rsp.order(&format!("z2,{rounds:x},8"));
    rsp.write(rounds, &40_u64.to_le_bytes());
    rsp.set_register(19, 2);
    rsp.order(&format!("Z1,{done:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), done);
    rsp.order(&format!("z1,{done:x},4"));
    // Of two rounds, the first one had read before it was written.
    assert_eq!((rsp.read_u64(rounds), rsp.register(19)), (2, 0));

    assert!(rsp.ask("vCont;c").starts_with('W'));
    let vm = minivmm.finish();
    assert_eq!((vm.status, vm.console.as_str()), (0, "0000000000000002\n"), "{vm:?}");
    assert_eq!(vm.stderr.matches("KVM cannot single-step").count(), 1, "{}", vm.stderr);
    assert_eq!(vm.stderr.matches("this host's KVM").count(), 1, "{}", vm.stderr);
}

#[test]
fn without_single_step_gdb_shows_why_it_cannot_continue_from_its_breakpoint() {
    let port = Minivmm::free_port();
    let minivmm = debug_without("step", port);
    let mut gdb = Gdb::start(Some(&bare_guest("count").with_extension("elf")));
    gdb.connect(format!(":{port}"));
    gdb.run("break *&body");
    let said = gdb.run("continue");
    assert!(said.contains("Breakpoint 1, body"), "{said}");

    let said = gdb.run("continue");

    assert!(said.contains("received signal SIGINT"), "{said}");
    assert!(said.contains("to continue from a breakpoint, delete it first"), "{said}");
    assert_eq!(gdb.place(), "body");
    gdb.run("delete");
    let said = gdb.run("continue");
    assert!(said.contains("exited normally"), "{said}");
    assert_eq!(minivmm.finish().console, "000000000000000a\n");
}

#[test]
fn without_debug_registers_what_needs_them_is_refused_and_the_rest_works() {
    let port = Minivmm::free_port();
    let minivmm = debug_without("hw", port);
    let mut rsp = Rsp::connect(port);
    let [body, done, rounds] =
        ["body", "done", "rounds"].map(|symbol| bare_symbol("count", symbol));

    let text = refusal(&mut rsp, &format!("Z1,{body:x},4"));
    assert_eq!(text, "this host's KVM has no hardware breakpoints");
    for kind in 2..=4 {
        let text = refusal(&mut rsp, &format!("Z{kind},{rounds:x},8"));
        assert_eq!(text, "this host's KVM has no hardware watchpoints");
    }
    // The MMU is off, and there is no RAM at 0x1000.
    let text = refusal(&mut rsp, "Z0,1000,4");
    assert!(text.starts_with("0x1000 is not mapped to memory"), "{text}");
    assert!(text.contains("no hardware breakpoints"), "{text}");

    // Software breakpoints and steps.
    rsp.order(&format!("Z0,{body:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    for step in 1..=2 {
        assert_eq!(rsp.resume("vCont;s:p1.1").pc(), body + 4 * step);
    }
    assert_eq!(rsp.read_u64(rounds), 1);
    assert_eq!(rsp.resume("vCont;c").pc(), body);
    rsp.order(&format!("z0,{body:x},4"));
    rsp.order(&format!("Z0,{done:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), done);
    rsp.order(&format!("z0,{done:x},4"));

    assert!(rsp.ask("vCont;c").starts_with('W'));
    let vm = minivmm.finish();
    assert_eq!((vm.status, vm.console.as_str()), (0, "000000000000000a\n"), "{vm:?}");
    assert_eq!(vm.stderr.matches("KVM has no hardware breakpoints").count(), 1, "{}", vm.stderr);
    assert_eq!(vm.stderr.matches("this host's KVM").count(), 1, "{}", vm.stderr);
}

#[test]
fn without_guest_debug_gdb_is_refused_at_start_and_nothing_else() {
    let port = Minivmm::free_port().to_string();
    let refused = start_without("debug", "poweroff", &["--gdb", &port]).finish();
    let undebugged = start_without("debug", "poweroff", &[]).finish();

    assert_eq!(refused.status, 1);
    assert_eq!(
        refused.stderr,
        "minivmm: /dev/kvm: this host's KVM lacks guest debug, which --gdb needs\n"
    );
    assert_eq!(refused.console, "");
    assert_eq!((undebugged.status, undebugged.console.as_str()), (0, "powering off\n"));
}

#[test]
fn with_everything_nothing_is_said_to_be_missing() {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("count", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("target remote");

    assert!(!minivmm.stderr.text().contains("this host's KVM"), "{}", minivmm.stderr.text());
}
