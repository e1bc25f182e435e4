//! WARN and BUG, which are BRKs in the kernel, work the same under a debugger that has breakpoints set.

use std::ops::Range;

use tests::{Minivmm, Rsp, Shell};

/// An entry of the kernel's table of WARNs and BUGs (include/asm-generic/bug.h, struct bug_entry
/// with relative pointers).
struct Bug {
    /// Of its BRK.
    addr: u64,
    /// "kernel/fork.c:1234".
    place: String,
    flags: u16,
}

/// Size of a `struct bug_entry`.
const BUG_LEN: u64 = 12;

/// The first entry that has its flags as wanted and its BRK in `text`.
fn find_bug(rsp: &mut Rsp, table: u64, text: &Range<u64>, is_wanted: fn(u16) -> bool) -> Bug {
    (table..)
        .step_by(BUG_LEN as usize)
        .map(|entry| bug(rsp, entry))
        .find(|bug| is_wanted(bug.flags) && text.contains(&bug.addr))
        .expect("an endless table")
}

fn bug(rsp: &mut Rsp, entry: u64) -> Bug {
    let bytes = rsp.read(entry, BUG_LEN as usize);
    let relative = |at: usize| {
        let distance = i32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        (entry + at as u64).wrapping_add_signed(distance.into())
    };
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let (addr, file) = (relative(0), relative(4));
    let name = rsp.read(file, 80);
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let place = format!("{}:{}", String::from_utf8_lossy(name), half(8));
    Bug { addr, place, flags: half(10) }
}

/// GDB's number of PC.
const PC: u32 = 32;

/// x0 to x30, SP and CPSR.
fn registers(rsp: &mut Rsp) -> Vec<u64> {
    (0..=33).filter(|number| *number != PC).map(|number| rsp.register(number)).collect()
}

/// Runs `cat` in the guest up to where it opens its file, with one of the kernel's BRKs as its next
/// instruction.
fn cat_meets(shell: &mut Shell, rsp: &mut Rsp, open: u64, bug: &Bug) {
    rsp.interrupt();
    rsp.order(&format!("Z0,{open:x},4"));
    shell.begin("cat /proc/version");
    let stop = rsp.resume("vCont;c");
    assert_eq!(stop.pc(), open);
    rsp.order(&format!("z0,{open:x},4"));
    rsp.select(stop.thread());
    rsp.set_register(PC, bug.addr);
}

#[test]
fn warn_and_bug_reach_the_kernel_and_leave_its_registers_alone() {
    const WARNING: u16 = 1;
    let port = Minivmm::free_port();
    let more = ["--cpus", "2", "--gdb", &port.to_string(), "--gdb-nowait"];
    let mut shell = Shell::boot("6.12", &more);
    let [table, from, to, open, panic] =
        ["__start___bug_table", "_stext", "_etext", "do_sys_openat2", "panic"]
            .map(|name| shell.kernel_symbol(name));
    shell.run("echo 8 >/proc/sys/kernel/printk; echo 0 >/proc/sys/kernel/panic_on_oops");
    let mut rsp = Rsp::connect(port);
    rsp.order(&format!("Z0,{panic:x},4"));
    // Not one that warns once, nor has warned.
    let warn = find_bug(&mut rsp, table, &(from..to), |flags| flags & 0xf == WARNING);
    let bug = find_bug(&mut rsp, table, &(from..to), |flags| flags & WARNING == 0);
    rsp.send("vCont;c");

    cat_meets(&mut shell, &mut rsp, open, &warn);
    let before = registers(&mut rsp);
    let behind = warn.addr + 4;
    rsp.order(&format!("Z1,{behind:x},4"));
    let stop = rsp.resume("vCont;c");
    assert_eq!((stop.pc(), stop.field("hwbreak")), (behind, Some("")));
    rsp.select(stop.thread());
    assert_eq!(registers(&mut rsp), before);
    rsp.order(&format!("z1,{behind:x},4"));
    rsp.set_register(PC, open);
    rsp.send("vCont;c");
    let console = &shell.minivmm.console;
    console.expect("WARNING: CPU: ");
    console.expect(&format!(" at {} ", warn.place));
    console.expect("---[ end trace ");
    console.expect("Linux version 6.12");

    cat_meets(&mut shell, &mut rsp, open, &bug);
    rsp.send("vCont;c");
    let console = &shell.minivmm.console;
    console.expect(&format!("kernel BUG at {}!", bug.place));
    console.expect("Internal error: Oops - BUG: 00000000f2000800");
    console.expect("---[ end trace ");
    console.expect("Segmentation fault");
    // Among what the kernel has to say about a process that died in it.
    let said = shell.run("echo still $((40 + 2))");
    assert!(said.contains("still 42"), "{said}");
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}
