//! What several test programs share.

#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
pub(crate) mod servers;
