//! All commands, and what `help` says of them. docs/monitor.md has the same texts; a test compares them.

/// Which command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    Help,
    Version,
    Translate,
    PageTable,
    Xp,
    Vcpus,
    Kernel,
    Timers,
    Gic,
    Exits,
    DeviceTree,
    Catch,
    Reset,
    Quit,
    Registers,
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
    Command {
        id: Name::Translate,
        name: "translate",
        syntax: "translate VA",
        summary: "walks the tables for a virtual address, level by level",
        details: "\
Walks the stage-1 tables for a virtual address as the selected vCPU would: each level's table, the entry in it and the
descriptor there; what the last one says of memory, access rights and flags; or why the walk ended without a page.
Rights are what the descriptors say, PAN and WXN aside. At EL0, where the kernel is not mapped (KPTI), upper addresses
go by the tables that a vCPU was last seen with at EL1, which is said.",
    },
    Command {
        id: Name::PageTable,
        name: "pagetable",
        syntax: "pagetable [lower|upper|VA]",
        summary: "lists what is mapped, neighbours of a kind in one line",
        details: "\
Lists what the selected vCPU's tables map: of both halves, of one, or from an address to the end of its half. Neighbours
with the same rights, memory type and nG are one line, with their size and where they lead: to one piece of physical
memory, or to so many. It ends after 2^20 descriptors, and says from where to go on.",
    },
    Command {
        id: Name::Xp,
        name: "xp",
        syntax: "xp[/[COUNT][FORMAT][SIZE]] PA",
        summary: "shows physical memory",
        details: "\
Shows guest memory by its physical address: COUNT of them (1), in FORMAT x (hexadecimal, the default), d (signed), u
(unsigned), o (octal) or c (characters), each of SIZE b, h, w (the default) or g: 1, 2, 4 or 8 bytes. There is no i: debuggers
disassemble. Breakpoints of the debugger's are not shown, but what they stand on. Devices are not read, for that changes them.",
    },
    Command {
        id: Name::Vcpus,
        name: "vcpus",
        syntax: "vcpus",
        summary: "shows where each vCPU stands",
        details: "\
Shows for each vCPU whether it is on (PSCI), its PC and exception level, whether its MMU is on, MPIDR_EL1, and the host's
number of its thread, for tools such as top. `behind WFI` means that it was waiting for an interrupt. The selected one has a star.",
    },
    Command {
        id: Name::Kernel,
        name: "kernel",
        syntax: "kernel",
        summary: "says where the kernel is, in memory and by its symbols",
        details: "\
Says where the kernel is. `image`: where its Image lies in physical memory, `none` if it is no Linux. `symbols`: the file that GDB is
told of. `link`: the address of `_text` as linked, `unknown` without symbols of this very build. `text`: that address as the
kernel runs, or will run. `slide`: the distance between the two. With KASLR on, before the kernel has moved itself, the last two are
what a second guest made of the same seed; `unknown` if that cannot be had.",
    },
    Command {
        id: Name::Timers,
        name: "timers",
        syntax: "timers",
        summary: "shows the timers of each vCPU",
        details: "\
Shows for each vCPU the virtual and the physical timer: control and compare value, the counter now (it goes on while the guest
is stopped), and in how many microseconds the timer fires, or for how long its condition has been met; and CNTKCTL_EL1, which says
what EL0 may use. Where the host's KVM does not tell of one, that is said.",
    },
    Command {
        id: Name::Gic,
        name: "gic",
        syntax: "gic [all]",
        summary: "shows the interrupts that are enabled, pending or active",
        details: "\
Shows each vCPU's CPU interface with its private interrupts (SGIs and PPIs), then the shared ones (SPIs) with the vCPU that they
go to: those that are enabled, pending or active, or all; SGIs, which are always enabled, if pending or active. `line` is the input's level, which KVM tells of a GICv3 only; that
of a timer which fires while the guest is stopped goes up when it runs. Reading changes nothing.",
    },
    Command {
        id: Name::Exits,
        name: "exits",
        syntax: "exits [reset]",
        summary: "counts what the vCPUs have left the guest for",
        details: "\
Counts, for each vCPU, why KVM_RUN came back to minivmm, with the time until it was called again: what minivmm took to handle
it, parked vCPUs aside. What KVM handles by itself (stage-2 faults, the GIC, timers, WFI) is not in it, nor what an open window over
the UART keeps from exiting. `interrupted` are kicks, by which a vCPU is parked. `reset` begins anew.",
    },
    Command {
        id: Name::DeviceTree,
        name: "dtb",
        syntax: "dtb",
        summary: "shows the device tree that the guest got",
        details: "\
Shows the device tree as the guest got it, as source: minivmm's own or that of --dtb. What the guest has done to it since is not in
it. Values that look like strings are written as such, else as cells of 32 bits, else as bytes.",
    },
    Command {
        id: Name::Catch,
        name: "catch",
        syntax: "catch [brk on|off [IMM] | panic on|off [VA] | exception CLASS|off]",
        summary: "stops at the guest's own BRKs, panics and exceptions",
        details: "\
Stops with SIGTRAP, and says why, before the guest sees
- `brk`: its own BRKs, all or those with an immediate: BUG, WARN, KASAN, UBSAN, kprobes. Resumed, the guest gets its BRK as always.
- `panic`: the kernel's panic, at its first instruction: VA, or where its symbols have it. It takes a hardware breakpoint.
- `exception`: exceptions to EL1 of a class, by number or name (a wrong name gets the list): at the first instruction of their vector.
Alone it lists what is caught. Catches stay when the guest is run again or reset, and go when the debugger detaches.",
    },
    Command {
        id: Name::Reset,
        name: "reset",
        syntax: "reset",
        summary: "makes the guest anew, stopped at its first instruction",
        details: "\
Makes the guest anew from its files, as they are then, and stops it at its first instruction. The debugger's breakpoints and
watchpoints are set again, as far as they can be, and catches stay. The debugger is not told that everything has changed:
in GDB, `maintenance flush register-cache` makes it look again.",
    },
    Command {
        id: Name::Quit,
        name: "quit",
        syntax: "quit",
        summary: "ends minivmm",
        details: "Ends the guest and minivmm, with exit status 0, as the debugger's kill does.",
    },
    Command {
        id: Name::Registers,
        name: "info registers",
        syntax: "info registers [all]",
        summary: "shows the registers of the selected vCPU, fields decoded",
        details: "\
Shows the registers of the selected vCPU: general ones, and system registers by their names in the architecture, which debuggers
take as well (`p $TCR_EL1`); of the well-known ones the fields that are not 0, and the class of ESR_EL1 in words. With `all` also
performance monitors, debug registers and ID registers. Some cannot be read and say so.",
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
