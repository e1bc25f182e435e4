//! The command line: words to a checked [`Config`]. Pure; no file is opened here.

mod console;
pub mod ending;
pub mod network;
mod storage;
pub mod vsock;

use std::path::PathBuf;

use argh::FromArgs;

pub use console::{Console, Port};
pub use ending::{Ending, Pattern};
pub use storage::{Disk, Share};

use crate::arch::features::{Choices, Feature};

/// Boot an arm64 Linux kernel in KVM, with a GDB server built in.
#[derive(FromArgs, Debug)]
#[argh(
    note = "Sizes take K, M or G. Ctrl-A x quits, Ctrl-A h lists the keys.",
    note = "",
    error_code(0, "The guest powered off, --until matched, or the debugger killed it."),
    error_code(1, "The host or minivmm failed."),
    error_code(2, "Bad command line or unusable file; nothing was started."),
    error_code(32, "The guest asked for a reset."),
    error_code(33, "The guest crashed."),
    error_code(34, "The guest's kernel panicked, or --fail-on matched."),
    error_code(124, "--timeout passed."),
    error_code(129, "The process that started it is gone, or SIGHUP."),
    error_code(130, "The user stopped it, by Ctrl-A x or SIGINT."),
    error_code(143, "SIGTERM stopped it; another signal N: 128 + N.")
)]
struct Args {
    /// arm64 Image (compressed, EFI zboot), its vmlinux, or a flat binary to load at RAM + 0x80000
    #[argh(option, arg_name = "FILE")]
    kernel: Option<PathBuf>,

    /// initial RAM disk
    #[argh(option, arg_name = "FILE")]
    initrd: Option<PathBuf>,

    /// kernel command line
    #[argh(option, arg_name = "STR", default = "String::new()")]
    cmdline: String,

    /// guest RAM (default 512M)
    #[argh(option, arg_name = "SIZE", default = "String::from(\"512M\")")]
    memory: String,

    /// number of vCPUs (default 1)
    #[argh(option, arg_name = "N", default = "String::from(\"1\")")]
    cpus: String,

    /// features that the CPUs have or lack: mte, pauth, pmu, sve as NAME=on or NAME=off, with commas
    #[argh(option, arg_name = "LIST")]
    cpu_features: Option<String>,
    /// a disk: a raw image, a block device, or with ,ro a qcow2 image; ,ro keeps it from being written, ,serial=TEXT names it
    #[argh(option, arg_name = "PATH")]
    disk: Vec<String>,

    /// a folder, by virtio-fs; ,tag=NAME names it (share0, share1, ...; root: the root file system), ,ro keeps it from being changed
    #[argh(option, arg_name = "DIR")]
    share: Vec<String>,

    /// a network: tap=NAME, an interface of the host's, or passt=PATH, passt's socket; then ,mac=ADDRESS
    #[argh(option, arg_name = "NETWORK")]
    net: Option<String>,

    /// sockets: cid=N,path=PATH, the guest's context and the Unix socket that leads to it
    #[argh(option, arg_name = "SOCKETS")]
    vsock: Option<String>,

    /// the console on standard input and output: pl011 (default, a serial port), virtio (hvc0) or none
    #[argh(option, arg_name = "WHAT", default = "String::from(\"pl011\")")]
    console: String,

    /// a channel: NAME=PATH, a virtio port in the guest and the Unix socket that leads to it
    #[argh(option, arg_name = "PORT")]
    port: Vec<String>,

    /// serve GDB at PORT (on loopback; 0: a free one), HOST:PORT, unix:PATH or stdio; the guest waits for a debugger
    #[argh(option, arg_name = "ADDRESS")]
    gdb: Option<String>,

    /// with --gdb: run at once, a debugger may attach at any time
    #[argh(switch)]
    gdb_nowait: bool,

    /// the kernel with its symbols, for the debugger and for what it sets before the MMU is on; and to name where a guest hangs
    #[argh(option, arg_name = "FILE")]
    vmlinux: Option<PathBuf>,

    /// what the kernel's random address is made from, for a run that is to be repeated
    #[argh(option, arg_name = "N")]
    kaslr_seed: Option<String>,

    /// end with 124 when the guest has run for this long: 60s, 5m, 1h
    #[argh(option, arg_name = "TIME")]
    timeout: Option<String>,

    /// end with 0 when a line of the console matches
    #[argh(option, arg_name = "REGEX")]
    until: Option<String>,

    /// end with 34 when a line of the console matches
    #[argh(option, arg_name = "REGEX")]
    fail_on: Option<String>,

    /// when the guest's kernel has panicked: exit (default), hold it as it is, or gdb: hold it and serve GDB
    #[argh(option, arg_name = "WHAT", default = "String::from(\"exit\")")]
    on_panic: String,

    /// write the console's output to FILE, too
    #[argh(option, arg_name = "FILE")]
    console_log: Option<PathBuf>,

    /// write what there is to tell of the run to FILE, as JSON
    #[argh(option, arg_name = "FILE")]
    report: Option<PathBuf>,

    /// use this device tree instead of the generated one, unchanged
    #[argh(option, arg_name = "FILE")]
    dtb: Option<PathBuf>,

    /// write the generated device tree to FILE and exit
    #[argh(option, arg_name = "FILE")]
    dump_dtb: Option<PathBuf>,

    /// print the version
    #[argh(switch)]
    version: bool,
}

/// Where the GDB server is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GdbAddress {
    /// TCP: host name or address, and port; 0 stands for a free one.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
    /// Standard input and output; the console's output goes to standard error.
    Stdio,
}

/// A checked command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Image or flat binary.
    pub kernel: PathBuf,
    /// Initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Kernel command line as the user gave it.
    pub cmdline: String,
    /// Guest RAM in bytes; a multiple of 2 MiB, not 0.
    pub memory: u64,
    /// vCPUs, at least 1.
    pub cpus: usize,
    /// Features of the CPUs.
    pub cpu_features: Choices,
    /// Disks, in the guest's order.
    pub disks: Vec<Disk>,
    /// Folders, each with a tag of its own.
    pub shares: Vec<Share>,
    /// Network card.
    pub net: Option<network::Net>,
    /// Sockets.
    pub vsock: Option<vsock::Vsock>,
    /// What is on standard input and output.
    pub console: Console,
    /// Channels, each with a name of its own.
    pub ports: Vec<Port>,
    /// GDB server.
    pub gdb: Option<GdbAddress>,
    /// Whether the guest runs before a debugger came.
    pub gdb_nowait: bool,
    /// The kernel with its symbols.
    pub vmlinux: Option<PathBuf>,
    /// The device tree's kaslr-seed.
    pub kaslr_seed: Option<u64>,
    /// What ends the run besides the guest.
    pub ending: Ending,
    /// Replaces the generated device tree.
    pub dtb: Option<PathBuf>,
    /// Where to write the generated device tree.
    pub dump_dtb: Option<PathBuf>,
}

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// To run a guest.
    Run(Box<Config>),
    /// To print this, and nothing else.
    Print(String),
}

/// RAM comes in multiples of this: what the Image format aligns to, and a stage-2 block.
const MEMORY_UNIT: u64 = 2 << 20;

/// Parses the words after the program's name. The error is one line for the user.
pub fn parse(words: &[&str]) -> Result<Request, String> {
    let args = match Args::from_args(&["minivmm"], words) {
        Ok(args) => args,
        Err(early) if early.status.is_ok() => return Ok(Request::Print(early.output)),
        Err(early) => return Err(one_line(&early.output)),
    };
    if args.version {
        return Ok(Request::Print(concat!("minivmm ", env!("CARGO_PKG_VERSION"), "\n").to_owned()));
    }
    let kernel = args.kernel.ok_or("--kernel: missing, expected an arm64 Image (see --help)")?;
    if args.gdb_nowait && args.gdb.is_none() {
        return Err("--gdb-nowait: expected together with --gdb".to_owned());
    }
    if args.dtb.is_some() && args.kaslr_seed.is_some() {
        return Err(
            "--kaslr-seed: is for the generated device tree, which --dtb replaces".to_owned()
        );
    }
    if args.dtb.is_some() && args.dump_dtb.is_some() {
        return Err("--dump-dtb: writes the generated device tree, which --dtb replaces".to_owned());
    }
    let ending = Ending {
        timeout: args.timeout.map(|text| ending::duration("--timeout", &text)).transpose()?,
        until: args.until.map(|text| ending::pattern("--until", &text)).transpose()?,
        fail_on: args.fail_on.map(|text| ending::pattern("--fail-on", &text)).transpose()?,
        on_panic: ending::on_panic(&args.on_panic)?,
        console_log: args.console_log,
        report: args.report,
    };
    let console = Console::parse(&args.console, &ending)?;
    Ok(Request::Run(Box::new(Config {
        kernel,
        initrd: args.initrd,
        cmdline: args.cmdline,
        memory: memory(&args.memory)?,
        cpus: cpus(&args.cpus)?,
        cpu_features: args.cpu_features.as_deref().map_or(Ok(Choices::default()), cpu_features)?,
        disks: args.disk.iter().map(|text| Disk::parse(text)).collect::<Result<_, _>>()?,
        shares: Share::parse_all(&args.share)?,
        net: args.net.as_deref().map(network::net).transpose()?,
        vsock: args.vsock.as_deref().map(vsock::vsock).transpose()?,
        console,
        ports: Port::parse_all(&args.port)?,
        gdb: args.gdb.as_deref().map(gdb_address).transpose()?,
        gdb_nowait: args.gdb_nowait,
        vmlinux: args.vmlinux,
        kaslr_seed: args.kaslr_seed.as_deref().map(kaslr_seed).transpose()?,
        ending,
        dtb: args.dtb,
        dump_dtb: args.dump_dtb,
    })))
}

/// argh's messages span lines; users and scripts want one.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}

/// A number with an optional K, M or G; `None` if it is anything else or does not fit 64 bits.
fn size(text: &str) -> Option<u64> {
    let unit = match text.chars().next_back()? {
        'K' | 'k' => 10,
        'M' | 'm' => 20,
        'G' | 'g' => 30,
        _ => 0,
    };
    let digits = if unit == 0 { text } else { text.get(..text.len() - 1)? };
    number(digits)?.checked_mul(1 << unit)
}

/// Decimal digits and nothing else: no sign, no space.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn memory(text: &str) -> Result<u64, String> {
    let max = boot::layout::MAX_RAM;
    let fits = |size: &u64| (MEMORY_UNIT..=max).contains(size) && size.is_multiple_of(MEMORY_UNIT);
    size(text).filter(fits).ok_or_else(|| {
        format!("--memory {text}: expected a multiple of 2M from 2M to {}G", max >> 30)
    })
}

fn cpus(text: &str) -> Result<usize, String> {
    let cpus = number(text).and_then(|number| usize::try_from(number).ok());
    cpus.filter(|cpus| *cpus > 0)
        .ok_or_else(|| format!("--cpus {text}: expected a number of vCPUs, 1 or more"))
}

fn cpu_features(text: &str) -> Result<Choices, String> {
    Choices::parse(text).map_err(|bad| {
        let names = Feature::ALL.map(Feature::name).join(", ");
        format!("--cpu-features {text}: found {bad:?}, expected NAME=on or NAME=off of {names}")
    })
}

/// Decimal, or hexadecimal behind 0x.
fn kaslr_seed(text: &str) -> Result<u64, String> {
    let is_hex = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let seed = match text.strip_prefix("0x") {
        Some(digits) => {
            Some(digits).filter(is_hex).and_then(|digits| u64::from_str_radix(digits, 16).ok())
        }
        None => number(text),
    };
    seed.ok_or_else(|| {
        format!("--kaslr-seed {text}: expected a number of 64 bits, decimal or with 0x")
    })
}

fn gdb_address(text: &str) -> Result<GdbAddress, String> {
    let bad = || format!("--gdb {text}: expected PORT, HOST:PORT, unix:PATH or stdio");
    if text == "stdio" {
        return Ok(GdbAddress::Stdio);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() { Err(bad()) } else { Ok(GdbAddress::Unix(path.into())) };
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    // [::1]:1234
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = number(port).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(bad)?;
    if host.is_empty() { Err(bad()) } else { Ok(GdbAddress::Tcp(host.to_owned(), port)) }
}

#[cfg(test)]
mod tests;
