//! minivmm
fn main() {}
