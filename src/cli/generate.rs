//! `bewaard generate`: what is shipped, printed from the binary.

use super::args::{Generate, Generated};
use super::out::Out;
use super::{Ended, exit};

pub(super) fn run(wish: &Generate, out: Out) -> Ended {
    match wish.what {
        Generated::Config => out.exact(crate::config::REFERENCE.trim_end())?,
        Generated::Cases => out.exact(crate::config::cases::EXAMPLE.trim_end())?,
        Generated::Grounds => out.exact(crate::config::grounds::NL.trim_end())?,
        Generated::Schema => out.exact(crate::config::schema().trim_end())?,
    }
    Ok(exit::DONE)
}
