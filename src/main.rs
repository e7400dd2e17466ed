//! The bewaard command.

fn main() {}
