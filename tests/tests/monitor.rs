//! Monitor commands on bare-metal guests, by packets.

mod routines;

#[path = "monitor/catches.rs"]
mod catches;
#[path = "monitor/life.rs"]
mod life;
#[path = "monitor/tables.rs"]
mod tables;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use tests::{Minivmm, Rsp, bare_guest, bare_symbol, scratch};

/// Where flat binaries start.
const ENTRY: u64 = 0x40080000;

/// A guest that waits at its first instruction.
fn debug(guest: &str, more: &[&str]) -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare(guest, &[&["--gdb", &port.to_string()], more].concat());
    minivmm.stderr.expect("gdb: ");
    (minivmm, Rsp::connect(port))
}

/// Runs to a symbol.
#[track_caller]
fn run_to(rsp: &mut Rsp, guest: &str, symbol: &str) {
    let at = bare_symbol(guest, symbol);
    rsp.order(&format!("Z1,{at:x},4"));
    assert_eq!(rsp.resume("vCont;c").pc(), at);
    rsp.order(&format!("z1,{at:x},4"));
}

#[test]
fn physical_memory_is_shown_as_the_guest_knows_it_and_devices_are_left_alone() {
    let (_minivmm, mut rsp) = debug("count", &[]);
    let code = fs::read(bare_guest("count")).unwrap();
    let words: Vec<_> =
        code.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    rsp.order(&format!("Z0,{:x},4", ENTRY + 4));

    assert_eq!(
        rsp.told("xp/6xw 0x40080000"),
        format!(
            "0000000040080000: {:#010x} {:#010x} {:#010x} {:#010x}\n\
             0000000040080010: {:#010x} {:#010x}\n",
            words[0], words[1], words[2], words[3], words[4], words[5]
        )
    );
    assert_eq!(
        rsp.told("xp /1ug 1074266112"),
        format!("0000000040080000: {:20}\n", { u64::from(words[1]) << 32 | u64::from(words[0]) })
    );
    rsp.write(0x5fff_fffc, b"end\n");
    assert_eq!(
        rsp.told("xp/8c 0x5ffffffc"),
        "000000005ffffffc: 'e' 'n' 'd' '\\n'\n\
         0000000060000000: not RAM; devices are not read, for that changes them\n"
    );
    for device in ["0x9000000", "0xffffffffffffffff"] {
        let said = rsp.told(&format!("xp {device}"));
        assert!(said.contains(": not RAM; devices are not read"), "{said}");
    }
}

#[test]
fn each_vcpu_is_shown_with_where_it_stands() {
    let (minivmm, mut rsp) = debug("two", &["--cpus", "2"]);
    let before = rsp.told("vcpus");
    let lines: Vec<_> = before.lines().collect();
    assert_eq!(lines.len(), 2, "{before}");
    assert!(lines[0].starts_with("* vCPU 0  MPIDR 0x80000000  thread "), "{before}");
    assert!(lines[0].ends_with("  on  pc 0x40080000  EL1h  MMU off"), "{before}");
    assert!(lines[1].starts_with("  vCPU 1  MPIDR 0x80000001  thread "), "{before}");
    assert!(lines[1].ends_with("  off"), "{before}");
    // The threads are this process's.
    for line in lines {
        let thread = line.split("thread ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let name = format!("/proc/{}/task/{thread}/comm", minivmm.pid());
        assert!(fs::read_to_string(&name).unwrap().starts_with("vcpu"), "{name}");
    }

    let second = bare_symbol("two", "second_body");
    rsp.order(&format!("Z0,{second:x},4"));
    rsp.resume("vCont;c");
    let after = rsp.told("vcpus");
    assert!(after.contains("* vCPU 1  MPIDR 0x80000001"), "{after}");
    assert!(after.contains(&format!("on  pc {second:#x}  EL1h  MMU off")), "{after}");
}

/// Count of an exit of vCPU 0, by `monitor exits`.
fn exits(said: &str, name: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn exits_are_counted_by_reason_and_by_device() {
    let (_minivmm, mut rsp) = debug("unmapped", &[]);
    assert_eq!(rsp.told("exits"), "vCPU 0: none\n");
    // A branch, an address, and the load.
    for _ in 0..3 {
        rsp.resume("vCont;s:p1.1");
    }

    let said = rsp.told("exits");
    assert_eq!(exits(&said, "software step"), Some(3), "{said}");
    assert_eq!(exits(&said, "read of no device"), Some(1), "{said}");
    assert_eq!(exits(&said, "write to PL011"), None, "{said}");

    // 16 digits and a line feed.
    let behind = bare_symbol("unmapped", "puthex");
    rsp.order(&format!("Z1,{behind:x},4"));
    rsp.resume("vCont;c");
    assert_eq!(rsp.told("exits reset"), "");
    assert_eq!(rsp.told("exits"), "vCPU 0: none\n");
    rsp.resume("vCont;s:p1.1");
    rsp.resume("vCont;c");
    let said = rsp.told("exits");
    assert_eq!(exits(&said, "write to PL011"), Some(17), "{said}");
    assert_eq!(exits(&said, "read of no device"), Some(1), "{said}");
    assert_eq!(exits(&said, "hardware breakpoint"), Some(1), "{said}");
}

/// The line of an interrupt.
fn interrupt<'a>(said: &'a str, intid: &str) -> Option<&'a str> {
    said.lines().find(|line| line.split_whitespace().next() == Some(intid))
}

#[test]
fn an_interrupt_is_followed_from_its_timer_through_the_controller() {
    let (minivmm, mut rsp) = debug("timer", &[]);
    let version = rsp.told("gic");
    let is_v3 = version.starts_with("GICv3  GICD_CTLR ");
    assert!(is_v3 || version.starts_with("GICv2  GICD_CTLR "), "{version}");
    assert_eq!(interrupt(&version, "27"), None, "{version}");
    let timers = rsp.told("timers");
    assert!(timers.starts_with("CNTFRQ_EL0 "), "{timers}");
    assert!(timers.contains("\n  virtual      CTL 0x4 off; CVAL 0x0, count "), "{timers}");
    assert!(timers.contains("\n  CNTKCTL_EL1  0x0 (), EVNTI 0\n"), "{timers}");

    run_to(&mut rsp, "timer", "irq");
    let pending = rsp.told("gic");
    let line = if is_v3 { "high" } else { "?" };
    let expected = format!(
        "    27  enabled  pending  -       0x00  level  {line:4}  {}      virtual timer",
        u8::from(is_v3)
    );
    assert_eq!(interrupt(&pending, "27"), Some(expected.as_str()), "{pending}");
    let enables = if is_v3 { "group 0 off, group 1 on" } else { "group 0 on, group 1 off" };
    assert!(pending.contains(&format!("\nvCPU 0: PMR 0xf0, {enables}, idle\n")), "{pending}");
    let timers = rsp.told("timers");
    assert!(timers.contains("\n  virtual      CTL 0x5 on, has fired for "), "{timers}");
    // Looking changes nothing.
    assert_eq!(rsp.told("gic"), pending);

    // bl, cbz and the read of IAR; on a GICv2 that takes its address first.
    for _ in 0..if is_v3 { 3 } else { 4 } {
        rsp.resume("vCont;s:p1.1");
    }
    let active = rsp.told("gic");
    assert!(interrupt(&active, "27").is_some_and(|line| line.contains("  active  ")), "{active}");
    assert!(active.contains(", runs at priority 0x00\n"), "{active}");
    let all = rsp.told("gic all");
    assert!(interrupt(&all, "33").is_some_and(|line| line.ends_with("PL011")), "{all}");
    assert_eq!(all.lines().filter(|line| line.ends_with("SGI 3")).count(), 1, "{all}");
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    assert_eq!(minivmm.finish().console, "ticked\n");
}

/// The blob that dtc makes of a source, as dtc writes it.
fn compiled(source: &str) -> String {
    let run = |arguments: &[&str], input: &[u8]| {
        let mut dtc = Command::new("dtc")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        dtc.stdin.take().unwrap().write_all(input).unwrap();
        let output = dtc.wait_with_output().unwrap();
        assert!(output.status.success(), "{source}");
        output.stdout
    };
    let blob = run(&["-q", "-I", "dts", "-O", "dtb", "-"], source.as_bytes());
    String::from_utf8(run(&["-q", "-I", "dtb", "-O", "dts", "-"], &blob)).unwrap()
}

#[test]
fn the_device_tree_is_shown_as_the_guest_got_it() {
    let path = scratch().join("machine.dtb");
    let name = path.to_str().unwrap();
    let dumped = Minivmm::start_bare("count", &["--cmdline", "quiet \"x\"", "--dump-dtb", name]);
    assert_eq!(dumped.finish().status, 0);
    let (_minivmm, mut rsp) = debug("count", &["--dtb", name]);

    let source = rsp.told("dtb");

    assert!(source.starts_with("/dts-v1/;\n/ {\n"), "{source}");
    let bootargs = "\tchosen {\n\t\tbootargs = \"quiet \\\"x\\\"\";\n";
    assert!(source.contains(bootargs), "{source}");
    // What dtc makes of it is what dtc makes of the blob itself.
    let of_blob =
        Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dts", name]).output().unwrap();
    assert_eq!(compiled(&source), String::from_utf8(of_blob.stdout).unwrap());

    // A property that says it has 4 GiB.
    let mut blob = fs::read(&path).unwrap();
    let word = |at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().unwrap()) as usize;
    let first = (word(8)..).step_by(4).find(|at| word(*at) == 3).unwrap();
    blob[first + 4..first + 8].fill(0xff);
    fs::write(&path, &blob).unwrap();
    let (_minivmm, mut rsp) = debug("count", &["--dtb", name]);
    let source = rsp.told("dtb");
    assert!(source.starts_with("/dts-v1/;\n/ {\n/* the blob ends before "), "{source}");
}

#[test]
fn what_cannot_be_understood_has_one_line_that_says_what_was_expected() {
    let (_minivmm, mut rsp) = debug("count", &[]);
    for (command, why) in [
        ("translate", "translate: found nothing behind it, expected a virtual address"),
        (
            "translate fish",
            "translate \"fish\": expected a decimal number or a hexadecimal one with 0x",
        ),
        ("translate 1 2", "translate: found \"2\", expected nothing behind the first argument"),
        (
            "pagetable middle",
            "pagetable: found \"middle\", expected lower, upper or a virtual address",
        ),
        (
            "xp/2i 0",
            "xp /2i: expected a count, a format x d u o c and a size b h w g, each once at most",
        ),
        ("xp/2xw", "xp: found nothing behind it, expected a physical address"),
        ("vcpus 1", "vcpus: found \"1\", expected nothing"),
        ("timers 1", "timers: found \"1\", expected nothing"),
        ("gic some", "gic: found \"some\", expected all or nothing"),
        ("exits clear", "exits: found \"clear\", expected reset or nothing"),
        ("dtb file", "dtb: found \"file\", expected nothing"),
        ("reset now", "reset: found \"now\", expected nothing"),
        ("quit 1", "quit: found \"1\", expected nothing"),
        ("catch fish", "catch: found \"fish\", expected brk, panic, exception or nothing"),
        ("catch brk", "catch brk: found nothing behind it, expected on or off"),
        ("catch brk maybe", "catch brk: found \"maybe\", expected on or off"),
        (
            "catch brk on 0x10000",
            "catch brk: found \"0x10000\", expected an immediate up to 0xffff",
        ),
        ("catch panic maybe", "catch panic: found \"maybe\", expected on or off"),
        (
            "catch exception",
            "catch exception: found nothing behind it, expected a class, its name, or off",
        ),
        ("help fish", "help: no command is called \"fish\", monitor help lists them"),
    ] {
        assert_eq!(rsp.monitor(command), Err(why.to_owned()), "{command}");
    }
    let why = rsp.monitor("catch exception 0x40").unwrap_err();
    assert!(
        why.starts_with(
            "catch exception: found \"0x40\", expected off, a class below 0x40, or one of unknown "
        ),
        "{why}"
    );
    let help = rsp.told("help");
    for line in help.lines() {
        let name = line.split("  ").next().unwrap();
        let said = rsp.told(&format!("help {name}"));
        assert!(said.starts_with(&format!("monitor {name}")), "{said}");
    }
}
