//! LLDB as a process, driven by commands as typed.

use std::path::Path;

use crate::client::Client;
use crate::guest;
use crate::transcript::PATIENCE;

/// The program's name.
pub const PROGRAM: &str = "lldb-19";

/// A running LLDB.
pub struct Lldb {
    client: Client,
    commands: usize,
}

impl Lldb {
    /// Starts LLDB with these symbols.
    pub fn start(symbols: &Path) -> Self {
        // What it has found in a vmlinux is kept: that takes it more than a minute.
        let index =
            format!("settings set symbols.lldb-index-cache-path {}", guest("lldb-index").display());
        let command = [PROGRAM, "--no-lldbinit", "--no-use-colors"];
        let settings = ["-O", "settings set symbols.enable-lldb-index-cache true", "-O", &index];
        let mut command: Vec<_> = command.into_iter().chain(settings).map(Into::into).collect();
        command.push(symbols.into());
        let client = Client::start(Path::new("."), &command);
        // LLDB reads all of the debug information first, which takes it minutes on a busy machine.
        client.output.expect_within("Current executable set to ", PATIENCE * 5 / 2);
        let mut lldb = Self { client, commands: 0 };
        // A command that resumes the guest ends when the guest stops, as in GDB.
        lldb.run("script lldb.debugger.SetAsync(False)");
        lldb.run("settings set auto-confirm true");
        lldb.run("settings set plugin.process.gdb-remote.packet-timeout 60");
        lldb
    }

    /// Runs a command to its end and returns what LLDB said. A command that resumes the guest ends
    /// when the guest stops.
    pub fn run(&mut self, command: &str) -> String {
        self.begin(command);
        self.end()
    }

    /// Starts a command and does not wait; [`Self::end`] does.
    pub fn begin(&mut self, command: &str) {
        self.commands += 1;
        // LLDB reads the second line when the first one is done, and echoes both: the mark is in
        // what the second one prints, not in its echo.
        let text = format!("{command}\nscript print('<end of', 'command {}>')\n", self.commands);
        self.client.write(&text);
    }

    /// Waits for the command begun last and returns what LLDB said.
    pub fn end(&mut self) -> String {
        let mark = format!("<end of command {}>", self.commands);
        let text = self.client.output.expect(&mark);
        let text = text.strip_suffix(mark.as_str()).unwrap_or(&text);
        let said: Vec<&str> = text.lines().filter(|line| !line.starts_with("(lldb)")).collect();
        said.join("\n").trim().to_owned()
    }

    /// Connects to a port of this machine.
    pub fn connect(&mut self, port: u16) -> String {
        let address = self.client.address(port);
        // A port alone is one of this machine.
        self.run(&format!("gdb-remote {}", address.trim_start_matches(':')))
    }

    /// Runs a command that ends the session, and waits for LLDB to say so: it does when it likes, before its next prompt or after it.
    pub fn leave(&mut self, command: &str, said: &str) {
        self.client.write(&format!("{command}\n"));
        self.client.output.expect(said);
    }

    /// Value of an expression of at most 64 bits.
    pub fn value(&mut self, expression: &str) -> u64 {
        let said = self.run(&format!("expression -f hex -- (unsigned long) ({expression})"));
        let digits = said.split(" = 0x").nth(1).unwrap_or_else(|| panic!("{expression}: {said}"));
        u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{expression}: {said}"))
    }

    /// Everything that LLDB said.
    pub fn transcript(&self) -> String {
        self.client.output.text()
    }

    /// Fails if LLDB complained about anything, ever.
    pub fn assert_no_complaint(&self) {
        let text = self.transcript();
        for complaint in ["warning:", "error:", "failed to", "timed out", "lost connection"] {
            assert!(!text.contains(complaint), "{complaint:?} in\n{text}");
        }
    }

    /// Lets the guest run and returns at once; [`Self::interrupt`] stops it.
    pub fn resume(&mut self) {
        // While a command runs, LLDB takes the first Ctrl-C for that and not for the guest.
        self.run("script lldb.debugger.SetAsync(True)");
        self.run("continue");
    }

    /// Ctrl-C.
    pub fn interrupt(&mut self) {
        self.client.interrupt();
        self.client.output.expect("stop reason = signal SIGINT");
        self.run("script lldb.debugger.SetAsync(False)");
    }
}
