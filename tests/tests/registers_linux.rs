//! Debian's kernel with return addresses signed, where the CPU has that: system registers by name, backtraces to where a vCPU
//! entered the kernel, and a process's memory.

use tests::gdb::Version;
use tests::{Gdb, Lldb, Minivmm, kernel, lacks, lldb, skip, vmlinux};

/// The shell of the guest's initramfs.
const PROMPT: &str = "/root # ";

/// The guest's clock goes on while it is stopped, and where a client is slow that is long enough for RCU.
const CMDLINE: &str = "console=ttyAMA0 quiet panic=-1 nowatchdog rcupdate.rcu_cpu_stall_suppress=1";

/// Where the Image is loaded.
const IMAGE: u64 = 0x4000_0000;

/// Debian's kernel, waiting at its first instruction.
fn boot(port: u16) -> Minivmm {
    Minivmm::boot_with(CMDLINE, &kernel(), &["--gdb", &port.to_string()])
}

fn gdb_at_start_kernel(version: Version) -> (Minivmm, Gdb) {
    let port = Minivmm::free_port();
    let minivmm = boot(port);
    let mut gdb = Gdb::start_version(version, Some(&vmlinux()));
    gdb.connect(format!(":{port}"));
    gdb.run("hbreak start_kernel");
    let said = gdb.run("continue");
    assert!(said.contains("Breakpoint 1") && said.contains("start_kernel ("), "{said}");
    gdb.run("delete");
    (minivmm, gdb)
}

fn gdb_reads_system_registers(gdb: &mut Gdb) {
    let said = gdb.run("info registers system");
    let line = |name: &str| {
        let found = said.lines().find(|line| line.split(' ').next() == Some(name));
        found.unwrap_or_else(|| panic!("no {name} in {said}"))
    };
    assert!(said.lines().count() > 100, "{said}");
    assert!(!said.contains("unavailable"), "{said}");
    assert!(line("SP_EL0").ends_with(" <init_task>"), "{said}");
    assert!(line("VBAR_EL1").ends_with(" <vectors>"), "{said}");
    assert!(line("SCTLR_EL1").contains(" [ M ") && line("SCTLR_EL1").contains(" C "), "{said}");
    assert!(line("ESR_EL1").contains(" EC="), "{said}");
    assert!(line("TCR_EL1").contains(" TG1=") && line("TCR_EL1").contains(" IPS="), "{said}");

    // What the kernel's scripts read.
    assert_eq!(gdb.value("$SP_EL0"), gdb.value("&init_task"));
    let said = gdb.run("info registers $TCR_EL1");
    let tcr = said.split_whitespace().nth(1).and_then(|word| word.strip_prefix("0x"));
    let tcr = tcr.and_then(|digits| u64::from_str_radix(digits, 16).ok()).expect("a number");
    assert_eq!(gdb.value("$TCR_EL1"), tcr);
    assert!((12..=25).contains(&(tcr >> 16 & 0x3f)), "{said}");
    let said = gdb.run("p $SCTLR_EL1");
    assert!(
        said.contains(" = [ M ")
            && said.contains(" WXN ") == (gdb.value("$SCTLR_EL1") >> 19 & 1 != 0),
        "{said}"
    );
    let said = gdb.run("p $cpsr");
    assert!(said.contains(" EL=1 "), "{said}");
    let said = gdb.run("monitor info registers");
    assert!(said.contains("\nESR_EL1 ") && said.contains(" EC="), "{said}");
    assert!(!said.contains("\nDBGBVR0_EL1 "), "{said}");

    let before = gdb.value("$tpidr");
    gdb.run("set $tpidr = 0x1230");
    assert_eq!(gdb.value("$TPIDR_EL0"), 0x1230);
    gdb.run(&format!("set $TPIDR_EL0 = {before:#x}"));
    assert_eq!(gdb.value("$tpidr"), before);
}

fn gdb_writes_no_id_register(gdb: &mut Gdb) {
    let before = gdb.value("$ID_AA64PFR0_EL1");
    let said = gdb.run("set $ID_AA64PFR0_EL1 = 0");
    assert!(said.contains("Could not write register \"ID_AA64PFR0_EL1\""), "{said}");
    assert_eq!(gdb.value("$ID_AA64PFR0_EL1"), before);
}

/// What the words are that GDB examines at this address.
fn examined(gdb: &mut Gdb, address: u64) -> String {
    let said = gdb.run(&format!("x/2xg {address:#x}"));
    said.split_once(":\t").unwrap_or_else(|| panic!("{said}")).1.to_owned()
}

fn gdb_examines_physical_memory(gdb: &mut Gdb) {
    let banner = gdb.value("&linux_banner");
    let physical = banner - gdb.value("&_text") + IMAGE;
    let expected = examined(gdb, banner);
    // "Linux ver", little-endian.
    assert!(expected.starts_with("0x65762078756e694c\t0x"), "{expected}");

    let said = gdb.run("maintenance packet Qqemu.PhyMemMode:1");
    assert!(said.ends_with("received: \"OK\""), "{said}");
    let said = gdb.run("maintenance packet qqemu.PhyMemMode");
    assert!(said.ends_with("received: \"1\""), "{said}");
    assert_eq!(examined(gdb, physical), expected);
    let said = gdb.run(&format!("x/2xg {banner:#x}"));
    assert!(said.contains("Cannot access memory at address 0x"), "{said}");

    let said = gdb.run("maintenance packet Qqemu.PhyMemMode:0");
    assert!(said.ends_with("received: \"OK\""), "{said}");
    let said = gdb.run("maintenance packet qqemu.PhyMemMode");
    assert!(said.ends_with("received: \"0\""), "{said}");
    assert_eq!(examined(gdb, banner), expected);
}

/// GDB 13 does not know how the kernel signs return addresses; its backtraces end early.
#[test]
fn gdb_13_reads_system_registers_of_linux() {
    let (_minivmm, mut gdb) = gdb_at_start_kernel(Version::V13);

    gdb_reads_system_registers(&mut gdb);

    gdb.assert_no_complaint();
    gdb_writes_no_id_register(&mut gdb);
    gdb_examines_physical_memory(&mut gdb);
}

#[test]
fn gdb_16_sees_through_signed_addresses_of_linux_and_reads_a_process() {
    if lacks(Version::V16.program()) {
        return skip(&format!("there is no {}", Version::V16.program()));
    }
    let (mut minivmm, mut gdb) = gdb_at_start_kernel(Version::V16);
    gdb_reads_system_registers(&mut gdb);

    // In a kernel thread.
    gdb.run("thbreak process_one_work");
    gdb.run("continue");
    let said = gdb.run("bt");
    assert!(said.starts_with("#0  ") && said.contains("process_one_work ("), "{said}");
    assert!(said.contains(" in kthread (") && said.contains(" in ret_from_fork ("), "{said}");
    let said = gdb.run("finish");
    assert!(said.contains("Run till exit from #0 "), "{said}");
    // The caller, which is inlined into worker_thread, in one of two places, and into rescuer_thread.
    let place = gdb.place();
    let callers = ["worker_thread ", "process_scheduled_works ", "rescuer_thread "];
    assert!(callers.iter().any(|caller| place.starts_with(caller)), "{place}: {said}");

    gdb.begin("continue");
    minivmm.console.expect(PROMPT);
    gdb.interrupt();
    gdb.end();
    gdb_reads_and_writes_a_process(&mut gdb, &mut minivmm);
    gdb.assert_no_complaint();
    gdb_writes_no_id_register(&mut gdb);
    gdb_examines_physical_memory(&mut gdb);
}

/// Stops in a system call of `cat`, changes the name of the file it opens, and stops again where it goes on in EL0.
fn gdb_reads_and_writes_a_process(gdb: &mut Gdb, minivmm: &mut Minivmm) {
    gdb.run("break *do_sys_openat2");
    gdb.begin("continue");
    minivmm.send("cat /proc/version\n");
    gdb.end();
    gdb.run("while $_streq((char *) $x1, \"/proc/version\") == 0\ncontinue\nend");
    gdb.run("delete");
    let said = gdb.run("bt");
    assert!(said.contains(" in el0_svc (") && said.contains(" in el0t_64_sync ("), "{said}");
    let name = gdb.value("$x1");
    assert_eq!(name >> 55 & 1, 0, "an address of the process");
    gdb.run(&format!("set *(char (*)[7]) ({name:#x} + 6) = \"uptime\""));
    let said = gdb.run("finish");
    assert!(said.contains("Run till exit from #0 "), "{said}");
    assert!(gdb.place().contains("sys_openat"), "{said}");

    // Where the process entered the kernel: at the top of its stack of 16 KiB.
    let frame = "((struct pt_regs *) (((struct task_struct *) $SP_EL0)->stack + 0x4000)) - 1";
    let back = gdb.value(&format!("({frame})->pc"));
    gdb.run(&format!("thbreak *{back:#x}"));
    gdb.run("continue");
    assert_eq!(gdb.value("$pc"), back);
    assert_eq!(gdb.value("$cpsr & 0xf"), 0, "EL0");
    assert!(gdb.run(&format!("x/s {name:#x}")).ends_with("\"/proc/uptime\""));
    gdb.run(&format!("set *(char *) {name:#x} = 0x23"));
    assert!(gdb.run(&format!("x/s {name:#x}")).ends_with("\"#proc/uptime\""));
    gdb.run(&format!("set *(char *) {name:#x} = 0x2f"));
    gdb.begin("continue");
    let said = minivmm.console.expect(PROMPT);
    assert!(!said.contains("Linux version"), "{said}");
    gdb.interrupt();
    gdb.end();
}

#[test]
fn lldb_19_sees_through_signed_addresses_of_linux() {
    if lacks(lldb::PROGRAM) {
        return skip(&format!("there is no {}", lldb::PROGRAM));
    }
    let port = Minivmm::free_port();
    let minivmm = boot(port);
    let mut lldb = Lldb::start(&vmlinux());
    lldb.connect(port);
    lldb.run("breakpoint set --hardware --one-shot true --name do_sys_openat2");
    lldb.run("continue");

    let said = lldb.run("bt");
    assert!(said.contains("`el0_svc(") && said.contains("`el0t_64_sync "), "{said}");
    // Half of the address space beyond 48 bits is the kernel's, too.
    let said = lldb.run("memory read --size 8 --format x --count 1 $SP_EL0");
    assert!(said.contains(": 0x"), "{said}");
    let said = lldb.run("finish");
    assert!(said.contains("stop reason = step out") && said.contains("sys_openat"), "{said}");

    lldb.run("breakpoint set --hardware --one-shot true --name process_one_work");
    lldb.run("continue");
    let said = lldb.run("bt");
    assert!(said.contains("`kthread(") && said.contains("`ret_from_fork "), "{said}");
    let said = lldb.run("finish");
    assert!(said.contains("stop reason = step out") && said.contains("`worker_thread"), "{said}");

    let said = lldb.run("register read VBAR_EL1 SP_EL0 TCR_EL1 ESR_EL1 SCTLR_EL1");
    assert!(said.contains("vectors") && said.contains("EC = ") && said.contains("M = 1"), "{said}");
    lldb.run("process kill");
    lldb.assert_no_complaint();
    assert_eq!(minivmm.finish().status, 0);
}
