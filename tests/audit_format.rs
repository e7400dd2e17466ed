//! The log on the disk: written, read, checked by programs that are not ours, attacked.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the attacks write to files as nobody should")]

mod audit;
