//! Debian's kernel from its first instruction on, by its symbols: before the MMU is on, and over its being turned on.

use tests::gdb::Version;
use tests::minivmm::QUICK;
use tests::{Gdb, Minivmm, Rsp, guest, kernel, lacks, skip, vmlinux};

const CMDLINE: &str = "console=ttyAMA0 quiet panic=-1";

/// Where the Image is loaded, and entered.
const IMAGE: u64 = 0x4000_0000;

/// Debian's kernel on two vCPUs, waiting at its first instruction, and minivmm told of its symbols.
fn boot(port: u16) -> Minivmm {
    let vmlinux = vmlinux();
    let vmlinux = vmlinux.to_str().expect("UTF-8");
    let more = ["--cpus", "2", "--gdb", &port.to_string(), "--vmlinux", vmlinux];
    Minivmm::boot_with(CMDLINE, &kernel(), &more)
}

/// Where a symbol lies in physical memory.
fn physical(gdb: &mut Gdb, symbol: &str) -> u64 {
    IMAGE + gdb.value(&format!("(long) {symbol} - (long) _text"))
}

/// A stop at the physical address of a breakpoint that was set by its symbol.
fn expect_physical_stop(gdb: &mut Gdb, symbol: &str) {
    let said = gdb.run("continue");
    assert!(said.contains("received signal SIGTRAP"), "{symbol}: {said}");
    assert_eq!(gdb.value("$pc"), physical(gdb, symbol), "{symbol}: {said}");
}

fn gdb_session(mut gdb: Gdb, port: u16) {
    gdb.connect(format!(":{port}"));
    gdb_reads_code_and_data_before_anything_was_executed(&mut gdb);
    gdb_stops_where_the_mmu_is_off(&mut gdb);
    gdb_steps_over_the_turning_on_of_the_mmu(&mut gdb);
    gdb_comes_to_start_kernel(&mut gdb);

    gdb.run("disconnect");
    gdb.connect(format!(":{port}"));
    assert!(gdb.place().starts_with("start_kernel"));
    gdb_stops_the_other_cpu_at_its_first_instruction(&mut gdb);
    gdb.run("kill");
}

fn gdb_reads_code_and_data_before_anything_was_executed(gdb: &mut Gdb) {
    assert_eq!(gdb.value("$pc"), IMAGE);
    let said = gdb.run("x/i primary_entry");
    assert!(said.contains("<primary_entry>:\tbl\t"), "{said}");
    let said = gdb.run("x/s linux_banner");
    assert!(said.contains("\"Linux version "), "{said}");
    let said = gdb.run("info line __primary_switched");
    assert!(said.contains("head.S\" starts at address "), "{said}");
    gdb.run("set variable panic_timeout = 99");
    assert_eq!(gdb.value("panic_timeout"), 99);
}

fn gdb_stops_where_the_mmu_is_off(gdb: &mut Gdb) {
    gdb.run("set dprintf-style agent");
    gdb.run(r#"dprintf *primary_entry,"tree at %lx\n",$x0"#);
    // Of the same instruction, by the address that is in PC: it hides the other one from nobody.
    let entry = physical(gdb, "primary_entry");
    gdb.run(&format!("break *{entry:#x} if $x0 == 1"));
    gdb.run("break *primary_entry + 4 if $x0 == 1");
    gdb.run("break *primary_entry + 8");
    let said = gdb.run("continue");
    assert!(said.contains("received signal SIGTRAP"), "{said}");
    assert_eq!(said.matches("tree at 4").count(), 1, "{said}");
    let stopped = gdb.value("$pc");
    assert_eq!(stopped, physical(gdb, "primary_entry") + 8);
    assert_ne!(gdb.steps(1), [stopped]);
    gdb.run("delete");
}

fn gdb_steps_over_the_turning_on_of_the_mmu(gdb: &mut Gdb) {
    gdb.run("break *__enable_mmu");
    gdb.run("tbreak *__primary_switched");
    expect_physical_stop(gdb, "__enable_mmu");
    let code = gdb.run("x/40i __enable_mmu");
    let line = code.lines().find(|line| line.contains("msr\tsctlr_el1, "));
    let line = line.unwrap_or_else(|| panic!("no write of SCTLR_EL1 in {code}"));
    let address = line.trim().split(' ').next().unwrap_or_default();
    let turning_on = gdb.value(address) - gdb.value("__enable_mmu") + gdb.value("$pc");

    let steps = gdb.steps(40);
    let at = steps.iter().position(|pc| *pc == turning_on).expect("the write of SCTLR_EL1");
    assert_eq!(steps[at + 1], turning_on + 4);
    let said = gdb.run("x/s linux_banner");
    assert!(said.contains("\"Linux version "), "{said}");
    // Behind it, by the symbol's own address.
    let said = gdb.run("continue");
    assert!(said.contains("Temporary breakpoint "), "{said}");
    assert_eq!(gdb.place(), "__primary_switched");
}

fn gdb_comes_to_start_kernel(gdb: &mut Gdb) {
    gdb.run("delete");
    gdb.run("break *start_kernel");
    let said = gdb.run("continue");
    assert!(said.contains("Breakpoint ") && said.contains("start_kernel ("), "{said}");
    gdb.run("delete");
}

fn gdb_stops_the_other_cpu_at_its_first_instruction(gdb: &mut Gdb) {
    gdb.run("break *secondary_entry");
    expect_physical_stop(gdb, "secondary_entry");
    assert_eq!(gdb.value("$_thread"), 2);
    // By the tables of the first one; what it is has come from the command line.
    assert_eq!(gdb.value("panic_timeout").cast_signed(), -1);
    let steps = gdb.steps(3);
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{steps:x?}");
    gdb.run("delete");
}

#[test]
fn gdb_13_debugs_head_s_by_its_symbols() {
    let port = Minivmm::free_port();
    let minivmm = boot(port);
    let gdb = Gdb::start(Some(&vmlinux()));

    gdb_session(gdb, port);

    assert_eq!(minivmm.finish().status, 0);
}

/// The symbols come with the connection, and the kernel itself is the file that has them.
#[test]
fn gdb_16_debugs_head_s_of_an_elf_kernel_without_being_told_of_its_symbols() {
    if lacks(Version::V16.program()) {
        return skip(&format!("there is no {}", Version::V16.program()));
    }
    let port = Minivmm::free_port();
    let kernel = vmlinux();
    let kernel = kernel.to_str().expect("UTF-8");
    let initrd = guest("initramfs.cpio");
    let initrd = initrd.to_str().expect("UTF-8");
    let port_text = port.to_string();
    let minivmm = Minivmm::start([
        "--kernel",
        kernel,
        "--initrd",
        initrd,
        "--cmdline",
        CMDLINE,
        "--cpus",
        "2",
        "--gdb",
        &port_text,
    ]);
    let gdb = Gdb::start_version(Version::V16, None);

    gdb_session(gdb, port);

    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn linux_boots_from_its_vmlinux() {
    let kernel = vmlinux();
    let initrd = guest("initramfs.cpio");
    let cmdline = format!("{QUICK} console=ttyAMA0 panic=-1 -- poweroff -f");
    let [kernel, initrd] = [&kernel, &initrd].map(|path| path.to_str().expect("UTF-8"));

    let vm = Minivmm::start(["--kernel", kernel, "--initrd", initrd, "--cmdline", &cmdline]);

    let vm = vm.finish();
    assert_eq!(vm.status, 0, "{vm:?}");
    assert!(vm.console.contains("Linux version "), "{vm:?}");
}

#[test]
fn a_reset_sets_breakpoints_in_linux_that_no_tables_lead_to_yet_again() {
    let port = Minivmm::free_port();
    let minivmm = boot(port);
    minivmm.stderr.expect("guest waits at its first instruction");
    let mut rsp = Rsp::connect(port);
    let said = rsp.told("kernel");
    let text = said.lines().find_map(|line| line.strip_prefix("text 0x")).expect("an address");
    let text = u64::from_str_radix(text, 16).expect("digits");
    // More than there are debug registers, and the jump behind the first instruction.
    for place in [4].into_iter().chain((0x10000..).step_by(4).take(8)) {
        rsp.order(&format!("Z0,{:x},4", text + place));
    }

    let said = rsp.told("reset");

    assert!(!said.contains("not set any more"), "{said}");
    assert_eq!(rsp.resume("vCont;c").pc(), IMAGE + 4);
}

#[test]
fn symbols_of_another_build_of_linux_are_for_the_debugger_alone() {
    let port = Minivmm::free_port();
    let vmlinux = vmlinux();
    let vmlinux = vmlinux.to_str().expect("UTF-8");
    let other = if kernel() == "6.1" { "6.12" } else { "6.1" };
    let more = ["--gdb", &port.to_string(), "--vmlinux", vmlinux];

    let minivmm = Minivmm::boot_with(CMDLINE, other, &more);
    minivmm.stderr.expect("is of another build than the kernel");
    minivmm.stderr.expect("guest waits at its first instruction");

    let mut rsp = Rsp::connect(port);
    let said = rsp.ask("mffff800080000000,4");
    assert!(said.starts_with('E'), "{said}");
}
