//! The files of a command line: opened, identified and placed before anything is started.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use boot::compressed::Compressed;
use boot::elf::Vmlinux;
use boot::image::Kernel;
use boot::placement::{Placement, place};
use boot::source::Source;
use boot::{dtb, image};

use super::host;
use crate::cli::Config;
use crate::exit::Outcome;
use crate::message::say;

/// What goes into the guest, and where.
pub struct Files {
    /// Image or flat binary.
    pub kernel: Source,
    /// Which of them.
    pub kind: Kernel,
    /// Initial RAM disk.
    pub initrd: Option<Source>,
    /// The user's device tree.
    pub dtb: Option<Vec<u8>>,
    /// Where they go.
    pub placement: Placement,
    /// The kernel with its symbols.
    pub vmlinux: Option<SymbolFile>,
}

/// A file with symbols.
pub struct SymbolFile {
    /// Its absolute path.
    pub path: String,
    /// What is in it.
    pub elf: Arc<Vmlinux>,
    /// Whether the kernel that is started was made of it.
    pub is_kernels: bool,
}

impl Files {
    /// Opens and checks all of them.
    pub fn open(config: &Config) -> Result<Self, Outcome> {
        let (kernel, kind, elf) = kernel(&config.kernel, config.memory)?;
        let initrd = config.initrd.as_deref().map(|path| source("--initrd", path)).transpose()?;
        let dtb = config.dtb.as_deref().map(read_dtb).transpose()?;
        let vmlinux = match (&config.vmlinux, elf) {
            (Some(path), _) => Some(symbol_file("--vmlinux", path, vmlinux("--vmlinux", path)?)?),
            (None, Some(elf)) => Some(symbol_file("--kernel", &config.kernel, elf)?),
            (None, None) => None,
        };
        let vmlinux = vmlinux.map(|vmlinux| vmlinux.checked(kind, &kernel)).transpose()?;
        let initrd_len = initrd.as_ref().map(Source::len);
        let placement = place(&kind, kernel.len(), initrd_len, config.memory)
            .map_err(|error| Outcome::Unusable(chain(&error)))?;
        Ok(Self { kernel, kind, initrd, dtb, placement, vmlinux })
    }
}

impl SymbolFile {
    /// Compares it with the kernel.
    fn checked(self, kind: Kernel, kernel: &Source) -> Result<Self, Outcome> {
        let is_kernels = match kind {
            Kernel::Flat => false,
            Kernel::Image(_) => self
                .elf
                .is_build_of(kernel)
                .map_err(|error| Outcome::Unusable(format!("--kernel: {}", chain(&error))))?,
        };
        if !is_kernels && matches!(kind, Kernel::Image(_)) {
            say(format_args!(
                "--vmlinux {}: is of another build than the kernel; its symbols are for the debugger alone",
                self.path
            ));
        }
        Ok(Self { is_kernels, ..self })
    }
}

/// A kernel, what it is, and the symbols if it came with them: a vmlinux is loaded as the Image that
/// `objcopy -O binary` makes of it. One that was compressed has its symbols nowhere that a debugger could read them from.
fn kernel(path: &Path, memory: u64) -> Result<(Source, Kernel, Option<Vmlinux>), Outcome> {
    let bad = |error: &dyn Error| unusable("--kernel", path, error);
    let file = source("--kernel", path)?;
    let head = file.head().map_err(|error| bad(&error))?;
    let compressed = Compressed::recognize(&head, file.len()).map_err(|error| bad(&error))?;
    let Some(compressed) = compressed else {
        let (kernel, kind, is_elf) = identified(file).map_err(|error| bad(&*error))?;
        let elf = is_elf.then(|| vmlinux("--kernel", path)).transpose()?;
        return Ok((kernel, kind, elf));
    };
    let content = compressed.decompress(&file, memory).map_err(|error| {
        if error.is_of_host() { host("--kernel", &chain(&error)) } else { bad(&error) }
    })?;
    let (kernel, kind, _) = identified(content).map_err(|error| {
        let path = path.display();
        Outcome::Unusable(format!("--kernel {path}: {compressed} of {}", chain(&*error)))
    })?;
    Ok((kernel, kind, None))
}

/// A kernel as it is loaded, what it is, and whether it was a vmlinux.
fn identified(kernel: Source) -> Result<(Source, Kernel, bool), Box<dyn Error>> {
    let identify = |kernel: &Source| -> Result<Kernel, Box<dyn Error>> {
        Ok(image::identify(&kernel.head()?, kernel.len())?)
    };
    let foreign = match identify(&kernel) {
        Ok(kind) => return Ok((kernel, kind, false)),
        Err(foreign) => foreign,
    };
    let image = Vmlinux::parse(kernel).ok().and_then(|elf| elf.into_image().ok());
    let kind = image.as_ref().and_then(|image| identify(image).ok());
    match (image, kind) {
        (Some(image), Some(kind @ Kernel::Image(_))) => Ok((image, kind, true)),
        // Another kind of file, or a bare-metal program, which may have been linked to anywhere.
        _ => Err(foreign),
    }
}

fn vmlinux(flag: &str, path: &Path) -> Result<Vmlinux, Outcome> {
    Vmlinux::parse(source(flag, path)?).map_err(|error| unusable(flag, path, &error))
}

fn symbol_file(flag: &str, path: &Path, elf: Vmlinux) -> Result<SymbolFile, Outcome> {
    let absolute = path.canonicalize().map_err(|error| unusable(flag, path, &error))?;
    let absolute = absolute.into_os_string().into_string().map_err(|_| {
        Outcome::Unusable(format!("{flag} {}: expected a path in UTF-8", path.display()))
    })?;
    Ok(SymbolFile { path: absolute, elf: Arc::new(elf), is_kernels: false })
}

fn read_dtb(path: &Path) -> Result<Vec<u8>, Outcome> {
    let source = source("--dtb", path)?;
    dtb::read(&source).map_err(|error| unusable("--dtb", path, &error))
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
