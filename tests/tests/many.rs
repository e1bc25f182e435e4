//! Many guests side by side, without root, and what is left when whoever started them is gone.

use std::collections::BTreeSet;
use std::env::temp_dir;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio, id};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{Minivmm, Rsp, bare_guest, skip};

/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// What a guest of a few instructions may take, in KiB: two huge pages of RAM, for it and for its device tree, and what the VMM needs, the
/// program aside, which all share.
const MOST_KIB: u64 = 6 << 10;

#[test]
fn guests_run_side_by_side_each_with_a_port_of_its_own_and_without_root() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skip("is not root, who can become nobody");
    }
    // Whoever may use it, as Debian's group kvm.
    fs::set_permissions("/dev/kvm", Permissions::from_mode(0o666)).unwrap();
    let start = |_| {
        let mut command = Command::new(Minivmm::binary());
        command.arg("--kernel").arg(bare_guest("wait")).args(["--gdb", "0", "--gdb-nowait"]);
        Minivmm::spawn(command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null()))
    };

    let guests: Vec<Minivmm> = (0..32).map(start).collect();

    let ports: BTreeSet<u16> = guests.iter().map(port).collect();
    for guest in &guests {
        guest.console.expect("waiting\n");
    }
    assert_eq!(ports.len(), guests.len());
    let kib: u64 = guests.iter().map(|guest| pss(guest.pid())).sum();
    assert!(kib < MOST_KIB * guests.len() as u64, "{kib} KiB");
    let mut rsp = Rsp::connect(*ports.first().unwrap());
    assert!(rsp.ask("?").starts_with("T02"));
    for guest in guests {
        guest.signal(Signal::SIGTERM);
        assert_eq!(guest.finish().status, 143);
    }
}

/// The port in a message that ends with `target remote :PORT`.
fn port(minivmm: &Minivmm) -> u16 {
    minivmm.stderr.expect("target remote :");
    minivmm.stderr.expect("\n").trim_end().parse().unwrap()
}

/// What a process has in memory, in KiB, its part of what it shares included.
fn pss(pid: i32) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = maps.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

/// A shell that starts a guest behind this, and tells its process.
fn shell(before: &str, socket: &str) -> (Minivmm, Pid) {
    let script = format!(
        "{before} {} --kernel {} --gdb unix:{socket} --gdb-nowait & echo pid $!; wait",
        Minivmm::binary().display(),
        bare_guest("wait").display()
    );
    let shell = Minivmm::spawn(Command::new("sh").args(["-c", &script]).stdin(Stdio::null()));
    shell.console.expect("pid ");
    let pid = shell.console.expect("\n").trim_end().parse().unwrap();
    shell.stderr.expect("listening");
    (shell, Pid::from_raw(pid))
}

#[test]
fn a_guest_ends_with_its_parent_and_leaves_no_socket_behind() {
    let socket = temp_dir().join(format!("minivmm-many-{}.sock", id()));
    let (shell, _) = shell("", socket.to_str().unwrap());
    assert!(socket.exists());

    shell.signal(Signal::SIGKILL);

    // Ends when the guest has let go of it.
    let finished = shell.finish();
    assert!(
        finished.stderr.ends_with("minivmm: stopped with the process that started it\n"),
        "{}",
        finished.stderr
    );
    assert!(!socket.exists());
}

#[test]
fn a_guest_that_ignores_sighup_outlives_its_parent() {
    let socket = temp_dir().join(format!("minivmm-many-{}.sock", id()));
    let (shell, guest) = shell("trap '' HUP;", socket.to_str().unwrap());

    shell.signal(Signal::SIGKILL);
    shell.stderr.expect("\n");
    kill(guest, Signal::SIGTERM).unwrap();

    let finished = shell.finish();
    assert!(finished.stderr.ends_with("minivmm: stopped by signal 15\n"), "{}", finished.stderr);
}
