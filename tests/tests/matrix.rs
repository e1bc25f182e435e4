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

/// Address of what a sysctl reads or writes; the guest is stopped where its handler begins. Kernel
/// data is found this way because 6.1 lists functions only: x0 is its `struct ctl_table`, whose
/// second member this is.
fn sysctl_data(rsp: &mut Rsp, stop: &Stop) -> u64 {
    rsp.select(stop.thread());
    let table = rsp.register(0);
    rsp.read_u64(table + 8)
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
    let [vectors, string_sysctl, int_sysctl] =
        ["vectors", "proc_do_uts_string", "proc_dointvec"].map(|name| symbol(&mut shell, name));
    rsp.interrupt();

    rsp.order(&format!("Z1,{string_sysctl:x},4"));
    let stop = stop_in(&mut rsp, &mut shell, "cat /proc/sys/kernel/osrelease >/dev/null");
    assert_eq!((stop.pc(), stop.field("hwbreak")), (string_sysctl, Some("")), "{stop:?}");
    let text = sysctl_data(&mut rsp, &stop);
    let text = String::from_utf8(rsp.read(text, 64)).unwrap();
    assert_eq!(text.trim_end_matches('\0'), release(&kernel()));
    rsp.order(&format!("z1,{string_sysctl:x},4"));

    rsp.order(&format!("Z0,{int_sysctl:x},4"));
    let stop = stop_in(&mut rsp, &mut shell, "echo 77 >/proc/sys/kernel/panic");
    assert_eq!((stop.pc(), stop.field("swbreak")), (int_sysctl, Some("")), "{stop:?}");
    let variable = sysctl_data(&mut rsp, &stop);
    rsp.order(&format!("z0,{int_sysctl:x},4"));

    let (thread, mut pc) = (stop.thread(), stop.pc());
    for step in 1..=20 {
        let stop = rsp.resume(&format!("vCont;s:p1.{thread:x}"));
        assert_eq!(stop.thread(), thread, "step {step}: {stop:?}");
        assert_ne!(stop.pc(), pc, "step {step}");
        pc = stop.pc();
        assert!(!(vectors..vectors + 0x800).contains(&pc), "step {step} ends at {pc:#x}");
    }

    rsp.order(&format!("Z2,{variable:x},4"));
    let stop = rsp.resume("vCont;c");
    let addr = stop.field("watch").map(|digits| u64::from_str_radix(digits, 16).unwrap());
    assert!(addr.is_some_and(|addr| (variable..variable + 4).contains(&addr)), "{stop:?}");
    assert_eq!(rsp.read(variable, 4), (-1_i32).to_le_bytes(), "panic=-1, and not written yet");
    rsp.order(&format!("z2,{variable:x},4"));

    rsp.order("D;1");
    assert_eq!(shell.run("cat /proc/sys/kernel/panic"), "77");
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}
