//! GDB as a child process, driven by commands as typed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::scratch;
use crate::transcript::Transcript;

/// A running gdb-multiarch.
pub struct Gdb {
    child: Child,
    stdin: ChildStdin,
    output: Transcript,
    commands: usize,
}

impl Gdb {
    /// Starts GDB with these symbols, or none.
    pub fn start(symbols: Option<&Path>) -> Self {
        // Errors in order with everything else, as on a terminal.
        let mut child = Command::new("sh")
            .args(["-c", "exec gdb-multiarch -nx -q \"$@\" 2>&1", "gdb"])
            .args(symbols)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let log = scratch().join(format!("gdb-{}.log", child.id()));
        let output = Transcript::of(child.stdout.take().expect("stdout"), &log);
        let stdin = child.stdin.take().expect("stdin");
        let mut gdb = Self { child, stdin, output, commands: 0 };
        for setting in ["pagination off", "confirm off", "width 0", "remotetimeout 60"] {
            gdb.run(&format!("set {setting}"));
        }
        gdb
    }

    /// Runs a command to its end and returns what GDB said. A command that resumes the guest ends
    /// when the guest stops.
    pub fn run(&mut self, command: &str) -> String {
        self.begin(command);
        self.end()
    }

    /// Starts a command and does not wait; [`Self::end`] does.
    pub fn begin(&mut self, command: &str) {
        self.commands += 1;
        // GDB reads the second line when the first one is done.
        let text = format!("{command}\necho \\n{}\\n\n", self.mark());
        self.stdin.write_all(text.as_bytes()).expect("GDB reads commands");
    }

    /// Waits for the command begun last and returns what GDB said.
    pub fn end(&mut self) -> String {
        let mark = self.mark();
        let text = self.output.expect(&mark);
        let text = text.strip_suffix(mark.as_str()).unwrap_or(&text);
        text.replace("(gdb) ", "").trim().to_owned()
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let pid = self.child.id().try_into().expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("GDB is there");
    }

    fn mark(&self) -> String {
        format!("<end of command {}>", self.commands)
    }
}

impl Drop for Gdb {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
