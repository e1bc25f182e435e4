//! LLDB with `scripts/lldb/minivmm.py`: from head.S with the MMU off to where KASLR has put the kernel, by the same symbols.

use tests::{Lldb, Minivmm, kernel, lacks, lldb, skip, vmlinux};

/// Where the kernel lies in physical memory.
const IMAGE: &str = "0x40000000";

/// Addresses at run time, those at the link and physical ones all differ with KASLR.
const CMDLINE: &str = "console=ttyAMA0 quiet panic=-1 kaslr";

fn boot(port: u16) -> Minivmm {
    let vmlinux = vmlinux();
    let vmlinux = vmlinux.to_str().expect("UTF-8");
    let port = port.to_string();
    let more = ["--cpus", "2", "--gdb", &port, "--vmlinux", vmlinux, "--kaslr-seed", "7"];
    let minivmm = Minivmm::boot_with(CMDLINE, &kernel(), &more);
    minivmm.stderr.expect("guest waits at its first instruction");
    minivmm
}

fn import(lldb: &mut Lldb) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/lldb/minivmm.py");
    lldb.run(&format!("command script import {script}"));
}

fn early_boot_has_symbols(lldb: &mut Lldb) {
    lldb.run("minivmm symbols");
    let said = lldb.run("bt");
    assert!(said.contains(&format!("frame #0: 0x00000000{}", &IMAGE[2..])), "{said}");
    assert!(said.contains("head.S:"), "{said}");

    early_stop(lldb, "__enable_mmu");
    // With the MMU on, by the identity map. 6.1 has no C here.
    if kernel() != "6.1" {
        early_stop(lldb, "early_map_kernel");
        let said = lldb.run("frame variable");
        assert!(said.contains("boot_status = ") && said.contains("fdt = "), "{said}");
    }
}

/// A breakpoint by its name, at a physical address.
fn early_stop(lldb: &mut Lldb, function: &str) {
    lldb.run(&format!("breakpoint set --name {function}"));
    let said = lldb.run("continue");
    assert!(said.contains("stop reason = breakpoint "), "{said}");
    let said = lldb.run("bt");
    assert!(said.contains("frame #0: 0x000000004"), "{said}");
    assert!(said.contains(&format!("`{function}")), "{said}");
    assert!(said.contains("frame #1: 0x000000004") && said.contains("`__primary_switch"), "{said}");
    let said = lldb.run("disassemble --pc --count 3");
    assert!(said.contains(&format!("`{function}:\n->  0x4")), "{said}");
}

fn symbols_follow_the_kernel(lldb: &mut Lldb) {
    // None of the user's.
    lldb.run("breakpoint delete --force");
    lldb.run("breakpoint set --name start_kernel");
    let said = lldb.run("continue");
    assert!(said.contains("stop reason = breakpoint "), "{said}");
    let said = lldb.run("bt");
    assert!(said.contains("frame #0: 0xffff") && said.contains("`start_kernel"), "{said}");
    assert!(said.contains("frame #1: 0xffff") && said.contains("`__primary_switched"), "{said}");
}

fn the_machine_answers(lldb: &mut Lldb) {
    let said = lldb.run("minivmm kernel");
    let slide = said.lines().find_map(|line| line.strip_prefix("slide 0x")).expect("a slide");
    assert_ne!(u64::from_str_radix(slide, 16).expect("digits"), 0);
    let task = lldb.value("&init_task");
    let said = lldb.run("minivmm translate &init_task");
    assert!(said.starts_with(&format!("{task:#x} by TTBR1_EL1 ")), "{said}");
    assert!(said.contains(", RAM\n"), "{said}");
    let said = lldb.run(&format!("minivmm xp /1xw {IMAGE} + 56"));
    // The Image's magic, "ARM\x64" (Documentation/arch/arm64/booting.rst).
    assert!(said.ends_with("0x644d5241"), "{said}");
}

#[test]
fn lldb_19_has_the_symbols_where_the_kernel_runs() {
    if lacks(lldb::PROGRAM) {
        return skip(&format!("there is no {}", lldb::PROGRAM));
    }
    let port = Minivmm::free_port();
    let minivmm = boot(port);
    let mut lldb = Lldb::start(&vmlinux());
    import(&mut lldb);
    lldb.connect(port);

    early_boot_has_symbols(&mut lldb);
    symbols_follow_the_kernel(&mut lldb);
    the_machine_answers(&mut lldb);
    lldb.run("minivmm reset");
    let said = lldb.run("bt");
    assert!(said.contains("frame #0: 0x0000000040000000 ") && said.contains("head.S:"), "{said}");

    lldb.run("process kill");
    lldb.assert_no_complaint();
    assert_eq!(minivmm.finish().status, 0);
}
