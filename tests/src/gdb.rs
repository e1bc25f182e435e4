//! GDB as a process, driven by commands as typed.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::Path;

use crate::client::Client;

/// The versions of GDB that the tests know.
#[derive(Clone, Copy, Debug)]
pub enum Version {
    /// Debian 12's, which is used where the version does not matter.
    V13,
    /// Debian 13's.
    V16,
    /// Newer ones.
    V18,
}

impl Version {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::V13 => "gdb-multiarch",
            Self::V16 => "gdb-16",
            Self::V18 => "gdb-18",
        }
    }
}

/// A running GDB.
pub struct Gdb {
    client: Client,
    commands: usize,
}

impl Gdb {
    /// Starts GDB 13 with these symbols, or none.
    pub fn start(symbols: Option<&Path>) -> Self {
        Self::start_version(Version::V13, symbols)
    }

    /// Starts this GDB with these symbols, or none.
    pub fn start_version(version: Version, symbols: Option<&Path>) -> Self {
        Self::start_in(Path::new("."), version.program(), symbols)
    }

    /// Starts a GDB in a folder with these arguments.
    pub fn start_in(
        folder: &Path,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Self {
        Self::of(Client::start(folder, &command(program, arguments)))
    }

    /// Starts GDB 13 on the machine that the test runs on, also where it is the emulated host: the other end of a Unix socket or of a pipe is
    /// only there.
    pub fn start_inside(symbols: Option<&Path>) -> Self {
        let command = command(Version::V13.program(), symbols);
        Self::of(Client::start_inside(Path::new("."), &command))
    }

    fn of(client: Client) -> Self {
        let mut gdb = Self { client, commands: 0 };
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
        self.client.write(&text);
    }

    /// Waits for the command begun last and returns what GDB said.
    pub fn end(&mut self) -> String {
        let mark = self.mark();
        let text = self.client.output.expect(&mark);
        let text = text.strip_suffix(mark.as_str()).unwrap_or(&text);
        text.replace("(gdb) ", "").trim().to_owned()
    }

    /// Connects to a port of this machine, `:1234`, or to a Unix socket.
    pub fn connect(&mut self, target: impl Display) -> String {
        let target = self.target(&target.to_string());
        self.run(&format!("target remote {target}"))
    }

    /// The same in extended mode.
    pub fn connect_extended(&mut self, target: impl Display) -> String {
        let target = self.target(&target.to_string());
        self.run(&format!("target extended-remote {target}"))
    }

    fn target(&self, target: &str) -> String {
        let port = target.strip_prefix(':').and_then(|port| port.parse().ok());
        port.map_or_else(|| target.to_owned(), |port| self.client.address(port))
    }

    /// Value of an expression of at most 64 bits.
    pub fn value(&mut self, expression: &str) -> u64 {
        let said = self.run(&format!("printf \"%#lx\\n\", (unsigned long) ({expression})"));
        let digits = said.strip_prefix("0x").unwrap_or(&said);
        u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{expression}: {said}"))
    }

    /// Steps by so many instructions, one by one, and returns PC after each.
    pub fn steps(&mut self, count: usize) -> Vec<u64> {
        self.run(&format!("set $left = {count}"));
        self.steps_while("$left-- > 0")
    }

    /// Steps by instructions, one by one, while `condition` holds, and returns PC after each.
    pub fn steps_while(&mut self, condition: &str) -> Vec<u64> {
        let said =
            self.run(&format!("while {condition}\nstepi\nprintf \"\\nnow at %#lx\\n\", $pc\nend"));
        let addresses = said.lines().filter_map(|line| line.split("now at 0x").nth(1));
        addresses.map(|digits| u64::from_str_radix(digits, 16).expect("digits")).collect()
    }

    /// Name of the symbol at PC, with the distance from it: "start_kernel + 4".
    pub fn place(&mut self) -> String {
        let said = self.run("info symbol $pc");
        said.split(" in section ").next().unwrap_or_default().to_owned()
    }

    /// Everything that GDB said.
    pub fn transcript(&self) -> String {
        self.client.output.text()
    }

    /// Fails if GDB complained about anything, ever.
    pub fn assert_no_complaint(&self) {
        let text = self.transcript();
        // Kernels come without their sources.
        let has_no_source = |line: &&str| line.ends_with(": No such file or directory");
        // Of the file that it is told of (docs/kernel-addresses.md).
        let opens_file = |line: &&str| {
            line.ends_with(
                "does not support file transfer, attempting to access files from local filesystem.",
            )
        };
        // Beyond the kernel's entry code, where in 7.2 GDB finds another frame.
        let is_end = |line: &&str| line.starts_with("Backtrace stopped: Cannot access memory");
        let is_known = |line: &&str| has_no_source(line) || opens_file(line) || is_end(line);
        let text: Vec<&str> = text.lines().filter(|line| !is_known(line)).collect();
        let text = text.join("\n");
        for complaint in [
            "warning:",
            "Warning:",
            "Remote failure",
            "Remote connection closed",
            "Ignoring packet error",
            "Invalid remote reply",
            "Malformed response",
            "Protocol error",
            "unexpectedly",
            "timed out",
            "Cannot access memory",
            "Cannot insert",
        ] {
            assert!(!text.contains(complaint), "{complaint:?} in\n{text}");
        }
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.client.interrupt();
    }

    fn mark(&self) -> String {
        format!("<end of command {}>", self.commands)
    }
}

/// What every session begins with: nobody's own settings.
fn command(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Vec<OsString> {
    let mut command = vec![program.as_ref().to_owned(), "-nx".into(), "-q".into()];
    command.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
    command
}
