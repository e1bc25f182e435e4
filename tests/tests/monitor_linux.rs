//! Monitor commands on Debian's kernel, typed into GDB.

use tests::{Gdb, Minivmm, Shell, kernel, vmlinux};

/// What a command prints whose argument is an expression.
fn monitor_at(gdb: &mut Gdb, command: &str, expression: &str) -> String {
    gdb.run(&format!("eval \"monitor {command} %#lx\", (unsigned long) ({expression})"))
}

/// The number behind a word.
fn number_behind(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("no {word:?} in {text}"));
    let digits = rest.trim_start().trim_start_matches("0x");
    let digits = digits.split(|digit: char| !digit.is_ascii_hexdigit()).next().unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{word:?} in {text}"))
}

/// The line of `gic` for an interrupt.
fn interrupt<'a>(said: &'a str, intid: &str) -> &'a str {
    let line = said.lines().find(|line| line.split_whitespace().next() == Some(intid));
    line.unwrap_or_else(|| panic!("no {intid} in {said}"))
}

/// Count of an exit, of all vCPUs.
fn exits(said: &str, name: &str) -> u64 {
    let lines = said.lines().filter_map(|line| line.trim_start().strip_prefix(name));
    lines.filter_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

fn memory_is_found_by_both_addresses(gdb: &mut Gdb) {
    let said = monitor_at(gdb, "translate", "&linux_banner");
    assert!(said.contains(" by TTBR1_EL1 0x"), "{said}");
    assert!(said.contains("normal, write-back"), "{said}");
    assert!(said.contains("EL1 r--, EL0 ---") || said.contains("EL1 rw-, EL0 ---"), "{said}");
    let physical = number_behind(&said, "physical");
    let word = gdb.value("*(unsigned long *) &linux_banner");
    let said = gdb.run(&format!("monitor xp/1xg {physical:#x}"));
    assert_eq!(said, format!("{physical:016x}: {word:#018x}"));

    let said = monitor_at(gdb, "translate", "&start_kernel");
    assert!(said.contains("does not translate: ") || said.contains("EL1 r-"), "{said}");
    let said = monitor_at(gdb, "translate", "&vectors");
    assert!(said.contains("EL1 r-x, EL0 ---"), "{said}");
}

fn the_kernels_map_is_listed(gdb: &mut Gdb) {
    let said = gdb.run("monitor pagetable upper");
    assert!(said.starts_with("upper half, TTBR1_EL1:\n"), "{said}");
    let (text, end) = (gdb.value("&_stext"), gdb.value("&_etext"));
    let covers = |line: &&str| {
        let (first, last) = (number_behind(line, ""), number_behind(line, ".."));
        first <= text && end - 1 <= last && line.contains("EL1 r-x EL0 ---")
    };
    assert!(said.lines().skip(1).any(|line| covers(&line)), "{text:#x} to {end:#x}: {said}");
    assert!(said.contains("EL1 rw- EL0 --- device-nGnRE"), "{said}");
}

fn interrupts_and_timers_are_shown(gdb: &mut Gdb) {
    let said = gdb.run("monitor gic");
    let timer = interrupt(&said, "27");
    assert!(timer.contains("  enabled  ") && timer.ends_with("virtual timer"), "{said}");
    let uart = interrupt(&said, "33");
    assert!(uart.contains("  enabled  ") && uart.contains("  level  "), "{said}");
    assert!(uart.contains("to vCPU ") && uart.ends_with("PL011"), "{said}");
    assert!(said.contains("\nvCPU 1: PMR 0x"), "{said}");

    let said = gdb.run("monitor timers");
    // Time goes on while the guest is stopped.
    let timer = ["CTL 0x1 on, fires in ", "CTL 0x5 on, has fired for "];
    let is_on = |text| said.contains(&format!("\n  virtual      {text}"));
    assert!(timer.into_iter().any(is_on), "{said}");
    assert!(said.contains(" (EL0VCTEN"), "{said}");
}

fn exits_of_the_console_are_counted(gdb: &mut Gdb, shell: &mut Shell) {
    let said = gdb.run("monitor exits");
    assert!(exits(&said, "write to PL011") > 0 && exits(&said, "read of PL031") > 0, "{said}");
    assert!(exits(&said, "interrupted") > 0, "{said}");
    gdb.run("monitor exits reset");
    gdb.begin("continue");
    assert_eq!(shell.run("echo 0123456789"), "0123456789");
    gdb.interrupt();
    gdb.end();
    let said = gdb.run("monitor exits");
    assert!(exits(&said, "write to PL011") > 0 && exits(&said, "read of PL031") == 0, "{said}");
    let said = gdb.run("monitor vcpus");
    assert_eq!(said.matches("  on  pc 0xf").count(), 2, "{said}");
    assert!(said.contains("  MMU on"), "{said}");
}

/// Stops `cat` where it opens a file.
fn stop_cat(gdb: &mut Gdb, shell: &mut Shell) {
    gdb.run("break do_sys_openat2");
    gdb.begin("continue");
    shell.begin("cat /proc/version");
    let said = gdb.end();
    assert!(said.contains("hit Breakpoint "), "{said}");
    gdb.run("delete");
}

fn a_warning_is_caught_before_the_kernel_sees_it(gdb: &mut Gdb, shell: &mut Shell) {
    const WARNING: u64 = 1;
    shell_quietly(gdb, shell, "echo 8 >/proc/sys/kernel/printk");
    stop_cat(gdb, shell);
    let open = gdb.value("$pc");
    // The first that neither warns once nor has warned (struct bug_entry with relative pointers).
    gdb.run("set $bug = (struct bug_entry *) &__start___bug_table");
    let place = "((unsigned long) $bug + (long) $bug->bug_addr_disp)";
    gdb.run(&format!(
        "while ($bug->flags & 0xf) != {WARNING} || {place} > (unsigned long) &_etext\nset $bug = $bug + 1\nend"
    ));
    let warn = gdb.value(place);
    gdb.run("monitor catch brk on 0x800");
    assert_eq!(gdb.run("monitor catch"), "brk 0x800");
    gdb.run(&format!("set $pc = {warn:#x}"));

    let said = gdb.run("continue");

    assert!(said.contains(&format!("BRK 0x800 at {warn:#x} (BUG or WARN in Linux)\n")), "{said}");
    assert!(said.contains("received signal SIGTRAP"), "{said}");
    assert_eq!(gdb.value("$pc"), warn);
    // The kernel gets it, once, and goes on behind it.
    gdb.run(&format!("hbreak *{:#x}", warn + 4));
    let said = gdb.run("continue");
    assert!(said.contains("hit Breakpoint ") && !said.contains("catch: "), "{said}");
    gdb.run("delete");
    gdb.run("monitor catch brk off");
    gdb.run(&format!("set $pc = {open:#x}"));
    gdb.begin("continue");
    let console = &shell.minivmm.console;
    console.expect("WARNING: ");
    console.expect("---[ end trace ");
    console.expect("Linux version ");
    gdb.interrupt();
    gdb.end();
}

/// Has the shell run something while GDB waits.
fn shell_quietly(gdb: &mut Gdb, shell: &mut Shell, command: &str) {
    gdb.begin("continue");
    shell.run(command);
    gdb.interrupt();
    gdb.end();
}

fn a_system_call_is_caught_at_the_vector(gdb: &mut Gdb, shell: &mut Shell) {
    stop_cat(gdb, shell);
    gdb.run("monitor catch exception svc");
    let said = gdb.run("continue");
    assert!(said.contains(": exception svc, immediate 0x0; ESR 0x56000000"), "{said}");
    assert!(said.contains("received signal SIGTRAP"), "{said}");
    let vector = gdb.value("$pc") - gdb.value("&vectors");
    assert!(matches!(vector, 0x400 | 0x404), "{vector:#x}");
    // Another one comes, and not the same again.
    let said = gdb.run("continue");
    assert!(said.contains(": exception svc, immediate 0x0; ESR 0x56000000"), "{said}");
    gdb.run("monitor catch exception off");
    assert_eq!(gdb.run("monitor catch"), "nothing is caught");
    shell_quietly(gdb, shell, "true");
}

fn the_panic_is_caught_with_its_message(gdb: &mut Gdb, shell: &mut Shell) {
    assert_eq!(gdb.run("monitor catch panic on"), "");
    assert_eq!(gdb.run("monitor catch"), "panic");
    gdb.begin("continue");
    shell.begin("echo c >/proc/sysrq-trigger");
    let said = gdb.end();
    assert!(said.contains(": \"sysrq triggered crash\"\n"), "{said}");
    assert!(said.contains("received signal SIGTRAP"), "{said}");
    let said = gdb.run("bt 4");
    assert!(said.contains(" sysrq_handle_crash "), "{said}");
    gdb.begin("continue");
    shell.minivmm.console.expect("Kernel panic - not syncing: sysrq triggered crash");
    // Behind its last line it would turn round for ever.
    let said = gdb.end();
    assert!(said.contains("received signal SIGABRT"), "{said}");
}

#[test]
fn the_machine_and_the_kernel_are_looked_into_and_caught() {
    let port = Minivmm::free_port().to_string();
    let symbols = vmlinux();
    let more =
        ["--cpus", "2", "--gdb", &port, "--gdb-nowait", "--vmlinux", symbols.to_str().unwrap()];
    // The guest's clock goes on while it is stopped. Signed return addresses end GDB 13's backtraces.
    let cmdline =
        "console=ttyAMA0 quiet panic=0 nowatchdog rcupdate.rcu_cpu_stall_suppress=1 arm64.nopauth";
    let mut shell = Shell::boot_with(cmdline, &kernel(), &more);
    let mut gdb = Gdb::start(Some(&symbols));
    gdb.connect(format!(":{port}"));

    memory_is_found_by_both_addresses(&mut gdb);
    the_kernels_map_is_listed(&mut gdb);
    interrupts_and_timers_are_shown(&mut gdb);
    exits_of_the_console_are_counted(&mut gdb, &mut shell);
    a_warning_is_caught_before_the_kernel_sees_it(&mut gdb, &mut shell);
    a_system_call_is_caught_at_the_vector(&mut gdb, &mut shell);
    the_panic_is_caught_with_its_message(&mut gdb, &mut shell);

    gdb.assert_no_complaint();
    gdb.run("monitor quit");
    assert_eq!(shell.minivmm.finish().status, 0);
}
