//! The `kerros` command.

fn main() {}
