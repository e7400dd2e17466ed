//! `bewaard generate`: what is shipped, printed from the binary.

use super::args::{Generate, Generated};
use super::out::Out;
use super::{Ended, exit};

pub(super) fn run(wish: &Generate, out: Out) -> Ended {
    match wish.what {
        Generated::Config => out.line(crate::config::REFERENCE.trim_end())?,
        Generated::Grounds => out.line(crate::config::grounds::NL.trim_end())?,
        Generated::Schema => out.line(crate::config::schema().trim_end())?,
    }
    Ok(exit::DONE)
}
