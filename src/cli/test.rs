//! stub
use super::Ended;
use super::args::Test;
use super::out::Out;
pub(super) fn run(_: &std::path::Path, _: &Test, _: Out) -> Ended {
    Ok(0)
}
