//! minivmm as a child process.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::transcript::Transcript;
use crate::{bare_guest, folder, guest, scratch};

/// What Linux is told to leave out at boot, in front of every command line: tests of its own ciphers and of a source of random numbers,
/// which are more than half of what it executes until init starts, and of the rest a fifth: certificates, and types of BPF's.
pub const QUICK: &str = "cryptomgr.notests=1 initcall_blacklist=jent_mod_init,bpf_tcp_ca_kfunc_init,bpf_dummy_struct_ops_init,load_system_certificate_list";

/// A running minivmm. Killed when it is dropped.
pub struct Minivmm {
    child: Child,
    stdin: Option<File>,
    /// The guest's console.
    pub console: Transcript,
    /// What minivmm itself says.
    pub stderr: Transcript,
}

/// How a minivmm ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status.
    pub status: i32,
    /// The guest's console, all of it.
    pub console: String,
    /// What minivmm itself said.
    pub stderr: String,
}

impl Minivmm {
    /// Starts minivmm with these arguments and nothing else.
    pub fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::spawn(Command::new(Self::binary()).args(arguments).stdin(Stdio::piped()))
    }

    /// Starts minivmm with a new terminal as its standard input and output. Also returns the
    /// terminal's other end, which tells its settings.
    pub fn start_on_terminal(
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> (Self, OwnedFd) {
        Self::spawn_on_terminal(Command::new(Self::binary()).args(arguments))
    }

    /// Starts a command that becomes minivmm on a new terminal, as [`Self::start_on_terminal`].
    pub fn spawn_on_terminal(command: &mut Command) -> (Self, OwnedFd) {
        let terminal = openpty(None, None).expect("a pseudo-terminal");
        let clone = |fd: &OwnedFd| fd.try_clone().expect("another descriptor");
        let child = command
            .stdin(clone(&terminal.slave))
            .stdout(terminal.slave)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        // Only minivmm has the terminal open, so that its output ends when minivmm does.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let [keys, screen] = [(); 2].map(|()| File::from(clone(&terminal.master)));
        (Self::of(child, Some(keys), screen), terminal.master)
    }

    /// Starts a command that becomes minivmm, with pipes for its output.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let stdin = child.stdin.take().map(|stdin| File::from(OwnedFd::from(stdin)));
        let stdout = child.stdout.take().expect("stdout");
        Self::of(child, stdin, stdout)
    }

    fn of(mut child: Child, stdin: Option<File>, stdout: impl Read + Send + 'static) -> Self {
        let logs = scratch();
        let pid = child.id();
        let console = Transcript::of(stdout, &logs.join(format!("console-{pid}.log")));
        let stderr = child.stderr.take().expect("stderr");
        let stderr = Transcript::of(stderr, &logs.join(format!("minivmm-{pid}.log")));
        Self { child, stdin, console, stderr }
    }

    /// The program under test.
    pub fn binary() -> PathBuf {
        folder("MINIVMM_BIN")
    }

    /// Boots Debian's kernel of this version ("6.12") with the busybox initramfs. `init` is what
    /// runs in the guest before it powers off; a shell if it is empty.
    pub fn boot(version: &str, init: &str, more: &[&str]) -> Self {
        match init {
            "" => Self::boot_with("console=ttyAMA0 panic=-1", version, more),
            init => Self::boot_with(&format!("console=ttyAMA0 panic=-1 -- {init}"), version, more),
        }
    }

    /// As [`Self::boot`], with a kernel command line of one's own behind [`QUICK`].
    pub fn boot_with(cmdline: &str, version: &str, more: &[&str]) -> Self {
        let cmdline = format!("{QUICK} {cmdline}");
        let kernel = guest(&format!("Image-{version}"));
        let initrd = guest("initramfs.cpio");
        let fixed = [
            OsStr::new("--kernel"),
            kernel.as_os_str(),
            OsStr::new("--initrd"),
            initrd.as_os_str(),
            OsStr::new("--cmdline"),
            OsStr::new(&cmdline),
        ];
        Self::start(fixed.into_iter().chain(more.iter().map(OsStr::new)))
    }

    /// Starts a bare-metal guest of tests/guests.
    pub fn start_bare(name: &str, more: &[&str]) -> Self {
        let kernel = bare_guest(name);
        let fixed = [OsStr::new("--kernel"), kernel.as_os_str()];
        Self::start(fixed.into_iter().chain(more.iter().map(OsStr::new)))
    }

    /// Types into the guest's console.
    pub fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(text.as_bytes()).expect("minivmm reads its standard input");
    }

    /// Ends standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// A TCP port that nobody listens on.
    pub fn free_port() -> u16 {
        let listener = match env::var("MINIVMM_TEST_PORTS") {
            Ok(range) => Self::listen_within(&range),
            Err(_) => TcpListener::bind("127.0.0.1:0"),
        };
        listener.and_then(|listener| listener.local_addr()).expect("a free port").port()
    }

    /// On the next port of those that debuggers outside of the emulated host can reach, "20000-20015", which this test alone uses.
    fn listen_within(range: &str) -> io::Result<TcpListener> {
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        let (first, last) = range.split_once('-').expect("a range");
        let [first, last] = [first, last].map(|port| port.parse::<u16>().expect("a port"));
        let count = last - first + 1;
        // Not with the one that the test before it has used: what is left of its connections is there for a minute.
        let start = process::id() as u16;
        let mut listener = Err(ErrorKind::AddrInUse.into());
        for _ in 0..count {
            let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
            let port = first + start.wrapping_add(taken) % count;
            listener = TcpListener::bind(("127.0.0.1", port));
            if listener.is_ok() {
                break;
            }
        }
        listener
    }

    /// Sends a signal to minivmm.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("minivmm is there");
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.child.id().try_into().expect("a process id")
    }

    /// Waits for the end of the process alone: what it has started may have its output open.
    pub fn wait(&mut self) {
        self.child.wait().expect("wait");
    }

    /// Waits for the end. Panics with what there is if it does not come.
    pub fn finish(mut self) -> Finished {
        // The transcripts end when minivmm closes its ends.
        let console = self.console.finish();
        let stderr = self.stderr.finish();
        let status = self.child.wait().expect("wait");
        Finished { status: status.code().unwrap_or(-1), console, stderr }
    }
}

impl Drop for Minivmm {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
