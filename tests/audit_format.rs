//! The log on the disk: written, read, checked by programs that are not ours, attacked.

mod audit;
