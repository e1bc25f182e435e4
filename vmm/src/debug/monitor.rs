//! `monitor` commands: minivmm's own, typed into the debugger.
//!
//! [`table`] says what there is, and [`arguments`] reads what comes behind a command's name; both are pure. A
//! command that looks at the guest has a file of its own here, with the parts that need no KVM beside it or in
//! `arch`; `run` leads to it.

pub mod arguments;
#[cfg(target_arch = "aarch64")]
mod catch;
mod dts;
mod dump;
#[cfg(target_arch = "aarch64")]
mod exits;
#[cfg(target_arch = "aarch64")]
mod gic;
#[cfg(target_arch = "aarch64")]
mod kernel;
#[cfg(target_arch = "aarch64")]
mod life;
mod output;
#[cfg(target_arch = "aarch64")]
mod pagetable;
#[cfg(target_arch = "aarch64")]
mod registers;
#[cfg(target_arch = "aarch64")]
mod run;
mod table;
#[cfg(target_arch = "aarch64")]
mod timers;
#[cfg(target_arch = "aarch64")]
mod translate;
mod units;
#[cfg(target_arch = "aarch64")]
mod vcpus;
#[cfg(target_arch = "aarch64")]
mod xp;

use gdbstub::TargetError;

use self::table::{COMMANDS, Command, Name};

#[cfg(target_arch = "aarch64")]
pub use run::run;

/// Takes the output of a command, piece by piece.
pub type Print<'a> = dyn FnMut(&str) + 'a;

/// What somebody typed: the command, and the words behind its name.
type Typed<'a> = (Name, Vec<&'a str>);

/// Finds the command. Words may have any blanks between them; what stands behind a slash in the first one is an
/// argument (`xp/4xw`).
fn parse(text: &str) -> Result<Typed<'_>, TargetError> {
    let first = text.split_whitespace().next().unwrap_or_default();
    let (start, behind) = text.trim_start().split_at(first.find('/').unwrap_or(first.len()));
    let words: Vec<&str> = start.split_whitespace().chain(behind.split_whitespace()).collect();
    match find(&words) {
        Some(command) => {
            let arguments = words.into_iter().skip(command.name.split(' ').count()).collect();
            Ok((command.id, arguments))
        }
        None => Err(TargetError::Invalid(format!(
            "monitor: no command is called {:?}, monitor help lists them",
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        ))),
    }
}

/// The command whose name these words begin with.
fn find(words: &[&str]) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| {
        let mut words = words.iter().copied();
        command.name.split(' ').all(|word| words.next() == Some(word))
    })
}

/// Lists the commands, or tells all about one.
fn help(words: &[&str], print: &mut Print<'_>) -> Result<(), TargetError> {
    if words.is_empty() {
        for command in COMMANDS {
            print(&format!("{:<15} {}\n", command.name, command.summary));
        }
        return Ok(());
    }
    let Some(command) = find(words) else {
        return Err(TargetError::Invalid(format!(
            "help: no command is called {:?}, monitor help lists them",
            words.join(" ")
        )));
    };
    print(&format!("monitor {}\n{}\n", command.syntax, command.details));
    Ok(())
}

fn version(print: &mut Print<'_>) {
    print(concat!("minivmm ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> Result<String, String> {
        let mut text = String::new();
        help(words, &mut |piece| text += piece).map_err(|error| error.to_string())?;
        Ok(text)
    }

    #[test]
    fn help_lists_every_command_in_a_line() {
        let help = told(&[]).unwrap();

        assert_eq!(help.lines().count(), COMMANDS.len());
        assert!(help.contains("info version    prints the version of minivmm\n"), "{help}");
    }

    #[test]
    fn help_on_a_command_has_its_syntax_first() {
        let help = told(&["info", "version"]).unwrap();

        assert!(help.starts_with("monitor info version\n"), "{help}");
        assert_eq!(
            told(&["jump"]).unwrap_err(),
            "help: no command is called \"jump\", monitor help lists them"
        );
    }

    #[test]
    fn the_version_is_that_of_the_package() {
        let mut text = String::new();
        version(&mut |piece| text += piece);

        assert_eq!(text, "minivmm 0.1.0\n");
    }

    #[test]
    fn a_name_may_have_two_words_and_what_follows_are_arguments() {
        assert_eq!(parse("info  version").unwrap(), (Name::Version, vec![]));
        assert_eq!(parse(" help info\tversion ").unwrap(), (Name::Help, vec!["info", "version"]));
    }

    #[test]
    fn what_is_no_command_is_named() {
        for (text, said) in [("jump  up", "jump up"), ("info", "info"), ("", "")] {
            assert_eq!(
                parse(text).unwrap_err().to_string(),
                format!("monitor: no command is called {said:?}, monitor help lists them")
            );
        }
    }
}
