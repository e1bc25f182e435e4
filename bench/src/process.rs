//! What a process costs, as /proc tells it (proc(5)).

use std::fs;
use std::path::PathBuf;

fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// Nanoseconds of CPU time that those threads have had whose names are wanted.
pub fn cpu_time(pid: u32, is_wanted: impl Fn(&str) -> bool) -> u64 {
    let tasks = fs::read_dir(folder(pid).join("task")).expect("its threads");
    let time = |task: PathBuf| {
        // A thread may have ended since.
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        let stat = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        let time = stat.split_whitespace().next().and_then(|time| time.parse().ok());
        if is_wanted(name.trim()) { time.unwrap_or(0) } else { 0 }
    };
    tasks.map(|task| time(task.expect("a thread").path())).sum()
}

/// Whether a thread of this name runs a vCPU: `vcpu0` here, `CPU 0/KVM` in QEMU.
pub fn is_vcpu(name: &str) -> bool {
    name.starts_with("vcpu") || name.ends_with("/KVM")
}

/// KiB of memory (Pss) but for the guest's RAM: the mappings that are advised for huge pages, at least this much of them together.
pub fn memory_beyond_ram(pid: u32, ram_kib: u64) -> u64 {
    let smaps = fs::read_to_string(folder(pid).join("smaps")).expect("its mappings");
    let field = |name| smaps.lines().filter_map(move |line| line.strip_prefix(name));
    let kib = |text: &str| text.trim().trim_end_matches(" kB").parse::<u64>().expect("KiB");
    let sizes = field("Size:").zip(field("Pss:")).map(|(size, pss)| (kib(size), kib(pss)));
    let is_ram = field("VmFlags:").map(|flags| flags.split_whitespace().any(|flag| flag == "hg"));
    let (ram, other): (Vec<_>, Vec<_>) = sizes.zip(is_ram).partition(|(_, is_ram)| *is_ram);
    let ram: u64 = ram.iter().map(|((size, _), _)| size).sum();
    assert!(ram >= ram_kib, "{ram} KiB of guest RAM in\n{smaps}");
    other.iter().map(|((_, pss), _)| pss).sum()
}
