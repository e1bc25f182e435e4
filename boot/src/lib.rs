//! Kernel image, initrd, command line and device tree: from files to guest memory and boot registers.
#![forbid(unsafe_code)]
