//! All commands, and what `help` says of them. docs/monitor.md has the same texts; a test compares them.

/// Which command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    Help,
    Version,
}

/// What `help` says of a command.
pub struct Command {
    /// Which.
    pub id: Name,
    /// Its one or two words.
    pub name: &'static str,
    /// The name and what comes behind it: optional parts in brackets, alternatives with a bar in between.
    pub syntax: &'static str,
    /// One line.
    pub summary: &'static str,
    /// All there is to know, without the line feed at its end.
    pub details: &'static str,
}

/// Every command there is.
pub const COMMANDS: &[Command] = &[
    Command {
        id: Name::Help,
        name: "help",
        syntax: "help [COMMAND]",
        summary: "lists these commands, or tells all about one",
        details: "Lists all commands, or tells the syntax and the details of one.",
    },
    // The kernel's scripts/gdb take this one's silence for a stub without threads for CPUs.
    Command {
        id: Name::Version,
        name: "info version",
        syntax: "info version",
        summary: "prints the version of minivmm",
        details: "Prints the version of minivmm.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of docs/monitor.md that is about a command.
    fn documented(command: &Command) -> Option<&'static str> {
        const DOCS: &str = include_str!("../../../../docs/monitor.md");
        let heading = format!("\n## {}\n", command.name);
        let (_, rest) = DOCS.split_once(&heading)?;
        rest.split("\n## ").next()
    }

    #[test]
    fn a_syntax_begins_with_the_name() {
        for command in COMMANDS {
            assert!(command.syntax.starts_with(command.name), "{}", command.name);
        }
    }

    #[test]
    fn no_name_hides_another() {
        for (index, command) in COMMANDS.iter().enumerate() {
            let longer = format!("{} ", command.name);
            assert!(COMMANDS[index..].iter().all(|later| !later.name.starts_with(&longer)));
        }
    }

    #[test]
    fn the_documentation_has_each_command_with_its_syntax_and_its_details() {
        for command in COMMANDS {
            let text = documented(command).unwrap_or_else(|| panic!("{}", command.name));
            assert!(text.contains(&format!("`monitor {}`", command.syntax)), "{}", command.name);
            assert!(text.contains(command.details), "{}: {}", command.name, command.details);
        }
    }
}
