//! The command line: words to a checked [`Config`]. Pure; no file is opened here.

pub mod network;

use std::path::PathBuf;

use argh::FromArgs;

/// Boot an arm64 Linux kernel in KVM, with a GDB server built in.
#[derive(FromArgs, Debug)]
#[argh(
    note = "Sizes take K, M or G. Ctrl-A x quits, Ctrl-A h lists the keys.",
    note = "",
    error_code(0, "The guest powered off, or the debugger killed it."),
    error_code(1, "The host or minivmm failed."),
    error_code(2, "Bad command line or unusable file; nothing was started."),
    error_code(32, "The guest asked for a reset."),
    error_code(33, "The guest crashed."),
    error_code(34, "The guest's kernel panicked."),
    error_code(130, "The user stopped it.")
)]
struct Args {
    /// arm64 Image or its vmlinux, or a flat binary to load at RAM + 0x80000
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

    /// a network: tap=NAME, an interface of the host's, or passt=PATH, passt's socket; then ,mac=ADDRESS
    #[argh(option, arg_name = "NETWORK")]
    net: Option<String>,

    /// serve GDB at PORT (on loopback), HOST:PORT, unix:PATH or stdio; the guest waits for a debugger
    #[argh(option, arg_name = "ADDRESS")]
    gdb: Option<String>,

    /// with --gdb: run at once, a debugger may attach at any time
    #[argh(switch)]
    gdb_nowait: bool,

    /// the kernel with its symbols, for the debugger and for what it sets before the MMU is on
    #[argh(option, arg_name = "FILE")]
    vmlinux: Option<PathBuf>,

    /// what the kernel's random address is made from, for a run that is to be repeated
    #[argh(option, arg_name = "N")]
    kaslr_seed: Option<String>,

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
    /// TCP: host name or address, and port.
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
    /// Network card.
    pub net: Option<network::Net>,
    /// GDB server.
    pub gdb: Option<GdbAddress>,
    /// Whether the guest runs before a debugger came.
    pub gdb_nowait: bool,
    /// The kernel with its symbols.
    pub vmlinux: Option<PathBuf>,
    /// The device tree's kaslr-seed.
    pub kaslr_seed: Option<u64>,
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
    if args.vmlinux.is_some() && args.gdb.is_none() {
        return Err("--vmlinux: expected together with --gdb".to_owned());
    }
    if args.dtb.is_some() && args.kaslr_seed.is_some() {
        return Err(
            "--kaslr-seed: is for the generated device tree, which --dtb replaces".to_owned()
        );
    }
    if args.dtb.is_some() && args.dump_dtb.is_some() {
        return Err("--dump-dtb: writes the generated device tree, which --dtb replaces".to_owned());
    }
    Ok(Request::Run(Box::new(Config {
        kernel,
        initrd: args.initrd,
        cmdline: args.cmdline,
        memory: memory(&args.memory)?,
        cpus: cpus(&args.cpus)?,
        net: args.net.as_deref().map(network::net).transpose()?,
        gdb: args.gdb.as_deref().map(gdb_address).transpose()?,
        gdb_nowait: args.gdb_nowait,
        vmlinux: args.vmlinux,
        kaslr_seed: args.kaslr_seed.as_deref().map(kaslr_seed).transpose()?,
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
    let port = port.filter(|port| *port != 0).ok_or_else(bad)?;
    if host.is_empty() { Err(bad()) } else { Ok(GdbAddress::Tcp(host.to_owned(), port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(words: &[&str]) -> Config {
        match parse(&[&["--kernel", "Image"], words].concat()) {
            Ok(Request::Run(config)) => *config,
            other => panic!("{other:?}"),
        }
    }

    fn error(words: &[&str]) -> String {
        parse(&[&["--kernel", "Image"], words].concat()).unwrap_err()
    }

    #[test]
    fn a_kernel_is_all_it_takes() {
        let config = config(&[]);

        assert_eq!(config.memory, 512 << 20);
        assert_eq!(config.cpus, 1);
        assert_eq!(config.cmdline, "");
        assert_eq!(config.gdb, None);
        assert!(parse(&[]).unwrap_err().starts_with("--kernel: missing"));
    }

    #[test]
    fn sizes_take_k_m_and_g() {
        assert_eq!(config(&["--memory", "3G"]).memory, 3 << 30);
        assert_eq!(config(&["--memory", "128m"]).memory, 128 << 20);
        assert_eq!(config(&["--memory", "4096K"]).memory, 4 << 20);
        assert_eq!(config(&["--memory", "2097152"]).memory, 2 << 20);
    }

    #[test]
    fn bad_sizes_are_named_with_what_was_expected() {
        for bad in [
            "0",
            "1T",
            "12Q",
            "",
            "M",
            "-1G",
            "+1G",
            " 1G",
            "1.5G",
            "1M",
            "3M",
            "256G",
            "99999999999999999999",
            "18446744073709551615G",
            "1Gé",
        ] {
            assert_eq!(
                error(&["--memory", bad]),
                format!("--memory {bad}: expected a multiple of 2M from 2M to 255G")
            );
        }
    }

    #[test]
    fn bad_cpu_counts_are_refused() {
        for bad in ["0", "-1", "two", "", "1K", "99999999999999999999"] {
            assert_eq!(
                error(&["--cpus", bad]),
                format!("--cpus {bad}: expected a number of vCPUs, 1 or more")
            );
        }
        assert_eq!(config(&["--cpus", "512"]).cpus, 512);
    }

    #[test]
    fn a_bare_gdb_port_is_on_loopback() {
        let tcp = |host: &str, port| Some(GdbAddress::Tcp(host.to_owned(), port));
        assert_eq!(config(&["--gdb", "1234"]).gdb, tcp("127.0.0.1", 1234));
        assert_eq!(config(&["--gdb", "0.0.0.0:1"]).gdb, tcp("0.0.0.0", 1));
        assert_eq!(config(&["--gdb", "[::1]:65535"]).gdb, tcp("::1", 65535));
        assert_eq!(
            config(&["--gdb", "unix:/tmp/s:1"]).gdb,
            Some(GdbAddress::Unix("/tmp/s:1".into()))
        );
        assert_eq!(config(&["--gdb", "stdio"]).gdb, Some(GdbAddress::Stdio));
        for bad in ["", "0", "unix:", "65536", ":1234", "host:", "host", "1234x", "stdio:", "Stdio"]
        {
            assert_eq!(
                error(&["--gdb", bad]),
                format!("--gdb {bad}: expected PORT, HOST:PORT, unix:PATH or stdio")
            );
        }
    }

    #[test]
    fn a_seed_is_a_number_of_64_bits() {
        assert_eq!(config(&[]).kaslr_seed, None);
        assert_eq!(config(&["--kaslr-seed", "0"]).kaslr_seed, Some(0));
        assert_eq!(config(&["--kaslr-seed", "12345"]).kaslr_seed, Some(12345));
        assert_eq!(
            config(&["--kaslr-seed", "0xFedcba9876543210"]).kaslr_seed,
            Some(0xfedc_ba98_7654_3210)
        );
        for bad in ["", "0x", "x", "-1", "+1", "0x+1", "12a", "1K", "0x10000000000000000"] {
            assert_eq!(
                error(&["--kaslr-seed", bad]),
                format!("--kaslr-seed {bad}: expected a number of 64 bits, decimal or with 0x")
            );
        }
    }

    #[test]
    fn unknown_words_and_missing_values_are_one_line() {
        for words in [&["--nonsense"][..], &["extra"], &["--memory"]] {
            let message = error(words);
            assert!(!message.contains('\n'), "{message:?}");
            assert!(message.contains(words[0]), "{message:?}");
        }
    }

    #[test]
    fn flags_that_contradict_or_lack_each_other_are_refused() {
        assert!(error(&["--gdb-nowait"]).contains("--gdb"));
        assert!(error(&["--vmlinux", "vmlinux"]).contains("--gdb"));
        assert!(error(&["--dtb", "a", "--dump-dtb", "b"]).contains("--dtb"));
        assert!(error(&["--dtb", "a", "--kaslr-seed", "1"]).contains("--dtb"));
    }

    #[test]
    fn help_and_version_are_printed() {
        let Ok(Request::Print(help)) = parse(&["--help"]) else { panic!("no help") };
        assert!(help.contains("--gdb-nowait"));
        let Ok(Request::Print(version)) = parse(&["--version"]) else { panic!("no version") };
        assert_eq!(version, concat!("minivmm ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}
