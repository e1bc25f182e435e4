//! minivmm as a child process.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::transcript::Transcript;
use crate::{folder, guest, scratch};

/// A running minivmm. Killed when it is dropped.
pub struct Minivmm {
    child: Child,
    stdin: Option<ChildStdin>,
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
        let mut child = Command::new(folder("MINIVMM_BIN"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("minivmm starts");
        let logs = scratch();
        let console =
            Transcript::of(child.stdout.take().expect("stdout"), &logs.join("console.log"));
        let stderr =
            Transcript::of(child.stderr.take().expect("stderr"), &logs.join("minivmm.log"));
        let stdin = child.stdin.take();
        Self { child, stdin, console, stderr }
    }

    /// Boots Debian's kernel of this version ("6.12") with the busybox initramfs. `init` is what
    /// runs in the guest before it powers off; a shell if it is empty.
    pub fn boot(version: &str, init: &str, more: &[&str]) -> Self {
        let kernel = guest(&format!("Image-{version}"));
        let initrd = guest("initramfs.cpio");
        let cmdline = match init {
            "" => "console=ttyAMA0 panic=-1".to_owned(),
            init => format!("console=ttyAMA0 panic=-1 -- {init}"),
        };
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
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("its address").port()
    }

    /// Sends a signal to minivmm.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("minivmm is there");
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.child.id().try_into().expect("a process id")
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
