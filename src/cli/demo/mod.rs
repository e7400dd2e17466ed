//! The demo: the whole job on a small made-up firm, in a folder of its own.

mod attack;
pub mod firm;
mod folder;
mod show;

pub(super) use show::run;
