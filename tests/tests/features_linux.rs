//! `--cpu-features`, and 32-bit programs.

use std::fs;
use std::path::PathBuf;

use tests::rsp::number;
use tests::shell::INIT;
use tests::{Minivmm, Rsp, Shell, guest, initramfs, kernel, scratch};

/// A static program for 32-bit Arm that writes a line: an ELF file of one segment, header and all.
fn program_for_32_bits() -> PathBuf {
    const LINE: &[u8] = b"32 bits\n";
    const BASE: u32 = 0x1_0000;
    const HEADERS: u32 = 52 + 32;
    let code: [u32; 8] = [
        0xe3a0_0001,                     // mov r0, #1
        0xe28f_1014,                     // add r1, pc, #20: behind the code
        0xe3a0_2000 | LINE.len() as u32, // mov r2, #8
        0xe3a0_7004,                     // mov r7, #4: write
        0xef00_0000,                     // svc 0
        0xe3a0_0000,                     // mov r0, #0
        0xe3a0_7001,                     // mov r7, #1: exit
        0xef00_0000,                     // svc 0
    ];
    let size = HEADERS + 32 + LINE.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0".to_vec();
    // e_version, e_entry, e_phoff, e_shoff, e_flags (EABI 5), e_ehsize and e_phentsize, e_phnum and no sections.
    let header = [1, BASE + HEADERS, 52, 0, 0x0500_0000, 0x20_0034, 1, 0];
    // PT_LOAD, readable and executable.
    let segment = [1, 0, BASE, BASE, size, size, 5, 0x1_0000];
    file.extend(header.into_iter().chain(segment).chain(code).flat_map(u32::to_le_bytes));
    file.extend(LINE);
    let path = scratch().join("a32");
    fs::write(&path, file).unwrap();
    path
}

#[test]
fn linux_lacks_what_is_off_and_runs_32_bit_programs() {
    let kernel = kernel();
    let initrd = initramfs::with_programs(&[("a32", &program_for_32_bits())]);
    let image = guest(&format!("Image-{kernel}"));
    let cmdline = format!("console=ttyAMA0 quiet panic=-1 -- {INIT}");
    let paths = [&image, &initrd].map(|path| path.to_str().unwrap());
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start([
        "--kernel",
        paths[0],
        "--initrd",
        paths[1],
        "--cmdline",
        &cmdline,
        "--cpu-features",
        "sve=off,pauth=off,pmu=off",
        "--gdb",
        &port.to_string(),
        "--gdb-nowait",
    ]);
    let mut shell = Shell::on(minivmm);

    let log = shell.run("dmesg");
    let features = shell.run("grep -m 1 ^Features /proc/cpuinfo");

    // With all of them on: boot::linux_finds_its_console_clock_and_the_hosts_cpu_features.
    for feature in ["sve", "paca", "pacg"] {
        assert!(!features.split(' ').any(|word| word == feature), "{feature}: {features}");
    }
    assert!(features.contains(" asimd"), "{features}");
    assert!(!log.contains("armv8_pmuv3"), "{log}");
    // ID_AA64PFR0_EL1.EL0: AArch64 alone, or AArch32 too. Linux has 32-bit programs with 4K pages only.
    let mut rsp = Rsp::connect(port);
    let id = number(&rsp.description(), "ID_AA64PFR0_EL1");
    let levels = rsp.register(id) & 0xf;
    rsp.order("D");
    assert!(matches!(levels, 1 | 2), "{levels}");
    if levels == 2 && !kernel.contains("16k") {
        assert_eq!(shell.run("a32"), "32 bits");
    }
    assert_eq!(shell.finish("poweroff -f").status, 0);
}
