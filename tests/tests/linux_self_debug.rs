//! Linux debugs itself and its programs while a debugger looks on: ptrace, perf, uprobes, ftrace.

use std::ffi::OsStr;
use std::fs;

use tests::minivmm::QUICK;
use tests::rsp::Stop;
use tests::shell::{INIT, Shell};
use tests::{Minivmm, Rsp, bare_guest, guest, initramfs, kernel};

/// A guest on two vCPUs, running, with the program `self_debug` in its tracing folder.
fn boot(port: u16) -> Shell {
    let program = bare_guest("self_debug").with_extension("");
    let image = guest(&format!("Image-{}", kernel()));
    let initrd = initramfs::with_programs(&[("self_debug", &program)]);
    let cmdline = format!("{QUICK} console=ttyAMA0 quiet panic=-1 -- {INIT}");
    let port = port.to_string();
    let mut shell = Shell::on(Minivmm::start([
        OsStr::new("--kernel"),
        image.as_os_str(),
        OsStr::new("--initrd"),
        initrd.as_os_str(),
        OsStr::new("--cmdline"),
        OsStr::new(&cmdline),
        OsStr::new("--cpus"),
        OsStr::new("2"),
        OsStr::new("--gdb"),
        OsStr::new(&port),
        OsStr::new("--gdb-nowait"),
    ]));
    shell.run("mount -t tracefs none /sys/kernel/tracing; cd /sys/kernel/tracing");
    shell
}

/// Whether the host's KVM, from 6.14 on, leaves the guest's own debug registers out of the CPU while
/// anything is set. Before that they stay in, unless the debugger uses such registers itself.
fn host_keeps_debug_registers_from_guest() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a host's release");
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(14))
}

/// Lets `self_debug` debug in every way it can. One line for each.
fn debug_in_every_way(shell: &mut Shell) -> Vec<String> {
    let mut lines = Vec::new();
    for way in ["step", "plant", "watch", "break", "perf", "brk"] {
        lines.push(shell.run(&format!("self_debug {way}; echo status $?")));
    }
    let offsets = shell.run("self_debug offsets");
    for way in ["by_branch", "by_add"] {
        let event = format!("events/uprobes/{way}/enable");
        shell.run(&format!("{offsets}; echo p:{way} /bin/self_debug:${way} >uprobe_events"));
        shell.run(&format!("echo >trace; echo 1 >{event}"));
        lines.push(shell.run(&format!("self_debug {way}; echo status $?")));
        lines.push(shell.run(&format!("echo 0 >{event}; grep -c ' {way}:' trace")));
    }
    lines.iter().map(|line| line.replace('\n', " ")).collect()
}

#[test]
fn programs_in_the_guest_debug_each_other_as_far_as_kvm_allows() {
    let port = Minivmm::free_port();
    let mut shell = boot(port);
    let panic = shell.kernel_symbol("panic");

    let free = debug_in_every_way(&mut shell);

    // BRK is SIGTRAP (5) with TRAP_BRKPT (1), a debug register's trap has TRAP_HWBKPT (4). Linux
    // reports the end of a stepped system call twice.
    let hit = "code 1, address +0, pc +0; step +4;";
    let as_documented = [
        "step: 4 8 20 c 10 14 14 18 1c exit 7 status 0",
        &format!("plant: {hit} {hit} {hit} exit 9 status 0"),
        "watch: code 4, address +0, pc +0; exit 42 status 0",
        "break: code 4, address +0, pc +0; exit 9 status 0",
        "perf: 3 stores counted status 0",
        "brk: signal 5, code 1, address +0, pc +0; signal 5, code 1, address +0, pc +0; done status 0",
        "by_branch: done status 0",
        "3",
        "by_add: done status 0",
        "3",
    ];
    assert_eq!(free, as_documented);

    let mut rsp = Rsp::connect(port);
    rsp.send("vCont;c");
    let attached = debug_in_every_way(&mut shell);
    assert_eq!(attached, free);

    // With anything set, here a breakpoint that is never reached, KVM suppresses the guest's own
    // single-step: what was to be stepped runs on.
    rsp.interrupt();
    rsp.order(&format!("Z0,{panic:x},4"));
    rsp.send("vCont;c");
    let with_breakpoint = debug_in_every_way(&mut shell);
    let mut limited = as_documented.map(str::to_owned);
    // The kernel itself reports a step at the end of a system call.
    limited[0] = "step: 14 exit 7 status 0".to_owned();
    limited[1] = "plant: code 1, address +0, pc +0; exit 9 status 0".to_owned();
    if host_keeps_debug_registers_from_guest() {
        limited[2] = "watch: exit 42 status 0".to_owned();
        limited[3] = "break: exit 9 status 0".to_owned();
        limited[4] = "perf: 0 stores counted status 0".to_owned();
    } else {
        // To get over the store the kernel steps it, and that step's report comes at the end of the
        // next system call, where nobody expects it.
        limited[4] = "perf:Trace/breakpoint trap status 133".to_owned();
    }
    // A branch is simulated; an addition is executed out of line, and behind it is no instruction.
    limited[8] = "by_add:Illegal instruction status 132".to_owned();
    limited[9] = "1".to_owned();
    assert_eq!(with_breakpoint, limited);

    rsp.interrupt();
    rsp.order(&format!("z0,{panic:x},4"));
    rsp.send("vCont;c");
    assert_eq!(debug_in_every_way(&mut shell), free);
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}

/// MOV X9, X30 and the NOP behind it, which is what ftrace patches: where a kernel built with
/// -fpatchable-function-entry starts a function (arch/arm64/kernel/ftrace.c).
const CALL_SITE: [u32; 2] = [0xaa1e03e9, 0xd503201f];

/// Traces `version_proc_show` while `cat` calls it. Returns what is in the trace.
fn trace(shell: &mut Shell) -> String {
    shell.run("echo >trace; echo function >current_tracer; cat /proc/version >/dev/null");
    shell.run("grep -v '^#' trace; echo nop >current_tracer; cat enabled_functions")
}

#[test]
fn ftrace_patches_the_kernel_beside_breakpoints() {
    let port = Minivmm::free_port();
    let mut shell = boot(port);
    let panic = shell.kernel_symbol("panic");
    let function = shell.kernel_symbol("version_proc_show");
    shell.run("echo version_proc_show >set_ftrace_filter");
    let mut rsp = Rsp::connect(port);
    let start = rsp.read_u64(function);
    assert_eq!([start as u32, (start >> 32) as u32], CALL_SITE);
    rsp.order(&format!("Z0,{panic:x},4"));
    rsp.send("vCont;c");

    // Both ways, twice.
    for _ in 0..2 {
        let traced = trace(&mut shell);
        assert!(traced.contains("version_proc_show <-seq_read_iter"), "{traced}");
        assert_eq!(traced.lines().count(), 1, "{traced}");
    }

    // Right before and right behind what it patches.
    for place in [function, function + 8] {
        rsp.interrupt();
        rsp.order(&format!("Z0,{place:x},4"));
        rsp.send("vCont;c");
        shell.begin("echo >trace; echo function >current_tracer; cat /proc/version >/dev/null");
        let stop = Stop { text: rsp.receive() };
        assert_eq!(stop.pc(), place, "{}", stop.text);
        let site = rsp.read(function + 4, 4);
        assert_ne!(site, CALL_SITE[1].to_le_bytes(), "a call now");
        rsp.order(&format!("z0,{place:x},4"));
        rsp.resume(&format!("vCont;s:p1.{:x}", stop.thread()));
        rsp.order(&format!("Z0,{place:x},4"));
        rsp.send("vCont;c");
        let traced = shell.run("grep -v '^#' trace; echo nop >current_tracer");
        assert!(traced.contains("version_proc_show <-seq_read_iter"), "{traced}");
        assert_eq!(traced.lines().count(), 1, "{traced}");
        rsp.interrupt();
        assert_eq!(rsp.read_u64(function), start);
        rsp.order(&format!("z0,{place:x},4"));
        rsp.send("vCont;c");
    }
    assert_eq!(shell.run("dmesg | grep -c 'ftrace bug'"), "0");
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}
