//! `monitor` commands: minivmm's own, typed into the debugger.

use gdbstub::TargetError;

/// Takes the output of a command, piece by piece.
type Print<'a> = dyn FnMut(&str) + 'a;

/// A command, and what `help` says of it.
struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(&mut Print<'_>),
}

const COMMANDS: &[Command] = &[
    Command { name: "help", help: "lists these commands", run: help },
    // The kernel's scripts/gdb take this one's silence for a stub without threads for CPUs.
    Command { name: "info version", help: "prints the version of minivmm", run: version },
];

/// Runs a command and hands its output to `print`. Words may have any blanks between them.
pub fn run(command: &str, print: &mut Print<'_>) -> Result<(), TargetError> {
    let words = command.split_whitespace().collect::<Vec<_>>().join(" ");
    match COMMANDS.iter().find(|command| command.name == words) {
        Some(command) => {
            (command.run)(print);
            Ok(())
        }
        None => Err(TargetError::Invalid(format!(
            "monitor: no command is called {words:?}, monitor help lists them"
        ))),
    }
}

fn help(print: &mut Print<'_>) {
    for command in COMMANDS {
        print(&format!("{:<14} {}\n", command.name, command.help));
    }
}

fn version(print: &mut Print<'_>) {
    print(concat!("minivmm ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(command: &str) -> Result<String, String> {
        let mut text = String::new();
        run(command, &mut |piece| text += piece).map_err(|error| error.to_string())?;
        Ok(text)
    }

    #[test]
    fn help_lists_every_command() {
        let help = output("help").unwrap();

        assert_eq!(help.lines().count(), COMMANDS.len());
        assert!(help.contains("info version   prints the version of minivmm\n"), "{help}");
    }

    #[test]
    fn the_version_is_that_of_the_package() {
        assert_eq!(output("info  version").unwrap(), "minivmm 0.1.0\n");
    }

    #[test]
    fn what_is_no_command_is_named() {
        assert_eq!(
            output("info registers").unwrap_err(),
            "monitor: no command is called \"info registers\", monitor help lists them"
        );
    }
}
