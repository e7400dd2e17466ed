//! What is ours and not the log: the keys. (Locks, in-flight files and notes belong to the engine.)

pub mod keys;
