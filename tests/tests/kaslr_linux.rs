//! Debian's kernel where it moves itself: its symbols are right before it has, and after.

use std::fs::{self, File};
use std::io::Read;

use tests::gdb::Version;
use tests::{Gdb, Lldb, Minivmm, Rsp, guest, kernel, lacks, lldb, scratch, skip, vmlinux};

const CMDLINE: &str = "console=ttyAMA0 quiet panic=-1 kaslr";

/// Where the Image is loaded, and entered.
const IMAGE: u64 = 0x4000_0000;

/// Debian's kernel on two vCPUs, waiting at its first instruction, and minivmm told of its symbols.
fn boot(port: u16, more: &[&str]) -> Minivmm {
    let vmlinux = vmlinux();
    let vmlinux = vmlinux.to_str().expect("UTF-8");
    let port = port.to_string();
    let fixed = ["--cpus", "2", "--gdb", &port, "--vmlinux", vmlinux];
    let minivmm = Minivmm::boot_with(CMDLINE, &kernel(), &[&fixed, more].concat());
    minivmm.stderr.expect("guest waits at its first instruction");
    minivmm
}

/// Where `_text` was linked to: the address of the first thing to load (System V ABI, program header).
fn linked_text() -> u64 {
    let mut head = [0; 64 + 56];
    File::open(vmlinux()).and_then(|mut file| file.read_exact(&mut head)).expect("a vmlinux");
    let field = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
    assert_eq!(field(32), 64, "e_phoff");
    assert_eq!(field(64) as u32, 1, "PT_LOAD");
    field(64 + 16)
}

fn gdb_session(mut gdb: Gdb, port: u16) {
    gdb.connect_extended(format!(":{port}"));
    let text = gdb.value("_text");
    assert_ne!(text, linked_text());
    let said = gdb.run("x/s linux_banner");
    assert!(said.contains("\"Linux version "), "{said}");
    gdb_is_told_where_the_kernel_will_be(&mut gdb, text);
    gdb.run("break *primary_entry");
    gdb.run("break *start_kernel");
    let said = gdb.run("continue");
    gdb_comes_to_primary_entry(&mut gdb, &said);
    gdb_comes_to_start_kernel(&mut gdb, text);

    // A guest that is made anew moves to the same place.
    let said = gdb.run("run");
    gdb_comes_to_primary_entry(&mut gdb, &said);
    gdb_steps_over_the_turning_on_of_the_mmu(&mut gdb, text);
    gdb_comes_to_start_kernel(&mut gdb, text);

    // Who comes later is told what is seen in the guest.
    gdb.run("disconnect");
    gdb.run("symbol-file");
    gdb.run(&format!("symbol-file {}", vmlinux().display()));
    assert_ne!(gdb.value("_text"), text);
    gdb.connect(format!(":{port}"));
    assert_eq!(gdb.value("_text"), text);
    assert!(gdb.place().starts_with("start_kernel"));
    gdb.run("kill");
}

fn gdb_is_told_where_the_kernel_will_be(gdb: &mut Gdb, text: u64) {
    let said = gdb.run("monitor kernel");
    let lines: Vec<&str> = said.lines().collect();
    let [image, symbols, link, there, slide] = lines[..] else { panic!("{said}") };
    assert!(image.starts_with("image 0x40000000..0x"), "{said}");
    assert_eq!(symbols, format!("symbols {}", vmlinux().display()));
    assert_eq!(link, format!("link {:#x}", linked_text()));
    assert_eq!(there, format!("text {text:#x}"));
    assert_eq!(slide, format!("slide {:#x}", text - linked_text()));
}

/// GDB has said something of it.
fn gdb_comes_to_primary_entry(gdb: &mut Gdb, said: &str) {
    assert!(said.contains("received signal SIGTRAP"), "{said}");
    let entry = gdb.value("(long) primary_entry - (long) _text");
    assert_eq!(gdb.value("$pc"), IMAGE + entry);
}

/// By single steps, up to a breakpoint where the kernel has moved to.
fn gdb_steps_over_the_turning_on_of_the_mmu(gdb: &mut Gdb, text: u64) {
    let code = gdb.run("x/40i __enable_mmu");
    let line = code.lines().find(|line| line.contains("msr\tsctlr_el1, "));
    let line = line.unwrap_or_else(|| panic!("no write of SCTLR_EL1 in {code}"));
    let turning_on = gdb.value(line.trim().split(' ').next().unwrap_or_default()) - text + IMAGE;
    gdb.run("break *__enable_mmu");
    gdb.run("tbreak *__primary_switched");
    let said = gdb.run("continue");
    assert!(said.contains("received signal SIGTRAP"), "{said}");
    assert_eq!(gdb.value("$pc"), gdb.value("&__enable_mmu") - text + IMAGE);

    let steps = gdb.steps_while(&format!("$pc != {:#x}", turning_on + 4));
    assert!(steps.ends_with(&[turning_on, turning_on + 4]), "{steps:x?}");
    gdb.run("clear *__enable_mmu");
    let said = gdb.run("continue");
    assert!(said.contains("Temporary breakpoint "), "{said}");
    assert_eq!(gdb.place(), "__primary_switched");
    assert_eq!(gdb.value("$pc"), gdb.value("&__primary_switched"));
}

fn gdb_comes_to_start_kernel(gdb: &mut Gdb, text: u64) {
    let said = gdb.run("continue");
    assert!(said.contains("Breakpoint 2, ") && said.contains("start_kernel ("), "{said}");
    assert_eq!(gdb.value("kimage_voffset"), text - IMAGE);
    let said = gdb.run("bt");
    assert!(said.contains("__primary_switched ("), "{said}");
    // By the address that it was linked to, where nothing else is yet.
    let banner = gdb.value("&linux_banner") - text + linked_text();
    let said = gdb.run(&format!("x/s {banner:#x}"));
    assert!(said.contains("\"Linux version "), "{said}");
}

#[test]
fn gdb_13_knows_where_the_kernel_will_be() {
    let port = Minivmm::free_port();
    let minivmm = boot(port, &[]);
    gdb_session(Gdb::start(Some(&vmlinux())), port);
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn gdb_16_knows_where_the_kernel_will_be_without_being_told_of_its_symbols() {
    if lacks(Version::V16.program()) {
        return skip(&format!("there is no {}", Version::V16.program()));
    }
    let port = Minivmm::free_port();
    let minivmm = boot(port, &[]);
    gdb_session(Gdb::start_version(Version::V16, None), port);
    assert_eq!(minivmm.finish().status, 0);
}

/// Where a symbol is, for those too that debug information says nothing of.
fn lldb_address(lldb: &mut Lldb, symbol: &str) -> u64 {
    let target = "lldb.debugger.GetSelectedTarget()";
    let said = lldb.run(&format!(
        "script t = {target}; print(hex(t.FindSymbols('{symbol}')[0].symbol.addr.GetLoadAddress(t)))"
    ));
    let digits = said.strip_prefix("0x").unwrap_or_else(|| panic!("{symbol}: {said}"));
    u64::from_str_radix(digits, 16).expect("digits")
}

fn lldb_steps_over_the_turning_on_of_the_mmu(lldb: &mut Lldb, text: u64) {
    let routine = lldb_address(lldb, "__enable_mmu");
    let said = lldb.run(&format!("memory read --size 4 --format x --count 40 {routine:#x}"));
    let words = said.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, words)| {
        let word = |word: &str| u32::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        words.split(' ').filter_map(word).collect::<Vec<_>>()
    });
    // MSR SCTLR_EL1, Xt (Arm ARM, SCTLR_EL1).
    let position = words.into_iter().position(|word| word & !0x1f == 0xd518_1000);
    let position = position.unwrap_or_else(|| panic!("no write of SCTLR_EL1 in {said}"));
    let turning_on = routine + 4 * position as u64;
    lldb.run(&format!("breakpoint set --address {turning_on:#x}"));
    let said = lldb.run("continue");
    assert!(said.contains("stop reason = signal SIGTRAP"), "{said}");
    let turning_on = turning_on - text + IMAGE;
    assert_eq!(lldb.run("register read pc"), format!("pc = {turning_on:#018x}"));

    let said = lldb.run("thread step-inst");
    assert!(said.contains("stop reason = instruction step"), "{said}");
    assert_eq!(lldb.run("register read pc"), format!("pc = {:#018x}", turning_on + 4));
    let said = lldb.run("thread step-inst");
    assert!(said.contains("stop reason = instruction step"), "{said}");
    assert_eq!(lldb.run("register read pc"), format!("pc = {:#018x}", turning_on + 8));
}

#[test]
fn lldb_knows_where_the_kernel_will_be() {
    if lacks(lldb::PROGRAM) {
        return skip(&format!("there is no {}", lldb::PROGRAM));
    }
    let port = Minivmm::free_port();
    let minivmm = boot(port, &[]);
    let mut lldb = Lldb::start(&vmlinux());
    lldb.connect(port);

    let text = lldb_address(&mut lldb, "_text");
    let banner = lldb_address(&mut lldb, "linux_banner");
    let said = lldb.run(&format!("x/s {banner:#x}"));
    assert!(said.contains("\"Linux version "), "{said}");
    let entry = lldb_address(&mut lldb, "primary_entry");
    lldb.run(&format!("breakpoint set --address {entry:#x}"));
    let start_kernel = lldb_address(&mut lldb, "start_kernel");
    lldb.run(&format!("breakpoint set --address {start_kernel:#x}"));
    let said = lldb.run("continue");
    assert!(said.contains("stop reason = signal SIGTRAP"), "{said}");
    let said = lldb.run("register read pc");
    assert_eq!(said, format!("pc = {:#018x}", entry - text + IMAGE));
    let said = lldb.run("thread step-inst");
    assert!(said.contains("stop reason = instruction step"), "{said}");
    lldb_steps_over_the_turning_on_of_the_mmu(&mut lldb, text);
    let said = lldb.run("continue");
    assert!(said.contains("stop reason = breakpoint 2."), "{said}");
    assert!(said.contains("`start_kernel"), "{said}");
    let voffset = lldb_address(&mut lldb, "kimage_voffset");
    let said = lldb.run(&format!("memory read --format x --size 8 --count 1 {voffset:#x}"));
    assert!(said.ends_with(&format!(": {:#018x}", text - IMAGE)), "{said}");
    lldb.run("process kill");
    assert_eq!(minivmm.finish().status, 0);
}

/// What GDB is told about where the kernel is: the address of its first byte. On a busy machine it may take longer than a
/// client is kept waiting.
fn offsets(rsp: &mut Rsp) -> u64 {
    const MOST: usize = 10;
    let said = (0..MOST).map(|_| rsp.ask("qOffsets")).find(|said| !said.is_empty());
    let said = said.unwrap_or_default();
    let digits = said.strip_prefix("TextSeg=").unwrap_or_else(|| panic!("qOffsets: {said}"));
    u64::from_str_radix(digits, 16).expect("digits")
}

#[test]
fn the_seed_decides_where_linux_moves_to() {
    let [first, second, third] = [(); 3].map(|()| Minivmm::free_port());
    let seed = ["--kaslr-seed", "0x123456789abcdef"];
    let _first = boot(first, &seed);
    let expected = offsets(&mut Rsp::connect(first));

    let second_vm = boot(second, &seed);
    let mut rsp = Rsp::connect(second);
    assert_eq!(offsets(&mut rsp), expected);
    rsp.order("D;1");
    second_vm.console.expect("/root # ");
    drop(rsp);
    // From what it has written to its memory now.
    let mut rsp = Rsp::connect(second);
    assert_eq!(offsets(&mut rsp), expected);
    rsp.order("QThreadSuffixSupported");
    let slide = expected - linked_text();
    assert_eq!(rsp.ask("qOffsets"), format!("Text={slide:x};Data={slide:x};Bss={slide:x}"));

    let _third = boot(third, &["--kaslr-seed", "1"]);
    assert_ne!(offsets(&mut Rsp::connect(third)), expected);
}

#[test]
fn a_debugger_of_a_linux_that_hangs_before_it_moves_is_answered_before_it_gives_up() {
    // Behind the signature of its first instruction, the jump into the kernel: to itself.
    let mut image = fs::read(guest(&format!("Image-{}", kernel()))).expect("an Image");
    image[4..8].copy_from_slice(&0x1400_0000_u32.to_le_bytes());
    let hanging = scratch().join("Image");
    fs::write(&hanging, image).expect("room");
    let (port, vmlinux) = (Minivmm::free_port(), vmlinux());
    let paths = [&hanging, &vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let [hanging, vmlinux] = paths;
    let more = ["--cmdline", CMDLINE, "--vmlinux", vmlinux, "--gdb", &port.to_string()];
    let minivmm = Minivmm::start([&["--kernel", hanging], more.as_slice()].concat());
    minivmm.stderr.expect("guest waits at its first instruction");
    let mut gdb = Gdb::start(None);

    // As it has it by itself: three times two seconds.
    gdb.run("set remotetimeout 2");
    gdb.connect(format!(":{port}"));
    assert_eq!(gdb.value("$pc"), IMAGE);
    gdb.run("stepi");
    gdb.run("stepi");
    assert_eq!(gdb.value("$pc"), IMAGE + 4);

    // The second guest is given up after ten seconds.
    gdb.run("set remotetimeout 60");
    for _ in 0..3 {
        assert!(gdb.run("monitor kernel").ends_with("slide unknown"));
    }
    minivmm.stderr.expect("it is not known where the kernel will be before it is there: ");
    gdb.run("kill");
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_seed_that_linux_runs_by_can_be_had_again() {
    let port = Minivmm::free_port();
    let vmlinux = vmlinux();
    let more = ["--gdb", &port.to_string(), "--vmlinux", vmlinux.to_str().expect("UTF-8")];
    let minivmm = Minivmm::boot_with(CMDLINE, &kernel(), &more);
    let said = minivmm.stderr.expect("guest waits at its first instruction");
    let seed = said.split("--kaslr-seed ").nth(1).and_then(|rest| rest.split(' ').next());
    let seed = seed.unwrap_or_else(|| panic!("no seed in {said}"));
    let expected = offsets(&mut Rsp::connect(port));

    let again = Minivmm::free_port();
    let _again = boot(again, &["--kaslr-seed", seed]);

    assert_eq!(offsets(&mut Rsp::connect(again)), expected);
}

#[test]
fn gdb_alone_has_the_symbols_of_a_linux_that_has_moved_itself() {
    let port = Minivmm::free_port();
    let more = ["--gdb", &port.to_string(), "--gdb-nowait"];
    let minivmm = Minivmm::boot_with(CMDLINE, &kernel(), &more);
    let mut gdb = Gdb::start(Some(&vmlinux()));
    minivmm.console.expect("/root # ");

    gdb.connect(format!(":{port}"));

    assert_eq!(gdb.value("kimage_voffset"), gdb.value("_text") - IMAGE);
    let said = gdb.run("x/s linux_banner");
    assert!(said.contains("\"Linux version "), "{said}");
    gdb.assert_no_complaint();
    // What the kernel has unmapped since is a hole, although it was there before.
    let said = gdb.run("x/i start_kernel");
    assert!(said.contains("Cannot access memory at address 0xffff"), "{said}");
    gdb.run("kill");
    assert_eq!(minivmm.finish().status, 0);
}
