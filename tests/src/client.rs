//! Debuggers as processes: a child of the test, or, for a test in the emulated host, one on the machine around it, where debuggers are ten
//! times as fast (docs/testing.md).
//!
//! `scripts/host --clients` says in the environment what there is for the latter: `MINIVMM_HOST_CLIENTS`, the address at which the ports of
//! the emulated host are found on that machine. The other side is `scripts/host-client`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::scratch;
use crate::transcript::{PATIENCE, Transcript};

/// Where the emulated host starts a debugger on the machine around it (`guestfwd` in scripts/host).
const STARTER: &str = "10.0.2.100:1";

/// What is typed for it.
const CTRL_C: u8 = 3;

/// A running debugger. Killed when it is dropped.
pub struct Client {
    process: Process,
    /// What it writes: errors in order with everything else, as on a terminal.
    pub output: Transcript,
}

enum Process {
    Child(Child, ChildStdin),
    /// On the machine around the emulated host.
    Outside {
        keys: TcpStream,
        address: String,
    },
}

impl Client {
    /// Starts a debugger, outside where there is an outside.
    pub fn start(folder: &Path, command: &[OsString]) -> Self {
        match env::var("MINIVMM_HOST_CLIENTS") {
            Ok(address) => Self::start_outside(folder, command, address),
            Err(_) => Self::start_inside(folder, command),
        }
    }

    /// Starts a debugger as a child, wherever the test runs.
    pub fn start_inside(folder: &Path, command: &[OsString]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let output = Transcript::of(child.stdout.take().expect("stdout"), &log(command));
        let stdin = child.stdin.take().expect("stdin");
        Self { process: Process::Child(child, stdin), output }
    }

    fn start_outside(folder: &Path, command: &[OsString], address: String) -> Self {
        let folder = folder.canonicalize().expect("the folder is there");
        let words = [folder.as_os_str()].into_iter().chain(command.iter().map(OsString::as_os_str));
        let words = words.map(OsStr::as_bytes).collect::<Vec<_>>().join(&0);
        let len = u32::try_from(words.len()).expect("a command line");
        let mut keys = TcpStream::connect(STARTER).expect("the machine around this one");
        keys.set_nodelay(true).expect("TCP_NODELAY");
        keys.write_all(&[&len.to_be_bytes(), words.as_slice()].concat()).expect("it reads");
        let output = Transcript::of(keys.try_clone().expect("a descriptor"), &log(command));
        Self { process: Process::Outside { keys, address }, output }
    }

    /// Types.
    pub fn write(&mut self, text: &str) {
        let written = match &mut self.process {
            Process::Child(_, stdin) => stdin.write_all(text.as_bytes()),
            Process::Outside { keys, .. } => keys.write_all(text.as_bytes()),
        };
        written.expect("the debugger reads commands");
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        match &self.process {
            Process::Child(child, _) => {
                let pid = child.id().try_into().expect("a process id");
                kill(Pid::from_raw(pid), Signal::SIGINT).expect("the debugger is there");
            }
            Process::Outside { keys, .. } => {
                let mut keys: &TcpStream = keys;
                keys.write_all(&[CTRL_C]).expect("the debugger is there");
            }
        }
    }

    /// What the debugger calls this port of the machine that the test runs on: `:1234`.
    pub fn address(&self, port: u16) -> String {
        match &self.process {
            Process::Child(..) => format!(":{port}"),
            Process::Outside { address, .. } => {
                // Where nobody listens yet a debugger tries again; but on its way there QEMU answers for everyone.
                wait_for_listener(port);
                format!("{address}:{port}")
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Ended already is as good.
        match &mut self.process {
            Process::Child(child, _) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Process::Outside { keys, .. } => {
                let _ = keys.shutdown(Shutdown::Write);
                self.output.wait_for_end();
            }
        }
    }
}

/// A new file for what the debugger says.
fn log(command: &[OsString]) -> std::path::PathBuf {
    static STARTED: AtomicU32 = AtomicU32::new(1);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let program = command.first().expect("a program").to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default();
    scratch().join(format!("{program}-{number}.log"))
}

/// Waits until something listens on a port of the machine that the test runs on. The kernel has no event for that.
fn wait_for_listener(port: u16) {
    // Local address, remote address, state: listening (Linux, Documentation/networking/proc_net_tcp.rst).
    let (local, state) = (format!(":{port:04X} "), ":0000 0A ");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sockets = std::fs::read_to_string("/proc/net/tcp").expect("sockets");
        if sockets.lines().any(|line| line.contains(&local) && line.contains(state)) {
            return;
        }
        assert!(Instant::now() < deadline, "nobody listens on port {port}");
        thread::sleep(Duration::from_millis(5));
    }
}
