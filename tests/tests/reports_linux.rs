//! `--report` of a Linux guest, and where it was.

use nix::sys::signal::Signal;
use tests::report::{self, read, strings};
use tests::{Minivmm, kernel, release, vmlinux};

#[test]
fn a_linux_that_is_interrupted_has_its_life_told_and_where_it_was() {
    let version = kernel();
    let (report, symbols) = (report::path(), vmlinux());
    let more = [
        "--cpus",
        "2",
        "--report",
        report.to_str().unwrap(),
        "--vmlinux",
        symbols.to_str().unwrap(),
    ];
    let mut minivmm = Minivmm::boot(&version, "", &more);
    minivmm.console.expect("/root # ");
    minivmm.send("echo '<4>WARNING: of a test' > /dev/kmsg; cat /proc/version\n");
    minivmm.console.expect("WARNING: of a test\r\n");
    minivmm.console.expect("Linux version ");
    minivmm.console.expect("/root # ");

    minivmm.signal(Signal::SIGQUIT);

    let finished = minivmm.finish();
    assert_eq!(finished.status, 131);
    assert!(finished.stderr.contains("minivmm: vCPU 0 at 0xffff"), "{}", finished.stderr);
    assert!(finished.stderr.contains(" do_idle+0x"), "{}", finished.stderr);
    let told = read(&finished);
    assert_eq!(
        (&told["outcome"], &told["kernel"]),
        (&"terminated".into(), &release(&version).into())
    );
    let times = ["first_instruction", "first_console_byte", "first_userspace", "end"]
        .map(|name| told["times_ms"][name].as_u64().unwrap());
    assert!(times.is_sorted(), "{times:?}");
    assert!(told["exits"]["write to PL011"].as_u64().unwrap() > 100, "{}", told["exits"]);
    let [peak, guest] = ["peak", "guest"].map(|name| told["memory_kib"][name].as_u64().unwrap());
    assert!(20_000 < guest && guest <= peak && peak < 600_000, "{guest} of {peak}");
    let lines = strings(&told["console"]);
    assert_eq!(lines.len(), 50);
    let warnings = strings(&told["warnings"]);
    assert!(warnings.iter().any(|line| line.ends_with("WARNING: of a test")), "{warnings:?}");
    // Both idle, one of them by way of start_kernel, or on the way there from the shell's last system call.
    let vcpus = told["vcpus"].as_array().unwrap();
    let names = vcpus.iter().map(|vcpu| {
        let frames = vcpu["frames"].as_array().unwrap().iter();
        frames.filter_map(|frame| frame["symbol"].as_str()).collect::<Vec<_>>().join(" ")
    });
    let names: Vec<String> = names.collect();
    assert_eq!(names.len(), 2);
    for (names, wanted) in names.iter().zip(["start_kernel+0x", "secondary_start_kernel+0x"]) {
        let is_idle = names.contains("do_idle+0x") && names.contains(wanted);
        assert!(is_idle || names.contains("el0t_64_sync+0x"), "{names}");
    }
}
