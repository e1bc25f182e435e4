//! Support for the end-to-end tests: minivmm, GDB and LLDB as child processes, read and written as a
//! person would, with a log of each for when a test fails.
//!
//! `scripts/test` sets the environment: `MINIVMM_BIN`, `MINIVMM_GUESTS` (kernels, initramfs and
//! vmlinux), `MINIVMM_BARE_GUESTS` (tests/guests, assembled), `MINIVMM_TEST_LOGS`,
//! `MINIVMM_TEST_HOST` (the host part of a cell's name), `MINIVMM_TEST_KERNEL` (see [`kernel`]) and `MINIVMM_TEST_CASE` (file and name of the test);
//! in the emulated host `MINIVMM_TEST_PORTS` (see [`Minivmm::free_port`]) and `MINIVMM_HOST_CLIENTS` (see [`client`]).

pub mod client;
pub mod gdb;
pub mod initramfs;
pub mod lldb;
pub mod minivmm;
pub mod pages;
pub mod physical;
pub mod report;
pub mod rsp;
pub mod shell;
pub mod shm;
/// minivmm's own walker, for comparison with the CPU.
#[path = "../../vmm/src/arch/stage1.rs"]
#[allow(
    dead_code,
    clippy::decimal_bitwise_operands,
    clippy::missing_errors_doc,
    reason = "as in its package, and not all of it is used here"
)]
pub mod stage1;
pub mod transcript;
pub mod user;

use std::env;
use std::path::PathBuf;

pub use gdb::Gdb;
pub use lldb::Lldb;
pub use minivmm::{Finished, Minivmm};
pub use physical::Physical;
pub use rsp::Rsp;
pub use shell::Shell;
pub use shm::Shm;
pub use user::User;

fn folder(variable: &str) -> PathBuf {
    let folder = env::var_os(variable);
    PathBuf::from(folder.unwrap_or_else(|| panic!("{variable} is not set: run scripts/test")))
}

/// A file among the Linux guests: `Image-6.12`, `initramfs.cpio`, `vmlinux-6.12`.
pub fn guest(name: &str) -> PathBuf {
    folder("MINIVMM_GUESTS").join(name)
}

/// Version of the guest kernel that this run of the tests is for: "6.12", "6.12-16k".
///
/// Tests that use it have `linux` in their file's name or their own: the matrix runs these, and only
/// these, for every guest kernel. A test that is about one version names that instead.
pub fn kernel() -> String {
    let case = env::var("MINIVMM_TEST_CASE").unwrap_or_else(|_| "linux".to_owned());
    assert!(case.contains("linux"), "{case} needs linux in its name: it depends on the kernel");
    env::var("MINIVMM_TEST_KERNEL").unwrap_or_else(|_| "6.12".to_owned())
}

/// As [`kernel`], of Debian's generic flavour in the first cell of the matrix where its CPU has 16K pages: more of its drivers are modules.
pub fn generic() -> String {
    let version = kernel();
    match env::var("MINIVMM_TEST_GENERIC") {
        Ok(generic) if version == "6.12" => generic,
        _ => version,
    }
}

/// Whether Debian's generic kernel, which has 16K pages, runs on this CPU.
pub fn has_16k() -> bool {
    env::var_os("MINIVMM_TEST_GENERIC").is_some()
}

/// What `uname -r` says in a guest with the kernel of this version.
pub fn release(version: &str) -> String {
    let text = std::fs::read_to_string(guest(&format!("release-{version}")));
    text.expect("a release").trim().to_owned()
}

/// The symbols of [`kernel`].
pub fn vmlinux() -> PathBuf {
    guest(&format!("vmlinux-{}", kernel()))
}

/// A bare-metal guest of tests/guests, by its name without suffix.
pub fn bare_guest(name: &str) -> PathBuf {
    folder("MINIVMM_BARE_GUESTS").join(format!("{name}.bin"))
}

/// Address of a symbol of a bare-metal guest.
pub fn bare_symbol(guest: &str, symbol: &str) -> u64 {
    let map = bare_guest(guest).with_extension("map");
    let text = std::fs::read_to_string(&map).expect("the guest's symbols");
    let line = text.lines().find(|line| line.split(' ').nth(2) == Some(symbol));
    let line = line.unwrap_or_else(|| panic!("no {symbol} in {}", map.display()));
    u64::from_str_radix(line.split(' ').next().unwrap_or_default(), 16).expect("digits")
}

/// Says that this host cannot run what the test is about. The test then returns, and scripts/test
/// counts it neither as passed nor as failed.
pub fn skip(why: &str) {
    eprintln!("SKIP {why}");
}

/// Whether this debugger is missing where one has only what the user has installed: not in the
/// emulated host, for which `scripts/setup debuggers` brings them all.
pub fn lacks(program: &str) -> bool {
    let is_native = env::var("MINIVMM_TEST_HOST").is_ok_and(|host| host == "native");
    let path = env::var_os("PATH").unwrap_or_default();
    is_native && !env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// An empty folder for this test's files, named after the test.
pub fn scratch() -> PathBuf {
    let folder = folder("MINIVMM_TEST_LOGS").join(test_name());
    std::fs::create_dir_all(&folder).expect("scratch folder");
    folder
}

/// Name of the running test, as libtest calls it.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("main").replace("::", "-")
}
