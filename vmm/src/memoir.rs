//! What the lines of a console tell of the guest's life.

use std::collections::VecDeque;
use std::time::Instant;

/// Lines that are kept, the last ones.
const LAST: usize = 50;

/// Warnings that are kept, the first ones.
const WARNINGS: usize = 50;

/// How Linux's warnings begin, behind the time stamp: include/asm-generic/bug.h, kernel/panic.c, mm/kasan, kernel/rcu,
/// kernel/hung_task.c, arch/arm64/kernel/traps.c.
const MARKS: [&str; 7] =
    ["WARNING: ", "BUG: ", "Oops", "Internal error: ", "INFO: task ", "INFO: rcu", "UBSAN: "];

/// Kept while the guest runs.
#[derive(Clone, Default, Debug)]
pub struct Memoir {
    last: VecDeque<String>,
    /// Lines in which the kernel warned.
    pub warnings: Vec<String>,
    /// The kernel's version, if it said so.
    pub version: Option<String>,
    /// When the kernel said that it starts init.
    pub userspace: Option<Instant>,
}

impl Memoir {
    /// Takes a line.
    pub fn take(&mut self, line: &str) {
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
        let text = without_time(line);
        if self.warnings.len() < WARNINGS && MARKS.iter().any(|mark| text.starts_with(mark)) {
            self.warnings.push(line.to_owned());
        }
        if self.version.is_none() {
            self.version = version(text);
        }
        // init/main.c, run_init_process.
        let is_init = text.starts_with("Run ") && text.ends_with(" as init process");
        if is_init && self.userspace.is_none() {
            self.userspace = Some(Instant::now());
        }
    }

    /// The last lines.
    pub fn last_lines(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}

/// A line without what printk puts in front of it: `[    0.123456] ` and, where it says so, `[    T1] `.
fn without_time(mut line: &str) -> &str {
    while let Some(rest) = line.strip_prefix('[') {
        match rest.split_once("] ") {
            Some((_, behind)) => line = behind,
            None => break,
        }
    }
    line
}

/// Of `Linux version 6.12.1 (builder@host) ...` (init/version-timestamp.c).
pub fn version(text: &str) -> Option<String> {
    let version = text.strip_prefix("Linux version ")?.split(' ').next()?;
    let is_version = version.starts_with(|first: char| first.is_ascii_digit());
    is_version.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memoir(lines: &[&str]) -> Memoir {
        let mut memoir = Memoir::default();
        for line in lines {
            memoir.take(line);
        }
        memoir
    }

    #[test]
    fn a_boot_is_understood() {
        let memoir = memoir(&[
            "[    0.000000] Linux version 6.12.9-arm64 (debian@x) (gcc) #1",
            "[    1.5][    T1] WARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2",
            "[    1.700000] Run /init as init process",
            "I say WARNING: nothing",
        ]);

        assert_eq!(memoir.version.as_deref(), Some("6.12.9-arm64"));
        assert!(memoir.userspace.is_some());
        assert_eq!(memoir.warnings.len(), 1);
    }

    #[test]
    fn the_last_lines_and_the_first_warnings_are_kept() {
        let lines: Vec<String> = (0..200).map(|n| format!("BUG: {n}")).collect();
        let memoir = memoir(&lines.iter().map(String::as_str).collect::<Vec<_>>());

        assert_eq!(memoir.last_lines().collect::<Vec<_>>(), lines[150..]);
        assert_eq!(memoir.warnings, lines[..50]);
        assert!(memoir.version.is_none() && memoir.userspace.is_none());
    }

    #[test]
    fn strange_lines_are_lines() {
        for line in
            ["[", "[]", "[] [", "Linux version ", "Linux version %s (%s)", "Run  as init process"]
        {
            assert!(memoir(&[line]).version.is_none());
        }
    }
}
