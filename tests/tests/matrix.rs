//! What every cell of the matrix must do (docs/testing.md): a debugging session without symbols, from
//! the first instruction to power-off.

use tests::rsp::Stop;
use tests::shell::INIT;
use tests::{Minivmm, Rsp, Shell, kernel, release};

/// Address of a kernel symbol.
fn symbol(shell: &mut Shell, name: &str) -> u64 {
    let line = shell.run(&format!("grep -m 1 ' {name}$' /proc/kallsyms"));
    let digits = line.split(' ').next().unwrap();
    u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{name}: {line:?}"))
}

/// Lets the guest run this command into something that stops it.
fn stop_in(rsp: &mut Rsp, shell: &mut Shell, command: &str) -> Stop {
    rsp.send("vCont;c");
    shell.begin(command);
    Stop { text: rsp.receive() }
}

#[test]
fn linux_is_debugged_from_its_first_instruction_to_power_off() {
    let port = Minivmm::free_port();
    let cmdline = format!("console=ttyAMA0 quiet panic=-1 -- {INIT}");
    let more = ["--cpus", "2", "--gdb", &port.to_string()];
    let minivmm = Minivmm::boot_with(&cmdline, &kernel(), &more);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);

    // The Image's second word, with the MMU off: the branch to primary_entry.
    let second = rsp.register(32) + 4;
    rsp.order(&format!("Z1,{second:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), second);
    rsp.order(&format!("z1,{second:x},4"));

    rsp.send("vCont;c");
    let mut shell = Shell::on(minivmm);
    let [banner, vectors, function, variable] =
        ["linux_banner", "vectors", "__arm64_sys_sync", "panic_timeout"]
            .map(|name| symbol(&mut shell, name));
    rsp.interrupt();

    let text = String::from_utf8(rsp.read(banner, 200)).unwrap();
    assert!(text.starts_with(&format!("Linux version {} ", release(&kernel()))), "{text}");

    let mut thread = 0;
    for (kind, reason) in [("1", "hwbreak"), ("0", "swbreak")] {
        rsp.order(&format!("Z{kind},{function:x},4"));
        let stop = stop_in(&mut rsp, &mut shell, "sync");
        assert_eq!((stop.pc(), stop.field(reason)), (function, Some("")), "{stop:?}");
        rsp.order(&format!("z{kind},{function:x},4"));
        thread = stop.thread();
    }

    let mut pc = function;
    for step in 1..=20 {
        let stop = rsp.resume(&format!("vCont;s:p1.{thread:x}"));
        assert_eq!(stop.thread(), thread, "step {step}: {stop:?}");
        assert_ne!(stop.pc(), pc, "step {step}");
        pc = stop.pc();
        assert!(!(vectors..vectors + 0x800).contains(&pc), "step {step} ends at {pc:#x}");
    }

    rsp.order(&format!("Z2,{variable:x},4"));
    let stop = stop_in(&mut rsp, &mut shell, "echo 77 >/proc/sys/kernel/panic");
    let addr = stop.field("watch").map(|digits| u64::from_str_radix(digits, 16).unwrap());
    assert!(addr.is_some_and(|addr| (variable..variable + 4).contains(&addr)), "{stop:?}");
    rsp.order(&format!("z2,{variable:x},4"));

    rsp.order("D;1");
    assert_eq!(shell.run("cat /proc/sys/kernel/panic"), "77");
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}
