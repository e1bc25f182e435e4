//! Features of the CPU that need a host of their own, or a debugger that runs where its user is.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::{Gdb, Minivmm, bare_guest, guest, initramfs, skip};

/// minivmm by its script.
fn minivmm() -> Command {
    let mut command = Command::new(root().join("scripts/minivmm"));
    command.arg("--kernel").arg(guest("Image-6.12")).stdin(Stdio::piped());
    command
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn memory_tags_are_the_guests_where_the_host_has_them() {
    let is_native = env::consts::ARCH == "aarch64";
    let features = fs::read_to_string("/proc/cpuinfo").unwrap();
    if is_native && !features.split_whitespace().any(|feature| feature == "mte") {
        return skip("this host has no memory tagging");
    }
    let program = bare_guest("mte").with_file_name("mte");
    let initrd = initramfs::with_programs(&[("mte", &program)]);

    let mut command = minivmm();
    command.env("MINIVMM_HOST_MTE", "1").arg("--initrd").arg(initrd);
    command.args(["--cmdline", "console=ttyAMA0 quiet panic=-1 -- mte"]);
    let finished = Minivmm::spawn(command.args(["--cpu-features", "mte=on"])).finish();

    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""), "{finished:?}");
    let console = finished.console.replace('\r', "");
    assert!(console.starts_with("its tag: 42\nanother tag: SIGSEGV with code 9\n"), "{console}");
}

#[test]
fn without_pointer_authentication_gdb_13_unwinds_to_the_first_frame() {
    let own = guest("../bin/gdb-multiarch");
    let gdb = if own.is_file() { own } else { "gdb-multiarch".into() };
    let port = Minivmm::free_port();
    let mut command = minivmm();
    command.arg("--initrd").arg(guest("initramfs.cpio"));
    command.args(["--cmdline", "console=ttyAMA0 quiet panic=-1", "--cpu-features", "pauth=off"]);
    let minivmm = Minivmm::spawn(command.args(["--gdb", &port.to_string()]));
    let mut gdb = Gdb::start_in(Path::new("."), gdb, [guest("vmlinux-6.12")]);
    minivmm.stderr.expect("waits at its first instruction");
    gdb.connect(format!(":{port}"));

    gdb.run("hbreak run_init_process");
    let said = gdb.run("continue");
    assert!(said.contains(" run_init_process ("), "{said}");
    let said = gdb.run("bt");

    // `ret_from_fork` is assembly, and has nobody to return to.
    let frames: Vec<&str> = said.lines().filter(|line| line.starts_with('#')).collect();
    let functions = ["run_init_process", "kernel_init", "ret_from_fork"];
    assert_eq!(frames.len(), functions.len(), "{said}");
    for (frame, function) in frames.into_iter().zip(functions) {
        assert!(frame.contains(&format!(" {function} (")), "{said}");
    }
    gdb.assert_no_complaint();
    gdb.run("kill");
    assert_eq!(minivmm.finish().status, 0);
}
