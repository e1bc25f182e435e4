//! The kernel's command line.

use std::error::Error;
use std::fmt;

use linux_loader::cmdline::{self, Cmdline};

/// `COMMAND_LINE_SIZE` in Linux arch/arm64/include/uapi/asm/setup.h: bytes, the NUL at the end included.
/// Linux cuts off what is longer.
pub const COMMAND_LINE_SIZE: usize = 2048;

/// A command line that Linux takes whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The text, without the NUL.
    pub text: String,
    /// Whether `nokaslr` was put in.
    pub appended_nokaslr: bool,
}

/// The user's command line, with `nokaslr` added for a debugger unless the user chose.
///
/// To choose is to write `nokaslr` or `kaslr`. The first is Linux's; the second means us alone and is taken out,
/// since arm64 Linux does not know it and would hand it to init as an argument.
/// Words behind `--` are init's: they are no choice, and `nokaslr` goes before them.
pub fn command_line(user: &str, debug: bool) -> Result<CommandLine, CommandLineError> {
    check(user)?;
    let words = words(user);
    let end = words.iter().position(|word| *word == "--");
    let (kernel, init) = words.split_at(end.unwrap_or(words.len()));
    let chosen = kernel.contains(&"nokaslr") || kernel.contains(&"kaslr");
    let appended_nokaslr = debug && !chosen;

    let mut line = Cmdline::new(COMMAND_LINE_SIZE)?;
    let kernel = kernel.iter().filter(|word| **word != "kaslr");
    let nokaslr = appended_nokaslr.then_some(&"nokaslr");
    for word in kernel.chain(nokaslr).chain(init) {
        line.insert_str(word).map_err(|error| match error {
            cmdline::Error::TooLarge => {
                CommandLineError::TooLong { found: user.len(), nokaslr: appended_nokaslr }
            }
            error => error.into(),
        })?;
    }
    let text = line.as_cstring()?.into_string().map_err(|_| cmdline::Error::InvalidAscii)?;
    Ok(CommandLine { text, appended_nokaslr })
}

/// The user's command line with these words for the kernel, unless it says where the root file system is.
pub fn with_root(user: &str, root: &[&str]) -> String {
    with(user, "root=", root)
}

/// The user's command line with these words for the kernel, unless it says what the console is.
pub fn with_console(user: &str, console: &[&str]) -> String {
    with(user, "console=", console)
}

fn with(user: &str, choice: &str, added: &[&str]) -> String {
    let words = words(user);
    let end = words.iter().position(|word| *word == "--");
    let (kernel, init) = words.split_at(end.unwrap_or(words.len()));
    if kernel.iter().any(|word| word.starts_with(choice)) {
        return user.to_owned();
    }
    [kernel, added, init].concat().join(" ")
}

/// Printable ASCII is what every guest takes. Linux would split at a tab or newline too, but show it in its log.
fn check(text: &str) -> Result<(), CommandLineError> {
    match text.char_indices().find(|(_, c)| !matches!(c, ' '..='~')) {
        Some((at, found)) => Err(CommandLineError::Character { found, at }),
        None => Ok(()),
    }
}

/// Splits as Linux lib/cmdline.c `next_arg` does: at spaces outside of double quotes.
fn words(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    })
    .filter(|word| !word.is_empty())
    .collect()
}

/// Why a command line cannot be given to the guest. The user wrote it; nothing has been started.
#[derive(Debug, PartialEq, Eq)]
pub enum CommandLineError {
    /// A character that is not printable ASCII.
    Character {
        /// The character.
        found: char,
        /// Where it is, in bytes.
        at: usize,
    },
    /// Linux would cut it off.
    TooLong {
        /// Length of the user's text in bytes.
        found: usize,
        /// Whether `nokaslr` comes on top.
        nokaslr: bool,
    },
    /// linux-loader refuses it for another reason.
    Other(cmdline::Error),
}

impl From<cmdline::Error> for CommandLineError {
    fn from(error: cmdline::Error) -> Self {
        Self::Other(error)
    }
}

impl fmt::Display for CommandLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { found, at } => {
                write!(f, "character {found:?} at byte {at}, expected printable ASCII")
            }
            Self::TooLong { found, nokaslr } => write!(
                f,
                "{found} bytes{}, expected at most {}",
                if *nokaslr { " and nokaslr" } else { "" },
                COMMAND_LINE_SIZE - 1
            ),
            Self::Other(_) => write!(f, "not a kernel command line"),
        }
    }
}

impl Error for CommandLineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Other(error) => Some(error),
            Self::Character { .. } | Self::TooLong { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_file_system_goes_before_the_words_of_init_unless_the_user_has_one() {
        let root = ["root=r", "rw"];

        assert_eq!(with_root("", &root), "root=r rw");
        assert_eq!(with_root("quiet  -- root=1", &root), "quiet root=r rw -- root=1");
        assert_eq!(with_root("quiet root=/dev/vda --", &root), "quiet root=/dev/vda --");
    }

    #[test]
    fn nokaslr_is_added_for_a_debugger_unless_the_user_chose() {
        for (user, debug, text, appended) in [
            ("console=ttyAMA0", false, "console=ttyAMA0", false),
            ("console=ttyAMA0", true, "console=ttyAMA0 nokaslr", true),
            ("", false, "", false),
            ("", true, "nokaslr", true),
            ("nokaslr quiet", true, "nokaslr quiet", false),
            ("quiet nokaslr", false, "quiet nokaslr", false),
            // `kaslr` is for us, in both cases.
            ("kaslr quiet", true, "quiet", false),
            ("quiet kaslr", false, "quiet", false),
            // A part of a word is no choice, nor is a quoted word.
            ("nokaslr2 x=kaslr", true, "nokaslr2 x=kaslr nokaslr", true),
            ("a=\"b kaslr c\"", true, "a=\"b kaslr c\" nokaslr", true),
        ] {
            let line = command_line(user, debug).unwrap();

            assert_eq!(line.text, text, "{user:?}, debug {debug}");
            assert_eq!(line.appended_nokaslr, appended, "{user:?}, debug {debug}");
        }
    }

    #[test]
    fn words_behind_two_dashes_belong_to_init() {
        for (user, text, appended) in [
            ("quiet -- single", "quiet nokaslr -- single", true),
            ("quiet -- kaslr nokaslr", "quiet nokaslr -- kaslr nokaslr", true),
            ("nokaslr -- single", "nokaslr -- single", false),
            ("-- single", "nokaslr -- single", true),
            ("quiet --", "quiet nokaslr --", true),
            ("a -- b -- c", "a nokaslr -- b -- c", true),
            // These are not the separator.
            ("a --b c", "a --b c nokaslr", true),
            ("a=\"x -- y\" c", "a=\"x -- y\" c nokaslr", true),
        ] {
            let line = command_line(user, true).unwrap();

            assert_eq!(line.text, text);
            assert_eq!(line.appended_nokaslr, appended, "{user:?}");
        }
        assert_eq!(command_line("-- single", false).unwrap().text, "-- single");
    }

    #[test]
    fn spaces_between_words_shrink_and_those_in_quotes_stay() {
        let line = command_line("  a   b=\"c   d\"  e ", false).unwrap();

        assert_eq!(line.text, "a b=\"c   d\" e");
    }

    #[test]
    fn a_console_is_added_before_inits_words_unless_there_is_one() {
        let with = |user| with_console(user, &["console=hvc0", "earlycon"]);

        assert_eq!(with(""), "console=hvc0 earlycon");
        assert_eq!(with("quiet -- sh console=x"), "quiet console=hvc0 earlycon -- sh console=x");
        assert_eq!(with("a console=ttyAMA0 -- b"), "a console=ttyAMA0 -- b");
    }

    #[test]
    fn linux_has_room_for_2047_bytes() {
        let longest = "x".repeat(2047);

        assert_eq!(command_line(&longest, false).unwrap().text, longest);
        assert_eq!(
            command_line(&"x".repeat(2048), false).unwrap_err().to_string(),
            "2048 bytes, expected at most 2047"
        );
    }

    #[test]
    fn nokaslr_needs_room_too() {
        let fits = "x".repeat(2047 - " nokaslr".len());

        assert_eq!(command_line(&fits, true).unwrap().text.len(), 2047);
        assert_eq!(
            command_line(&format!("{fits}x"), true).unwrap_err().to_string(),
            "2040 bytes and nokaslr, expected at most 2047"
        );
    }

    #[test]
    fn names_the_first_character_that_is_not_printable_ascii() {
        for (user, message) in [
            ("a\tb", "character '\\t' at byte 1, expected printable ASCII"),
            ("ab\0", "character '\\0' at byte 2, expected printable ASCII"),
            ("console=ä\n", "character 'ä' at byte 8, expected printable ASCII"),
            ("\x7f", "character '\\u{7f}' at byte 0, expected printable ASCII"),
        ] {
            assert_eq!(command_line(user, true).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn everything_printable_goes_through() {
        let all: String = ('!'..='~').filter(|c| *c != '"').collect();

        assert_eq!(command_line(&all, false).unwrap().text, all);
        assert_eq!(command_line("a=\"open", false).unwrap().text, "a=\"open");
    }
}
