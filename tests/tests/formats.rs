//! Debian's kernel in every form that a kernel's file can have.

use tests::{Minivmm, Rsp, guest, release};

#[test]
fn debians_kernel_boots_however_it_is_compressed() {
    for form in [
        "6.12.bz2",
        "6.12-zboot-gzip",
        "6.12-zboot-lz4",
        "6.12-zboot-lzma",
        "6.12-zboot-lzo",
        "6.12-zboot-xzkern",
        "6.12-zboot-zstd22",
    ] {
        let more = ["--until", r"Linux version 6\.12\."];
        let finished = Minivmm::boot_with("earlycon", form, &more).finish();

        assert_eq!((finished.status, finished.stderr.as_str()), (0, ""), "{form}: {finished:?}");
    }
}

#[test]
fn a_compressed_kernel_gets_as_far_as_any() {
    let cmdline = "console=ttyAMA0 quiet panic=-1 -- uname -r";

    let finished = Minivmm::boot_with(cmdline, "6.12.lz4", &[]).finish();

    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""), "{finished:?}");
    assert!(finished.console.contains(&release("6.12")), "{finished:?}");
}

#[test]
fn a_compressed_kernel_is_told_from_other_builds_by_its_vmlinux() {
    for (vmlinux, says) in [("vmlinux-6.12", false), ("vmlinux-7.2", true)] {
        let port = Minivmm::free_port();
        let [kernel, vmlinux] =
            ["Image-6.12.gz", vmlinux].map(|name| guest(name).display().to_string());
        let gdb = port.to_string();
        let minivmm = Minivmm::start(["--kernel", &kernel, "--vmlinux", &vmlinux, "--gdb", &gdb]);
        minivmm.stderr.expect("target remote");

        Rsp::connect(port).send("k");

        let finished = minivmm.finish();
        assert_eq!(finished.status, 0);
        assert_eq!(finished.stderr.contains("is of another build"), says, "{}", finished.stderr);
    }
}
