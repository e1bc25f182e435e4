//! Many guests side by side, without root, and what is left when whoever started them is gone.

use std::collections::BTreeSet;
use std::env::temp_dir;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tests::pages::Xorshift;
use tests::transcript::{PATIENCE, Transcript};
use tests::user::NOBODY;
use tests::{Minivmm, Rsp, Shm, User, bare_guest, guest, scratch, skip};

/// What a guest may take beside its kernel, in KiB: huge pages of RAM that it and its device tree lie in but in part, and what the VMM needs, the
/// program aside, which all share.
const MOST_KIB: u64 = 8 << 10;

/// Length of a kernel file whose pages are all different, in KiB.
const KERNEL_KIB: u64 = 16 << 10;

/// Guests at a time.
const MANY: usize = 32;

#[test]
fn many_kernels_start_side_by_side_without_root_and_end_with_their_parent() {
    if !geteuid().is_root() {
        return skip("is not root, who can become nobody");
    }
    let user = User::new(NOBODY);
    let home = user.home();
    let [minivmm, image] = [Minivmm::binary(), guest("Image-6.12")].map(|file| user.lend(file));
    // Its guests' consoles apart from each other.
    let names: Vec<String> =
        (0..MANY).map(|number| home.join(&format!("console{number}"))).collect();
    assert!(user.command("mkfifo").args(&names).status().unwrap().success());
    let content = entries(home.path());
    let script = r#"
        minivmm=$1 image=$2; shift 2
        for console; do
            "$minivmm" --kernel "$image" --cmdline earlycon --memory 64M --gdb 0 --gdb-nowait </dev/null >"$console" &
            echo "pid $!"
        done
        wait"#;
    let mut parent = user.command("sh");
    parent.args(["-c", script, "sh", &minivmm, &image]).args(&names);
    parent.env("TMPDIR", home.path());

    let parent = Minivmm::spawn(parent.stdin(Stdio::null()));

    let console = |name: &String| {
        let log = Path::new(name).with_extension("log");
        let log = scratch().join(log.file_name().unwrap());
        Transcript::of(File::open(name).unwrap(), &log)
    };
    let consoles: Vec<Transcript> = names.iter().map(console).collect();
    let pids: Vec<i32> = names.iter().map(|_| pid(&parent)).collect();
    let ports: BTreeSet<u16> = names.iter().map(|_| port(&parent)).collect();
    for console in &consoles {
        console.expect("Linux version 6.12");
    }
    assert_eq!(ports.len(), MANY);
    let mut debuggers: Vec<Rsp> = ports.into_iter().map(Rsp::connect).collect();
    for debugger in &mut debuggers {
        assert!(debugger.ask("?").starts_with("T02"));
    }
    // All there at once.
    let kib: u64 = pids.into_iter().map(pss).sum();
    let most = (fs::metadata(&image).unwrap().len() >> 10) + MOST_KIB;
    assert!(kib < most * MANY as u64, "{kib} KiB");

    parent.signal(Signal::SIGKILL);

    for console in consoles {
        console.finish();
    }
    let said = parent.finish().stderr;
    let ends = said.matches("minivmm: stopped with the process that started it\n").count();
    assert_eq!(ends, MANY, "{said}");
    assert_eq!(entries(home.path()), content);
}

/// The names in a folder.
fn entries(folder: &Path) -> BTreeSet<OsString> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

/// What looks for pages with the same content in the host (Linux Documentation/admin-guide/mm/ksm.rst).
const KSM: &str = "/sys/kernel/mm/ksm";

/// The host looks for pages that are the same, without a pause, and as before when this is dropped.
struct Merging(Vec<(PathBuf, String)>);

impl Merging {
    fn start() -> Self {
        let settings = [("sleep_millisecs", "0"), ("pages_to_scan", "1000"), ("run", "1")];
        let set = |(name, value)| {
            let path = Path::new(KSM).join(name);
            let before = fs::read_to_string(&path).unwrap();
            fs::write(&path, value).unwrap();
            (path, before)
        };
        Self(settings.map(set).into())
    }
}

impl Drop for Merging {
    fn drop(&mut self) {
        for (path, before) in &self.0 {
            // The next test is slower if not.
            let _ = fs::write(path, before);
        }
    }
}

#[test]
fn guests_share_the_pages_of_their_kernel_where_the_host_merges_pages() {
    const GUESTS: usize = 4;
    if !geteuid().is_root() || !Path::new(KSM).exists() {
        return skip("lets nobody here have pages merged");
    }
    let folder = Shm::new();
    let kernel = folder.join("kernel");
    let mut random = Xorshift(1);
    let mut bytes = fs::read(bare_guest("wait")).unwrap();
    bytes.extend((0..KERNEL_KIB << 7).flat_map(|_| random.draw().to_le_bytes()));
    fs::write(&kernel, bytes).unwrap();
    let guests = [(); GUESTS].map(|()| Minivmm::start(["--kernel", &kernel]));
    for guest in &guests {
        guest.console.expect("waiting\n");
    }

    let merging = Merging::start();

    let most = KERNEL_KIB + GUESTS as u64 * MOST_KIB;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let kib: u64 = guests.iter().map(|guest| pss(guest.pid())).sum();
        if kib < most {
            break;
        }
        assert!(Instant::now() < deadline, "{kib} KiB, expected less than {most}");
        thread::sleep(Duration::from_millis(100));
    }
    drop(merging);
}

/// A process that the shell has started.
fn pid(shell: &Minivmm) -> i32 {
    shell.console.expect("pid ");
    shell.console.expect("\n").trim_end().parse().unwrap()
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
    let pid = pid(&shell);
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
    let (mut shell, guest) = shell("trap '' HUP;", socket.to_str().unwrap());

    shell.signal(Signal::SIGKILL);
    // Its children have by then what they get at a parent's death (Linux, exit_notify).
    shell.wait();
    let mut debugger = UnixStream::connect(&socket).unwrap();
    debugger.set_read_timeout(Some(PATIENCE)).unwrap();
    debugger.write_all(b"$?#3f").unwrap();
    let mut reply = [0; 5];
    debugger.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+$T02");
    kill(guest, Signal::SIGTERM).unwrap();

    let finished = shell.finish();
    assert!(finished.stderr.ends_with("minivmm: stopped by signal 15\n"), "{}", finished.stderr);
}
