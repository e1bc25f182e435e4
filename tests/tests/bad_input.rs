//! What the user got wrong, or the host lacks: one line that names it, and nothing is started.

use std::env::temp_dir;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use tests::{Finished, Minivmm, bare_guest, guest, scratch, skip};

/// A file of this test's.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// A file that starts as Debian's Image does, and ends where one of this length would.
fn image(name: &str, len: u64, damage: impl FnOnce(&mut [u8])) -> PathBuf {
    let mut head = [0; 4096];
    File::open(guest("Image-6.12")).unwrap().read_exact(&mut head).unwrap();
    damage(&mut head);
    let path = file(name, &head);
    File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
    path
}

/// The message with which minivmm refuses, by itself.
fn message(finished: &Finished, status: i32) -> String {
    assert_eq!(finished.status, status, "{}", finished.stderr);
    assert_eq!(finished.console, "");
    let line = finished.stderr.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "more than one line: {line:?}");
    line.strip_prefix("minivmm: ").unwrap().to_owned()
}

/// The message that answers these arguments behind a usable kernel.
fn refused(arguments: &[&str]) -> String {
    message(&Minivmm::start_bare("poweroff", arguments).finish(), 2)
}

/// What is said of a file as `--kernel`, without flag and path.
fn refused_kernel(path: &Path) -> String {
    refused_file("--kernel", path, Minivmm::start(["--kernel".as_ref(), path.as_os_str()]))
}

fn refused_file(flag: &str, path: &Path, minivmm: Minivmm) -> String {
    let message = message(&minivmm.finish(), 2);
    let prefix = format!("{flag} {}: ", path.display());
    let reason = message.strip_prefix(&prefix);
    reason.unwrap_or_else(|| panic!("{message:?} does not start with {prefix:?}")).to_owned()
}

#[test]
fn a_kernel_that_is_missing() {
    let message = refused_kernel(Path::new("/nonexistent/Image"));

    assert_eq!(message, "cannot open: No such file or directory (os error 2)");
}

#[test]
fn a_folder_as_kernel() {
    assert_eq!(refused_kernel(&scratch()), "is a directory, expected a regular file");
}

#[test]
fn an_empty_kernel() {
    assert_eq!(refused_kernel(&file("empty", b"")), "is empty");
}

#[test]
fn an_x86_bzimage_as_kernel() {
    let mut bytes = vec![0; 0x4000];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x202..0x206].copy_from_slice(b"HdrS");

    let message = refused_kernel(&file("bzImage", &bytes));

    assert_eq!(message, "an x86 bzImage, expected arch/arm64/boot/Image or a flat binary");
}

#[test]
fn a_truncated_image() {
    let full = fs::metadata(guest("Image-6.12")).unwrap().len();

    let message = refused_kernel(&image("half", full / 2, |_| {}));

    assert!(message.starts_with(&format!("a truncated arm64 Image: {:#x} bytes", full / 2)));
    let expected = message.split("expected 0x").nth(1).unwrap();
    let expected = u64::from_str_radix(expected, 16).unwrap();
    assert!((full / 2 + 1..=full).contains(&expected), "{message}");
}

#[test]
fn a_big_endian_image() {
    let full = fs::metadata(guest("Image-6.12")).unwrap().len();

    let message = refused_kernel(&image("big-endian", full, |head| head[24] |= 1));

    assert_eq!(
        message,
        "a big-endian arm64 Image, expected a little-endian one (CONFIG_CPU_LITTLE_ENDIAN)"
    );
}

#[test]
fn a_compressed_kernel_that_is_empty_or_ends_too_early() {
    const EMPTY: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
    let [empty, cut] = [EMPTY.len(), 12].map(|len| {
        refused_kernel(&file(&format!("{len}.gz"), EMPTY.get(..len).expect("a length")))
    });

    assert_eq!(empty, "gzip-compressed file: without content, expected a kernel");
    assert_eq!(cut, "gzip-compressed file: truncated, expected more");
}

#[test]
fn a_compressed_file_that_holds_no_kernel() {
    let compress = |name: &str, program: &str, content: &Path| {
        let output = Command::new(program).arg("-c").arg(content).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        file(name, &output.stdout)
    };
    let script = compress("script.gz", "gzip", &file("script", b"#!/bin/sh\nexec true\n"));
    let twice = compress("script.gz.gz", "gzip", &script);

    assert_eq!(
        refused_kernel(&script),
        "gzip-compressed file of a text file, expected arch/arm64/boot/Image or a flat binary"
    );
    assert_eq!(
        refused_kernel(&twice),
        "gzip-compressed file of a file compressed by gzip, expected arch/arm64/boot/Image or a flat binary (decompress it first)"
    );
}

#[test]
fn a_compressed_kernel_that_does_not_fit() {
    let zeroes = scratch().join("zeroes");
    File::create(&zeroes).unwrap().set_len(5 << 20).unwrap();
    let output = Command::new("gzip").arg("-c").arg(&zeroes).output().unwrap();
    let bomb = file("bomb.gz", &output.stdout);

    let minivmm = Minivmm::start(["--kernel", bomb.to_str().unwrap(), "--memory", "4M"]);

    assert_eq!(
        refused_file("--kernel", &bomb, minivmm),
        "gzip-compressed file: its content does not fit into --memory 4M"
    );
}

#[test]
fn an_elf_file_as_kernel() {
    let elf = bare_guest("poweroff").with_extension("elf");

    let message = refused_kernel(&elf);

    assert!(message.starts_with("an ELF file for arm64 (vmlinux?), expected"), "{message}");
}

#[test]
fn an_initrd_that_is_missing() {
    let path = Path::new("/nonexistent/initrd");

    let minivmm = Minivmm::start_bare("poweroff", &["--initrd", path.to_str().unwrap()]);

    let message = refused_file("--initrd", path, minivmm);
    assert_eq!(message, "cannot open: No such file or directory (os error 2)");
}

#[test]
fn an_initrd_that_does_not_fit() {
    let path = scratch().join("initrd");
    File::create(&path).unwrap().set_len(100 << 20).unwrap();

    let message = refused(&["--memory", "64M", "--initrd", path.to_str().unwrap()]);

    assert!(
        message
            .starts_with("initrd: 0x6400000 bytes do not fit into --memory 64M beside the kernel"),
        "{message}"
    );
    let needed = message.split("needs at least ").nth(1).unwrap().trim_end_matches(')');
    let more: Vec<&str> = needed.split(' ').chain(["--initrd", path.to_str().unwrap()]).collect();
    assert_eq!(Minivmm::start_bare("poweroff", &more).finish().status, 0, "with {needed}");
}

#[test]
fn a_kernel_that_does_not_fit() {
    let kernel = guest("Image-6.12");

    let minivmm = Minivmm::start(["--kernel", kernel.to_str().unwrap(), "--memory", "16M"]);

    let message = message(&minivmm.finish(), 2);
    assert!(message.starts_with("kernel: 0x"), "{message}");
    assert!(
        message.contains("do not fit into --memory 16M (needs at least --memory "),
        "{message}"
    );
}

#[test]
fn a_device_tree_that_is_none() {
    let path = file("board.dtb", &[0; 4096]);

    let minivmm = Minivmm::start_bare("poweroff", &["--dtb", path.to_str().unwrap()]);

    let message = refused_file("--dtb", &path, minivmm);
    assert_eq!(message, "magic 0x0, expected 0xd00dfeed of a device tree blob");
}

#[test]
fn memory_sizes_that_cannot_be() {
    for size in ["0", "1T", "12Q"] {
        assert_eq!(
            refused(&["--memory", size]),
            format!("--memory {size}: expected a multiple of 2M from 2M to 255G")
        );
    }
}

#[test]
fn no_vcpus() {
    let message = refused(&["--cpus", "0"]);

    assert_eq!(message, "--cpus 0: expected a number of vCPUs, 1 or more");
}

#[test]
fn more_vcpus_than_kvm_has() {
    let message = refused(&["--cpus", "100000"]);

    assert!(message.starts_with("--cpus 100000: expected at most "), "{message}");
    assert!(message.ends_with(" (KVM_CAP_MAX_VCPUS)"), "{message}");
}

#[test]
fn cpu_features_that_are_none() {
    let message = refused(&["--cpu-features", "sve=off,sme=on"]);

    assert_eq!(
        message,
        "--cpu-features sve=off,sme=on: found \"sme=on\", expected NAME=on or NAME=off of mte, pauth, pmu, sve"
    );
}

#[test]
fn a_cpu_feature_that_the_host_lacks() {
    let host = fs::read_to_string("/proc/cpuinfo").unwrap();
    let is_there = |feature: &str| host.split_whitespace().any(|word| word == feature);
    let lacking: Vec<_> = [("mte", "memory tagging"), ("sve", "SVE")]
        .into_iter()
        .filter(|(name, _)| !is_there(name))
        .collect();
    if lacking.is_empty() {
        return skip("has both memory tagging and SVE");
    }
    for (name, what) in lacking {
        let message = refused(&["--cpu-features", &format!("pmu=off,{name}=on")]);

        assert_eq!(
            message,
            format!("--cpu-features {name}=on: this host's KVM offers its guests no {what}")
        );
    }
}

#[test]
fn a_gdb_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    let message = refused(&["--gdb", &port.to_string()]);

    assert_eq!(message, format!("--gdb 127.0.0.1:{port}: Address already in use (os error 98)"));
}

#[test]
fn a_gdb_socket_that_is_taken() {
    // Not among the logs: a socket's path has at most 107 bytes.
    let path = temp_dir().join(format!("minivmm-taken-{}.sock", process::id()));
    let _taken = UnixListener::bind(&path).unwrap();

    let message = refused(&["--gdb", &format!("unix:{}", path.display())]);

    let expected = format!("--gdb unix:{}: Address already in use", path.display());
    fs::remove_file(&path).unwrap();
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_gdb_address_that_is_none() {
    let message = refused(&["--gdb", "nonsense"]);

    assert_eq!(message, "--gdb nonsense: expected PORT, HOST:PORT, unix:PATH or stdio");
}

#[test]
fn a_vmlinux_that_is_none() {
    let flat = bare_guest("count").display().to_string();
    let refused = |path: &str| refused(&["--gdb", "1", "--vmlinux", path]);

    assert_eq!(
        refused(&flat),
        format!("--vmlinux {flat}: no ELF file, expected an arm64 ELF file")
    );
    assert_eq!(
        refused("/nonexistent/vmlinux"),
        "--vmlinux /nonexistent/vmlinux: cannot open: No such file or directory (os error 2)"
    );
}

#[test]
fn an_unknown_flag() {
    assert!(refused(&["--nonsense"]).contains("--nonsense"));
}

#[test]
fn a_flag_without_its_value() {
    assert!(refused(&["--memory"]).contains("--memory"));
}

#[test]
fn no_kernel() {
    let message = message(&Minivmm::start([""; 0]).finish(), 2);

    assert_eq!(message, "--kernel: missing, expected an arm64 Image (see --help)");
}

/// Runs minivmm after `setup` has changed `/dev` for it alone, as root of a user namespace where the
/// test has no privileges.
fn with_other_dev(setup: &str) -> Finished {
    let kernel = bare_guest("poweroff");
    let script = format!("{setup} && exec \"$@\"");
    let unshare = "user=-r; [ $(id -u) = 0 ] && user=; exec unshare $user -m sh -c \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", unshare, "sh", &script, "sh"]).arg(Minivmm::binary());
    Minivmm::spawn(command.arg("--kernel").arg(kernel)).finish()
}

#[test]
fn a_host_without_kvm() {
    let message = message(&with_other_dev("mount -t tmpfs none /dev"), 1);

    assert_eq!(message, "/dev/kvm: not found: expected a host kernel with KVM and EL2 left to it");
}

#[test]
fn a_host_whose_kvm_belongs_to_others() {
    // A device node cannot be opened on a file system mounted so, not even by root.
    let setup = "mount --bind /dev/kvm /dev/kvm && mount -o remount,bind,nodev /dev/kvm";

    let message = message(&with_other_dev(setup), 1);

    assert_eq!(message, "/dev/kvm: permission denied: run as root or join the group that owns it");
}

#[test]
fn a_kvm_that_is_something_else() {
    let message = message(&with_other_dev("mount --bind /dev/null /dev/kvm"), 1);

    assert!(message.starts_with("/dev/kvm: "), "{message}");
    assert!(message.contains("expected 12"), "{message}");
}
