//! GDB Remote Serial Protocol, sans-IO: bytes in, bytes out, a [`Target`] in between.
#![forbid(unsafe_code)]
