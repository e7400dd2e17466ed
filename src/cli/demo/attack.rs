//! stub
use super::super::out::Out;
use super::super::{Ended, Failure};
use std::path::*;
pub(super) fn keep_yesterday(_: &Path) -> Result<PathBuf, Failure> {
    Ok(PathBuf::new())
}
pub(super) fn all(_: &Path, _: &Path, _: &Path, _: Out) -> Ended {
    Ok(0)
}
