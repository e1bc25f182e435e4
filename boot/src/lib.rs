//! Kernel image, initrd, command line and device tree: from files to guest memory and boot registers.
//!
//! The way through, each step pure but the first and the last:
//!
//! 1. [`source::Source`] opens a file and reads its first bytes,
//! 2. [`compressed::Compressed`] tells what has to be decompressed, and does it,
//! 3. [`image::identify`] says what kernel they are; of a vmlinux [`elf::Vmlinux`] makes an Image first,
//! 4. [`placement::place`] decides where kernel, initrd and device tree go,
//! 5. [`cmdline::command_line`] and [`fdt::build`] make the device tree (or [`dtb::read`] takes the user's),
//! 6. [`load::load`] copies all of it and returns the registers to start with; [`load::load_files`] copies a window of it.
//!
//! No KVM here: the crate knows guest memory only as `vm_memory::GuestMemory`, and never a vCPU.
//! [`layout`] is the one owner of the machine's map.
#![forbid(unsafe_code)]

mod bytes;
pub mod cmdline;
pub mod compressed;
pub mod dtb;
pub mod elf;
pub mod fdt;
pub mod image;
pub mod layout;
pub mod load;
pub mod placement;
pub mod region;
pub mod source;
