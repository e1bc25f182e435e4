//! The files of a command line: opened, identified and placed before anything is started.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use boot::placement::{Placement, place};
use boot::source::Source;
use boot::{dtb, image};

use crate::cli::Config;
use crate::exit::Outcome;

/// What goes into the guest, and where.
pub struct Files {
    /// Image or flat binary.
    pub kernel: Source,
    /// Initial RAM disk.
    pub initrd: Option<Source>,
    /// The user's device tree.
    pub dtb: Option<Vec<u8>>,
    /// Where they go.
    pub placement: Placement,
    /// Absolute path of the kernel with its symbols.
    pub vmlinux: Option<String>,
}

impl Files {
    /// Opens and checks all of them.
    pub fn open(config: &Config) -> Result<Self, Outcome> {
        let kernel = source("--kernel", &config.kernel)?;
        let bad_kernel = |error: &dyn Error| unusable("--kernel", &config.kernel, error);
        let head = kernel.head().map_err(|error| bad_kernel(&error))?;
        let kind = image::identify(&head, kernel.len()).map_err(|error| bad_kernel(&error))?;
        let initrd = config.initrd.as_deref().map(|path| source("--initrd", path)).transpose()?;
        let dtb = config.dtb.as_deref().map(read_dtb).transpose()?;
        let vmlinux = config.vmlinux.as_deref().map(check_vmlinux).transpose()?;
        let initrd_len = initrd.as_ref().map(Source::len);
        let placement = place(&kind, kernel.len(), initrd_len, config.memory)
            .map_err(|error| Outcome::Unusable(chain(&error)))?;
        Ok(Self { kernel, initrd, dtb, placement, vmlinux })
    }
}

fn read_dtb(path: &Path) -> Result<Vec<u8>, Outcome> {
    let source = source("--dtb", path)?;
    dtb::read(&source).map_err(|error| unusable("--dtb", path, &error))
}

/// Looks no further than debuggers need to be spared a wrong file: they read it themselves.
fn check_vmlinux(path: &Path) -> Result<String, Outcome> {
    let expected = |found: &str| {
        let path = path.display();
        Outcome::Unusable(format!("--vmlinux {path}: {found}, expected an arm64 ELF file"))
    };
    let head = source("--vmlinux", path)?.head();
    let head = head.map_err(|error| unusable("--vmlinux", path, &error))?;
    // EI_MAG, EI_CLASS, EI_DATA and e_machine (System V ABI, ELF header).
    match (head.get(..6), head.get(18..20)) {
        (Some(b"\x7fELF\x02\x01"), Some([183, 0])) => {}
        (Some([0x7f, b'E', b'L', b'F', ..]), _) => {
            return Err(expected("ELF file of another machine"));
        }
        _ => return Err(expected("no ELF file")),
    }
    let path = path.canonicalize().map_err(|error| unusable("--vmlinux", path, &error))?;
    path.into_os_string().into_string().map_err(|_| expected("path that is not UTF-8"))
}

fn source(flag: &str, path: &Path) -> Result<Source, Outcome> {
    Source::open(path).map_err(|error| unusable(flag, path, &error))
}

fn unusable(flag: &str, path: &Path, error: &dyn Error) -> Outcome {
    Outcome::Unusable(format!("{flag} {}: {}", path.display(), chain(error)))
}

/// An error and what caused it, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a String does not fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
