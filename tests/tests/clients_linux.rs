//! One long debugging session with each client on Debian's kernel: from its first instruction to the
//! shell, then whatever else a person does in a day. None of it makes a client complain.

use tests::gdb::Version;
use tests::{Gdb, Lldb, Minivmm, kernel, lacks, lldb, skip, vmlinux};

/// The shell of the guest's initramfs.
const PROMPT: &str = "/root # ";

/// The guest's clock goes on while it is stopped, and where a client is slow that is long enough for
/// RCU. Signed return addresses end GDB 13's backtraces.
const CMDLINE: &str =
    "console=ttyAMA0 quiet panic=-1 nowatchdog rcupdate.rcu_cpu_stall_suppress=1 arm64.nopauth";

/// Debian's kernel on two vCPUs, waiting at its first instruction.
fn boot(port: u16) -> Minivmm {
    Minivmm::boot_with(CMDLINE, &kernel(), &["--cpus", "2", "--gdb", &port.to_string()])
}

fn gdb_session(version: Version) {
    if lacks(version.program()) {
        return skip(&format!("there is no {}", version.program()));
    }
    let port = Minivmm::free_port();
    let mut minivmm = boot(port);
    let mut gdb = Gdb::start_version(version, Some(&vmlinux()));
    gdb.connect(format!(":{port}"));

    gdb_comes_to_start_kernel(&mut gdb);
    gdb_reads_registers_code_and_memory(&mut gdb);
    gdb_runs_line_by_line(&mut gdb);
    gdb_leaves_a_function(&mut gdb);
    gdb_comes_to_a_system_call(&mut gdb);
    gdb_locks_the_scheduler(&mut gdb);
    gdb.begin("continue");
    minivmm.console.expect(PROMPT);
    gdb.interrupt();
    let said = gdb.end();
    assert!(said.contains("received signal SIGINT"), "{said}");
    gdb_sees_both_cpus(&mut gdb);
    gdb_writes_registers_and_memory(&mut gdb);
    gdb_has_conditions_judged_and_words_printed(&mut gdb, &mut minivmm);
    let said = gdb.run("monitor help");
    assert!(said.contains("info version "), "{said}");

    // Without a word to the stub: the guest stays as it is.
    let pc = gdb.value("$pc");
    assert_eq!(gdb.run("disconnect"), "Ending remote debugging.");
    gdb.connect(format!(":{port}"));
    assert_eq!(gdb.value("$pc"), pc);

    let said = gdb.run("detach");
    assert!(said.contains("Detaching from program"), "{said}");
    minivmm.send("cat /proc/sys/kernel/panic\n");
    minivmm.console.expect("77\r\n");
    minivmm.console.expect(PROMPT);
    gdb.connect(format!(":{port}"));
    assert_eq!(gdb.value("panic_timeout"), 77);
    let said = gdb.run("kill");
    assert!(said.contains("killed"), "{said}");
    gdb.assert_no_complaint();
    let vm = minivmm.finish();
    assert_eq!(vm.status, 0, "{vm:?}");
}

fn gdb_comes_to_start_kernel(gdb: &mut Gdb) {
    assert_eq!(gdb.value("$pc"), 0x40000000);
    let said = gdb.run("hbreak start_kernel");
    assert!(said.starts_with("Hardware assisted breakpoint 1 at "), "{said}");
    let said = gdb.run("continue");
    assert!(said.contains("Breakpoint 1") && said.contains("start_kernel ("), "{said}");
    let said = gdb.run("bt");
    assert!(said.starts_with("#0  ") && said.contains("start_kernel ("), "{said}");
    assert!(said.contains("__primary_switched ("), "{said}");
    gdb.run("delete");

    let before = gdb.value("$pc");
    let steps = gdb.steps(4);
    assert_eq!(steps.len(), 4, "{steps:x?}");
    let from = [before].into_iter().chain(steps.iter().copied());
    assert!(from.zip(&steps).all(|(from, to)| from != *to), "{steps:x?}");
}

fn gdb_reads_registers_code_and_memory(gdb: &mut Gdb) {
    let said = gdb.run("info registers all");
    for register in ["x0", "x30", "sp", "pc", "cpsr", "v0", "v31", "fpsr", "fpcr", "w30"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{register} "))), "{said}");
    }
    assert!(!said.contains("unavailable"), "{said}");

    let said = gdb.run("x/100i $pc");
    assert_eq!(said.lines().count(), 100, "{said}");
    assert!(said.starts_with("=> 0x") && !said.contains("undefined"), "{said}");

    let said = gdb.run("find &linux_banner, +0x100, 'v', 'e', 'r', 's', 'i', 'o', 'n', ' '");
    assert!(said.contains("<linux_banner+6>"), "{said}");
    let said = gdb.run("find /w1 &linux_banner, +4, 0x756e694d");
    assert_eq!(said, "Pattern not found.");
}

/// Line of the source, and the function, at PC.
fn gdb_line(gdb: &mut Gdb) -> (String, String) {
    let said = gdb.run("info line *$pc");
    let line = said.split(' ').nth(1).unwrap_or_default().to_owned();
    (line, gdb.place().split(' ').next().unwrap_or_default().to_owned())
}

/// In start_kernel, most lines of which are calls. Later, what is called may return on another CPU,
/// which for GDB is another thread, and not the one it waits for.
fn gdb_runs_line_by_line(gdb: &mut Gdb) {
    for command in ["next", "next", "until", "next"] {
        let (before, _) = gdb_line(gdb);
        gdb.run(command);
        let (after, function) = gdb_line(gdb);
        assert_eq!(function, "start_kernel", "{command}");
        assert_ne!(after, before, "{command}");
    }
}

fn gdb_leaves_a_function(gdb: &mut Gdb) {
    // A breakpoint in memory would make ftrace give up.
    gdb.run("thbreak early_irq_init");
    let said = gdb.run("continue");
    assert!(said.contains("Temporary breakpoint ") && said.contains("early_irq_init ("), "{said}");
    // GDB's place is the symbol; what it knows of the function begins behind ftrace's two nops.
    gdb.run("stepi 2");
    let said = gdb.run("finish");
    assert!(
        said.starts_with("Run till exit from #0 ") && said.contains("Value returned"),
        "{said}"
    );
    assert!(gdb.place().starts_with("start_kernel "), "{said}");
}

fn gdb_comes_to_a_system_call(gdb: &mut Gdb) {
    gdb.run("tbreak do_sys_openat2");
    let said = gdb.run("continue");
    assert!(said.contains("Temporary breakpoint ") && said.contains("do_sys_openat2 ("), "{said}");
    let said = gdb.run("bt");
    assert!(said.contains("\n#1  ") && said.contains(" el0t_64_sync ("), "{said}");
    let left = gdb.run("info breakpoints");
    assert!(left.starts_with("No breakpoints"), "{left}");
}

fn gdb_locks_the_scheduler(gdb: &mut Gdb) {
    let other = format!("thread apply {} -q info symbol $pc", 3 - gdb.value("$_thread"));
    gdb.run("set scheduler-locking on");
    let before = gdb.run(&other);
    assert_eq!(gdb.steps(3).len(), 3);
    assert_eq!(gdb.run(&other), before);
    gdb.run("set scheduler-locking off");
    assert_eq!(gdb.steps(3).len(), 3);
}

fn gdb_sees_both_cpus(gdb: &mut Gdb) {
    let said = gdb.run("info threads");
    assert!(said.contains("vCPU 0 [on]") && said.contains("vCPU 1 [on]"), "{said}");
    let said = gdb.run("thread apply all bt");
    assert_eq!(said.matches("\n#0  ").count(), 2, "{said}");
}

fn gdb_writes_registers_and_memory(gdb: &mut Gdb) {
    let x0 = gdb.value("$x0");
    gdb.run("set $x0 = 0x123456789abcdef0");
    assert_eq!(gdb.value("$x0"), 0x123456789abcdef0);
    gdb.run(&format!("set $x0 = {x0:#x}"));
    assert_eq!(gdb.value("$x0"), x0);
    gdb.run("set variable panic_timeout = 77");
    assert_eq!(gdb.value("panic_timeout"), 77);
}

fn gdb_has_conditions_judged_and_words_printed(gdb: &mut Gdb, minivmm: &mut Minivmm) {
    gdb.run("set dprintf-style agent");
    // By the registers of its arguments: what GDB knows of the function begins behind ftrace's two nops.
    gdb.run(r#"dprintf *do_sys_openat2,"at %d: %s\n",(int) $x0,(char *) $x1"#);
    gdb.run("break vfs_read if count == 77");
    gdb.begin("continue");
    minivmm
        .send("(cd /proc; dd if=version of=/dev/null bs=13; dd if=version of=/dev/null bs=77)\n");
    let said = gdb.end();
    assert!(said.contains(", vfs_read ("), "{said}");
    assert_eq!(gdb.value("count"), 77);
    assert_eq!(said.matches("at -100: version\n").count(), 2, "{said}");
    assert_eq!(said.matches("at -100: /dev/null\n").count(), 2, "{said}");
    gdb.run("delete");
}

#[test]
fn gdb_13_debugs_linux_without_a_complaint() {
    gdb_session(Version::V13);
}

#[test]
fn gdb_16_debugs_linux_without_a_complaint() {
    gdb_session(Version::V16);
}

#[test]
fn gdb_18_debugs_linux_without_a_complaint() {
    gdb_session(Version::V18);
}

#[test]
fn lldb_19_debugs_linux_without_a_complaint() {
    if lacks(lldb::PROGRAM) {
        return skip(&format!("there is no {}", lldb::PROGRAM));
    }
    let port = Minivmm::free_port();
    let mut minivmm = boot(port);
    let mut lldb = Lldb::start(&vmlinux());
    lldb.connect(port);

    lldb_comes_to_start_kernel(&mut lldb);
    lldb_reads_registers_code_and_memory(&mut lldb);
    lldb_runs_line_by_line(&mut lldb);
    lldb_leaves_a_function(&mut lldb);
    lldb_comes_to_a_system_call(&mut lldb);
    lldb.resume();
    minivmm.console.expect(PROMPT);
    lldb.interrupt();
    lldb_sees_both_cpus(&mut lldb);
    lldb_writes_registers_and_memory(&mut lldb);
    lldb_asks_the_machine(&mut lldb);

    lldb.leave("process detach", "Process 1 detached\n");
    minivmm.send("cat /proc/sys/kernel/panic\n");
    minivmm.console.expect("77\r\n");
    minivmm.console.expect(PROMPT);
    lldb.connect(port);
    assert_eq!(lldb.value("panic_timeout"), 77);

    let said = lldb.run("watchpoint set variable panic_timeout");
    assert!(said.contains("Watchpoint created: Watchpoint 1"), "{said}");
    lldb.begin("continue");
    minivmm.send("echo 88 >/proc/sys/kernel/panic\n");
    let said = lldb.end();
    assert!(said.contains("stop reason = watchpoint 1"), "{said}");
    assert!(said.contains("old value: 77") && said.contains("new value: 88"), "{said}");
    lldb.run("watchpoint delete --force");
    lldb.run("breakpoint set --name vfs_read --condition 'count == 77'");
    lldb.begin("continue");
    minivmm.send(
        "dd if=/proc/version of=/dev/null bs=13 count=2; dd if=/proc/version of=/dev/null bs=77\n",
    );
    let said = lldb.end();
    assert!(said.contains("stop reason = breakpoint") && said.contains("`vfs_read("), "{said}");
    assert_eq!(lldb.value("count"), 77);
    lldb.leave("process kill", "Process 1 exited with status = 9");
    lldb.assert_no_complaint();

    let vm = minivmm.finish();
    assert_eq!(vm.status, 0, "{vm:?}");
}

fn lldb_comes_to_start_kernel(lldb: &mut Lldb) {
    let said = lldb.run("register read pc");
    assert_eq!(said, "pc = 0x0000000040000000");
    let said = lldb.run("breakpoint set --hardware --name start_kernel");
    assert!(said.contains("Breakpoint 1: "), "{said}");
    let said = lldb.run("continue");
    assert!(
        said.contains("stop reason = breakpoint 1.") && said.contains("`start_kernel"),
        "{said}"
    );
    let said = lldb.run("bt");
    assert!(said.contains("frame #1: ") && said.contains("`__primary_switched"), "{said}");
    lldb.run("breakpoint delete --force");
    for _ in 0..4 {
        let before = lldb.run("register read pc");
        let said = lldb.run("thread step-inst");
        assert!(said.contains("stop reason = instruction step into"), "{said}");
        assert_ne!(lldb.run("register read pc"), before);
    }
}

fn lldb_reads_registers_code_and_memory(lldb: &mut Lldb) {
    let said = lldb.run("register read --all");
    for register in ["x0", "x30", "sp", "pc", "cpsr", "v0", "v31", "fpsr", "fpcr", "w30"] {
        let wanted = format!("{register} = ");
        assert!(said.lines().any(|line| line.trim_start().starts_with(&wanted)), "{said}");
    }
    assert!(!said.contains("unavailable"), "{said}");

    let said = lldb.run("disassemble --pc --count 100");
    let addresses = said.lines().map(|line| line.trim_start_matches(['-', '>', ' ']));
    assert_eq!(addresses.filter(|line| line.starts_with("0xffff")).count(), 100, "{said}");

    let said = lldb.run("memory find --string version &linux_banner &linux_banner+256");
    assert!(said.contains("data found at location: "), "{said}");
    let said = lldb.run("memory read --format c-string --count 1 &linux_banner");
    assert!(said.contains("Linux version "), "{said}");
}

/// Line of the source, and the function, at PC.
fn lldb_line(lldb: &mut Lldb) -> (String, String) {
    let said = lldb.run("frame info");
    let place = said.split('`').nth(1).unwrap_or_default();
    let function = place.split(['(', ' ']).next().unwrap_or_default().to_owned();
    (place.split(" at ").nth(1).unwrap_or_default().to_owned(), function)
}

/// In start_kernel: see [`gdb_runs_line_by_line`].
fn lldb_runs_line_by_line(lldb: &mut Lldb) {
    let until = lldb.value("$pc") + 8;
    lldb.run(&format!("thread until --address {until:#x}"));
    assert_eq!(lldb.value("$pc"), until);
    for _ in 0..4 {
        let (before, _) = lldb_line(lldb);
        lldb.run("next");
        let (after, function) = lldb_line(lldb);
        assert_eq!(function, "start_kernel");
        assert_ne!(after, before);
    }
}

fn lldb_leaves_a_function(lldb: &mut Lldb) {
    // A breakpoint in memory would make ftrace give up.
    lldb.run("breakpoint set --hardware --one-shot true --name early_irq_init");
    let said = lldb.run("continue");
    assert!(said.contains("one-shot breakpoint 2") && said.contains("`early_irq_init"), "{said}");
    // LLDB's place is the symbol; what it knows of the function begins behind ftrace's two nops.
    lldb.run("thread step-inst --count 2");
    let said = lldb.run("finish");
    assert!(said.contains("stop reason = step out") && said.contains("Return value: "), "{said}");
    assert_eq!(lldb_line(lldb).1, "start_kernel");
}

fn lldb_comes_to_a_system_call(lldb: &mut Lldb) {
    lldb.run("breakpoint set --one-shot true --name do_sys_openat2");
    let said = lldb.run("continue");
    assert!(said.contains("one-shot breakpoint 3") && said.contains("`do_sys_openat2("), "{said}");
    let said = lldb.run("bt");
    assert!(said.contains("frame #1: ") && said.contains("`el0t_64_sync "), "{said}");
    assert_eq!(lldb.run("breakpoint list"), "No breakpoints currently set.");
}

fn lldb_sees_both_cpus(lldb: &mut Lldb) {
    let said = lldb.run("thread list");
    assert!(said.contains("thread #1: tid = 0x0001"), "{said}");
    assert!(said.contains("thread #2: tid = 0x0002"), "{said}");
    let said = lldb.run("bt all");
    assert_eq!(said.matches("frame #0: ").count(), 2, "{said}");
}

fn lldb_writes_registers_and_memory(lldb: &mut Lldb) {
    let x0 = lldb.value("$x0");
    lldb.run("register write x0 0x123456789abcdef0");
    assert_eq!(lldb.value("$x0"), 0x123456789abcdef0);
    lldb.run(&format!("register write x0 {x0:#x}"));
    assert_eq!(lldb.value("$x0"), x0);
    lldb.run("expression panic_timeout = 77");
    assert_eq!(lldb.value("panic_timeout"), 77);
}

fn lldb_asks_the_machine(lldb: &mut Lldb) {
    let said = lldb.run("process plugin packet monitor help");
    assert!(said.contains("info version "), "{said}");
    let said = lldb.run("process plugin packet monitor vcpus");
    assert!(said.contains("* vCPU 0  MPIDR 0x80000000  thread "), "{said}");
    let said = lldb.run("memory region $pc");
    assert!(said.contains(") r-x"), "{said}");
    let said = lldb.run("memory region &panic_timeout");
    assert!(said.contains(") rw-"), "{said}");
}
