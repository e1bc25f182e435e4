//! Doubles and helpers for this crate's tests.

mod fake_target;
mod random;
mod transcript;

pub use fake_target::FakeTarget;
pub use random::XorShift;
pub use transcript::{Client, frame, head, unframe};
