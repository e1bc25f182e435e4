//! Guest memory: all that the host has, in huge pages, and not more.

use std::fs;

use tests::Minivmm;

const MIB: u64 = 1 << 20;
/// IPA of the first byte (docs/machine.md).
const RAM: u64 = 0x4000_0000;
/// `--memory` takes no more.
const MOST: u64 = 255 << 30;

/// Bytes of the host's RAM and of its swap.
fn host() -> [u64; 2] {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    ["MemTotal:", "SwapTotal:"].map(|name| kib(&text, name).sum::<u64>() << 10)
}

/// The numbers of KiB behind a name in a file of /proc (proc(5)).
fn kib(text: &str, name: &str) -> impl Iterator<Item = u64> {
    let values = text.lines().filter_map(move |line| line.strip_prefix(name));
    values.map(|value| value.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap())
}

#[test]
fn a_guest_has_as_much_as_the_host_up_to_the_last_byte_and_in_huge_pages() {
    let modes = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let has_huge_pages = modes.is_ok_and(|modes| !modes.contains("[never]"));
    let size = host()[0].min(MOST) / (2 * MIB) * (2 * MIB);
    let mut minivmm = Minivmm::start_bare("ram", &["--memory", &size.to_string()]);

    let last = minivmm.console.expect("\n");
    let maps = fs::read_to_string(format!("/proc/{}/smaps", minivmm.pid())).unwrap();
    minivmm.send("x");

    assert_eq!(last, format!("{:016x}\n", RAM + size - 8));
    // The sixteen blocks of 2 MiB that it has written to.
    let huge = kib(&maps, "AnonHugePages:").sum::<u64>() << 10;
    assert!(huge >= 32 * MIB || !has_huge_pages, "{huge:#x} bytes in huge pages of\n{maps}");
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn more_than_the_host_has_is_refused() {
    let host: u64 = host().into_iter().sum();
    let size = host.next_multiple_of(2 * MIB);
    let takes_anything =
        fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap().trim() == "1";
    if size > MOST || takes_anything {
        return tests::skip("refuses no size that minivmm takes");
    }

    let finished = Minivmm::start_bare("ram", &["--memory", &size.to_string()]).finish();

    let expected = format!(
        "minivmm: --memory: {size:#x} bytes, expected at most the {host:#x} that this host has (RAM and swap)\n"
    );
    assert_eq!((finished.status, finished.stderr), (2, expected));
}
