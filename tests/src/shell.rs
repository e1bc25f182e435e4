//! A shell in a Linux guest that runs one command after the other.

use crate::minivmm::{Finished, Minivmm};

/// A booted guest. Its shell reads the console as a script, so it shows no prompt and no echo, and
/// what is on the console is what a command has written.
pub struct Shell {
    /// The machine.
    pub minivmm: Minivmm,
    commands: usize,
}

/// What a kernel command line has behind its ` -- `. Runs as a child of the guest's init, which powers off after it.
pub const INIT: &str = "sh -c \"stty -echo; echo READY; exec sh /dev/console\"";

impl Shell {
    /// Boots Debian's kernel of this version ("6.12") to a shell.
    pub fn boot(version: &str, more: &[&str]) -> Self {
        Self::boot_with("console=ttyAMA0 quiet panic=-1", version, more)
    }

    /// As [`Self::boot`], with a kernel command line of one's own.
    pub fn boot_with(cmdline: &str, version: &str, more: &[&str]) -> Self {
        Self::on(Minivmm::boot_with(&format!("{cmdline} -- {INIT}"), version, more))
    }

    /// The shell of a machine that boots with [`INIT`].
    pub fn on(minivmm: Minivmm) -> Self {
        minivmm.console.expect("READY\r\n");
        Self { minivmm, commands: 0 }
    }

    /// Runs a command to its end and returns what it wrote, without white space at the end.
    pub fn run(&mut self, command: &str) -> String {
        self.begin(command);
        self.commands += 1;
        let mark = format!("<end of command {}>", self.commands);
        self.minivmm.send(&format!("echo '{mark}'\n"));
        let text = self.minivmm.console.expect(&mark);
        let text = text.strip_suffix(mark.as_str()).unwrap_or(&text);
        text.replace("\r\n", "\n").trim_end().trim_start_matches('\n').to_owned()
    }

    /// Starts a command and does not wait.
    pub fn begin(&mut self, command: &str) {
        self.minivmm.send(&format!("{command}\n"));
    }

    /// Address of a symbol of the kernel.
    pub fn kernel_symbol(&mut self, name: &str) -> u64 {
        let line = self.run(&format!("grep ' {name}$' /proc/kallsyms"));
        let digits = line.split(' ').next().unwrap_or_default();
        u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{name}: {line}"))
    }

    /// Runs a command that ends the machine.
    pub fn finish(mut self, command: &str) -> Finished {
        self.begin(command);
        self.minivmm.finish()
    }
}
