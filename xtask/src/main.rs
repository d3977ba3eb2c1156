//! `cargo xtask …`: set-up, tests, benchmarks and the demo, one file each.

fn main() {}
