//! By topic: `opcodes` (one by one), `limits`, `refused` (bytes that are no expression), `printf`,
//! `packet` (parsing and what a hit comes to), `captured` (what GDB sends), `hostile`.

mod captured;
mod hostile;
mod limits;
mod machine;
mod opcodes;
mod packet;
mod printf;
mod refused;
