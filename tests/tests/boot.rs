//! Debian's kernels to their user space and out again, and what a guest finds in its machine.

use std::fs;
use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

use tests::minivmm::QUICK;
use tests::{Finished, Minivmm, Shell, kernel, release};

/// A guest of this size, found to be the kernel and the machine that was asked for.
fn boots(version: &str, cpus: &str, memory: &str, cmdline: &str) -> Shell {
    let mut shell = Shell::boot_with(cmdline, version, &["--cpus", cpus, "--memory", memory]);

    assert_eq!(shell.run("uname -r -m"), format!("{} aarch64", release(version)));
    assert_eq!(shell.run("grep -c ^processor /proc/cpuinfo"), cpus);
    let total = shell.run("awk '/^MemTotal/ { print $2 }' /proc/meminfo");
    let mib = total.parse::<u64>().unwrap() >> 10;
    assert!(expected_memory(memory).contains(&mib), "{mib} MiB of {memory}");
    shell
}

/// What Linux leaves of RAM, in MiB: the kernel itself and its page structures are not counted.
fn expected_memory(memory: &str) -> RangeInclusive<u64> {
    match memory {
        "128M" => 70..=128,
        "512M" => 440..=512,
        "3G" => 2900..=3072,
        _ => panic!("{memory}: no expectation"),
    }
}

const CMDLINE: &str = "console=ttyAMA0 quiet panic=-1";

#[test]
fn linux_with_1_vcpu_and_128m_powers_off() {
    let shell = boots(&kernel(), "1", "128M", CMDLINE);

    let finished = shell.finish("poweroff -f");

    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn linux_with_4_vcpus_and_3g_reboots() {
    let shell = boots(&kernel(), "4", "3G", CMDLINE);

    let finished = shell.finish("reboot -f");

    assert_eq!(finished.status, 32);
    assert_eq!(finished.stderr, "minivmm: guest asked for a reset\n");
}

#[test]
fn linux_with_4_vcpus_and_512m_panics_and_reboots() {
    let shell = boots(&kernel(), "4", "512M", CMDLINE);

    expect_panic(&shell.finish("echo c > /proc/sysrq-trigger"));
}

#[test]
fn version_6_1_with_4_vcpus_and_128m_powers_off() {
    let shell = boots("6.1", "4", "128M", CMDLINE);

    let finished = shell.finish("poweroff -f");

    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn version_6_1_with_1_vcpu_and_3g_reboots() {
    let shell = boots("6.1", "1", "3G", CMDLINE);

    assert_eq!(shell.finish("reboot -f").status, 32);
}

#[test]
fn version_6_1_with_1_vcpu_and_512m_panics_and_stays() {
    let shell = boots("6.1", "1", "512M", "console=ttyAMA0 quiet");

    let console = expect_panic(&shell.finish("echo c > /proc/sysrq-trigger"));

    // Without panic= the guest would hang behind this line.
    assert!(console.contains("---[ end Kernel panic - not syncing"), "{console}");
}

fn expect_panic(finished: &Finished) -> String {
    assert_eq!(finished.status, 34, "{}", finished.stderr);
    assert_eq!(finished.stderr, "minivmm: guest kernel panicked\n");
    let console = &finished.console;
    assert!(console.contains("Kernel panic - not syncing: sysrq triggered crash"), "{console}");
    console.clone()
}

#[test]
fn linux_finds_its_console_clock_and_the_hosts_cpu_features() {
    // No console=: /chosen/stdout-path names it, to earlycon and to the kernel.
    let cmdline = "earlycon loglevel=4 panic=-1";
    let mut shell = Shell::boot_with(cmdline, &kernel(), &["--cpus", "2"]);

    let log = shell.run("dmesg");
    let bootargs = shell.run("tr -d '\\0' < /proc/device-tree/chosen/bootargs");
    let before = now();
    let clock = shell.run("cat /sys/class/rtc/rtc0/since_epoch").parse::<u64>().unwrap();
    let date = shell.run("date +%s").parse::<u64>().unwrap();
    let after = now();
    let features = shell.run("grep -m 1 ^Features /proc/cpuinfo");

    assert!(bootargs.starts_with(&format!("{QUICK} {cmdline} -- sh ")), "{bootargs}");
    for expected in [
        "earlycon: pl11 at MMIO 0x0000000009000000",
        "console [ttyAMA0] enabled",
        "psci: PSCIv1.",
        "CPU features: detected: ",
        "random: crng init done",
    ] {
        assert!(log.contains(expected), "{expected:?} is not in\n{log}");
    }
    for (name, time) in [("RTC", clock), ("date", date)] {
        assert!(
            (before - 2..=after + 1).contains(&time),
            "{name} {time}, host {before} to {after}"
        );
    }
    let host = fs::read_to_string("/proc/cpuinfo").unwrap();
    let host = host.lines().find(|line| line.starts_with("Features")).unwrap();
    for feature in ["sve", "paca", "pacg", "atomics"] {
        let has = |line: &str| line.split(' ').any(|word| word == feature);
        assert_eq!(has(&features), has(host), "{feature}: guest {features}, host {host}");
    }
    let host_has_pmu = fs::exists("/sys/bus/event_source/devices/armv8_pmuv3_0").unwrap()
        || fs::exists("/sys/bus/event_source/devices/armv8_pmuv3").unwrap();
    assert_eq!(log.contains("armv8_pmuv3"), host_has_pmu, "{log}");
    assert_eq!(shell.finish("poweroff -f").status, 0);
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn linux_turns_a_cpu_off_and_on_again() {
    let mut shell = Shell::boot(&kernel(), &["--cpus", "2"]);
    let cpu1 = "/sys/devices/system/cpu/cpu1/online";

    for _ in 0..3 {
        assert_eq!(shell.run(&format!("echo 0 > {cpu1}; cat {cpu1}; nproc")), "0\n1");
        assert_eq!(shell.run(&format!("echo 1 > {cpu1}; cat {cpu1}; nproc")), "1\n2");
    }
    // Field 39: the CPU it last ran on.
    let cpu = shell.run("busybox taskset 2 cut -d ' ' -f 39 /proc/self/stat");

    assert_eq!(cpu, "1");
    assert_eq!(shell.finish("poweroff -f").status, 0);
}

#[test]
fn linux_idle_at_its_prompt_costs_the_vmm_nothing() {
    let mut minivmm = Minivmm::boot_with(CMDLINE, &kernel(), &[]);
    minivmm.console.expect("/root # ");
    // Unlike what was typed, what is printed has no quotes in it.
    minivmm.send("sleep 1; echo 'idle' now; sleep 3; echo 'idle' no more\n");

    minivmm.console.expect("idle now");
    let before = Cost::of(minivmm.pid());
    minivmm.console.expect("idle no more");
    let after = Cost::of(minivmm.pid());

    // The two outputs themselves cost some. A poll that blocks shows in the wake-ups, one that spins in the ticks, of which it would take all 300.
    // A few say nothing: the clock that they count goes on while a busy machine runs something else in the middle of an instruction.
    assert!(after.switches - before.switches <= 30, "{before:?} to {after:?}");
    assert!(after.ticks - before.ticks <= 30, "{before:?} to {after:?}");
}

/// What the threads other than the vCPUs' have used.
#[derive(Debug)]
struct Cost {
    /// utime and stime in ticks of 10 ms (proc_pid_stat(5), USER_HZ).
    ticks: u64,
    /// Times that they were woken.
    switches: u64,
}

impl Cost {
    fn of(pid: i32) -> Self {
        let mut cost = Self { ticks: 0, switches: 0 };
        let mut threads = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let read = |name| fs::read_to_string(task.as_ref().unwrap().path().join(name)).unwrap();
            if read("comm").starts_with("vcpu") {
                continue;
            }
            threads += 1;
            let stat = read("stat");
            // Behind the name, which may have blanks of its own, the state is field 3.
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            cost.ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
            let status = read("status");
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            let switches = line.and_then(|line| line.split_whitespace().nth(1)).unwrap();
            cost.switches += switches.parse::<u64>().unwrap();
        }
        assert!(threads >= 2, "the main thread and the console's, found {threads}");
        cost
    }
}
