//! Kernel and initrd, loaded while the guest runs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{Minivmm, bare_guest, kernel, scratch};

/// Length of the kernel file that the guest `late` looks at the end of: longer than a loader takes to be noticed.
const LENGTH: u64 = 256 << 20;

/// The guest `late` in such a file.
fn late(name: &str) -> PathBuf {
    let path = scratch().join(name);
    fs::copy(bare_guest("late"), &path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(LENGTH).unwrap();
    file.write_all_at(&0x0123_4567_89ab_cdef_u64.to_le_bytes(), LENGTH - 8).unwrap();
    path
}

fn arguments(kernel: &Path) -> [&str; 4] {
    ["--kernel", kernel.to_str().unwrap(), "--memory", "512M"]
}

/// Threads of a process, by name.
fn threads(minivmm: &Minivmm) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", minivmm.pid())).unwrap();
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    tasks.filter_map(|task| Some(name(task.ok()?)?.trim().to_owned())).collect()
}

/// Whether the host lets this test's processes handle faults inside the kernel.
fn host_can_wait() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let has_ptrace = u64::from_str_radix(capabilities.trim(), 16).unwrap() & 1 << 19 != 0;
    let sysctl = fs::read_to_string("/proc/sys/vm/unprivileged_userfaultfd");
    has_ptrace || sysctl.is_ok_and(|text| text.trim() == "1")
}

#[test]
fn a_guest_reads_what_was_missing_when_it_started() {
    let kernel = late("late");
    let mut minivmm = Minivmm::start(arguments(&kernel));
    minivmm.console.expect("late\n");
    assert_eq!(threads(&minivmm).contains(&"loader".to_owned()), host_can_wait());

    minivmm.send("x");

    let finished = minivmm.finish();
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
    assert_eq!(finished.console, "late\n0123456789abcdef");
}

#[test]
fn a_file_shortened_while_the_guest_runs_ends_it_with_one_line() {
    if !host_can_wait() {
        return;
    }
    let kernel = late("shortened");
    let mut minivmm = Minivmm::start(arguments(&kernel));
    minivmm.console.expect("late\n");

    File::options().write(true).open(&kernel).unwrap().set_len(4096).unwrap();
    // The vCPU comes to wait for what will not come.
    minivmm.send("x");

    let finished = minivmm.finish();
    let expected =
        "minivmm: kernel: the file was shortened while it was read, expected 0x10000000 bytes\n";
    assert_eq!((finished.status, finished.stderr.as_str()), (1, expected));
    assert_eq!(finished.console, "late\n");
}

#[test]
fn without_the_privilege_everything_is_loaded_before_the_guest_starts() {
    let kernel = late("unprivileged");
    let mut command = Command::new(bare_guest("late").with_file_name("without_ptrace"));
    let command = command.arg(Minivmm::binary()).args(arguments(&kernel));
    let mut minivmm = Minivmm::spawn(command.stdin(Stdio::piped()));
    minivmm.console.expect("late\n");
    assert!(!threads(&minivmm).contains(&"loader".to_owned()));

    minivmm.send("x");

    assert_eq!(minivmm.finish().console, "late\n0123456789abcdef");
}

#[test]
fn linux_lies_in_huge_pages_and_its_loader_is_gone() {
    let modes = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let has_huge_pages = modes.is_ok_and(|modes| !modes.contains("[never]"));
    let minivmm = Minivmm::boot_with("console=ttyAMA0 quiet", &kernel(), &[]);
    minivmm.console.expect("# ");

    let maps = fs::read_to_string(format!("/proc/{}/smaps", minivmm.pid())).unwrap();
    let sizes = maps.lines().filter_map(|line| line.strip_prefix("AnonHugePages:"));
    let kib: u64 =
        sizes.filter_map(|size| size.split_whitespace().next()?.parse::<u64>().ok()).sum();

    // The kernel alone is more.
    assert!(kib > 24 << 10 || !has_huge_pages, "{kib} KiB");
    assert!(!threads(&minivmm).contains(&"loader".to_owned()));
}
