//! Packets beyond the everyday ones, on a guest that counts (`two`), each with the bytes that GDB or LLDB sends.

use tests::rsp::to_hex;
use tests::{Minivmm, Rsp, bare_guest, bare_symbol};

const FEATURES: &str = "qSupported:multiprocess+;swbreak+;hwbreak+;error-message+;no-resumed+";

fn debug(cpus: &str) -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("two", &["--gdb", &port.to_string(), "--cpus", cpus]);
    minivmm.stderr.expect("gdb: ");
    (minivmm, Rsp::connect(port))
}

/// CRC-32 as `qCRC` has it, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

#[test]
fn memory_is_read_in_binary() {
    let (_minivmm, mut rsp) = debug("1");
    let at = bare_symbol("two", "count_0");
    rsp.write(at, b"abcdefgh");

    assert_eq!(rsp.ask(&format!("x{at:x},8")), "babcdefgh");
    // The last of RAM, and what is not there any more.
    assert_eq!(rsp.ask("x5ffffffe,8"), "b\0\0");
    assert_eq!(rsp.ask("x60000000,8"), "E.no memory at 0x60000000");
}

#[test]
fn memory_is_searched_without_reading_it_out() {
    let (_minivmm, mut rsp) = debug("1");
    rsp.write(0x5fff_fff0, b"needle");

    assert_eq!(rsp.ask("qSearch:memory:5f000000;1000000;needle"), "1,5ffffff0");
    assert_eq!(rsp.ask("qSearch:memory:5f000000;1000000;noodle"), "0");
    assert_eq!(rsp.ask("qSearch:memory:5f000000;1000001;noodle"), "E.no memory at 0x60000000");
    // A device is no memory.
    assert_eq!(rsp.ask("qSearch:memory:9000000;1000;x"), "E.no memory at 0x9000000");
}

#[test]
fn a_checksum_is_that_of_what_is_read() {
    let (_minivmm, mut rsp) = debug("1");
    let at = bare_symbol("two", "_start");
    // Its instructions do not change, with a breakpoint there or without.
    rsp.order(&format!("Z0,{at:x},4"));
    rsp.resume("vCont;s:p1.1");
    let bytes = rsp.read(at, 64);

    assert_eq!(rsp.ask(&format!("qCRC:{at:x},40")), format!("C{:x}", crc(&bytes)));
}

#[test]
fn monitor_commands_print_and_complain() {
    let (_minivmm, mut rsp) = debug("1");
    let mut monitor = |command: &str| {
        rsp.send(&format!("qRcmd,{}", to_hex(command.as_bytes())));
        rsp.output()
    };

    let (help, done) = monitor("help");
    assert_eq!(done, "OK");
    assert!(help.lines().any(|line| line.starts_with("info version ")), "{help}");
    let (version, _) = monitor("info version");
    assert_eq!(version, concat!("minivmm ", env!("CARGO_PKG_VERSION"), "\n"));
    let (_, error) = monitor("jump");
    assert_eq!(error, "E.monitor: no command is called \"jump\", monitor help lists them");
}

#[test]
fn a_vcpu_that_is_off_is_not_waited_for() {
    let (_minivmm, mut rsp) = debug("2");
    rsp.ask(FEATURES);
    let at = bare_symbol("two", "second_loop");

    assert_eq!(rsp.ask("vCont;c:p1.2"), "N");
    assert_eq!(rsp.ask("vCont;s:p1.2"), "N");
    rsp.order(&format!("Z0,{at:x},4"));
    assert_eq!(rsp.resume("vCont;c").thread(), 2);
    // On by now.
    assert_eq!(rsp.resume("vCont;s:p1.2").pc(), at + 4);
}

#[test]
fn threads_that_are_to_stay_stay() {
    let (_minivmm, mut rsp) = debug("2");
    let at = bare_symbol("two", "second_loop");
    rsp.order(&format!("Z0,{at:x},4"));
    rsp.resume("vCont;c");
    let before = rsp.read_u64(bare_symbol("two", "count_0"));

    for _ in 0..20 {
        rsp.resume("vCont;t:p1.1;s:p1.2");
    }

    assert_eq!(rsp.read_u64(bare_symbol("two", "count_0")), before);
}

#[test]
fn lldb_learns_of_threads_and_memory() {
    let (_minivmm, mut rsp) = debug("2");
    for packet in ["QThreadSuffixSupported", "QListThreadsInStopReply"] {
        rsp.order(packet);
    }

    let threads = rsp.ask("jThreadsInfo");
    assert!(
        threads.starts_with("[{\"tid\":1,\"name\":\"vCPU 0 [on]\",\"reason\":\"signal\""),
        "{threads}"
    );
    assert!(
        threads.contains("{\"tid\":2,\"name\":\"vCPU 1 [off]\",\"reason\":\"none\""),
        "{threads}"
    );
    assert!(rsp.ask("?").contains(";threads:1,2;thread-pcs:40080000,"));
    assert_eq!(rsp.ask("p20;thread:1;"), "0000084000000000");
    assert!(rsp.ask("qHostInfo").contains(";high_mem_addressing_bits:48;"));
    // One region as wide as the CPU's physical addresses: the MMU is off.
    let region = rsp.ask("qMemoryRegionInfo:40000000");
    assert!(
        region.starts_with("start:0;size:1") && region.ends_with(";permissions:rwx;"),
        "{region}"
    );
    assert_eq!(rsp.ask("qWatchpointSupportInfo:"), "num:4;");
}

#[test]
fn the_program_and_where_it_runs_are_told() {
    let vmlinux =
        bare_guest("two").with_extension("elf").canonicalize().expect("the guest's ELF file");
    let vmlinux = vmlinux.display().to_string();
    let ask = |cmdline: &str| {
        let port = Minivmm::free_port().to_string();
        let more = ["--gdb", &port, "--vmlinux", &vmlinux, "--cmdline", cmdline];
        let minivmm = Minivmm::start_bare("two", &more);
        minivmm.stderr.expect("gdb: guest waits");
        let mut rsp = Rsp::connect(port.parse().expect("a port"));
        (rsp.ask("qXfer:exec-file:read:1:0,1000"), rsp.ask("qOffsets"))
    };

    assert_eq!(ask(""), (format!("l{vmlinux}"), "Text=0;Data=0;Bss=0".to_owned()));
    // Where it will be is the kernel's secret.
    assert_eq!(ask("kaslr").1, "");
}
