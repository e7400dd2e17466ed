//! The one reader of the present time. Everything else gets it as an argument.

use chrono::{DateTime, SubsecRound, Utc};

/// The host's present time, to the microsecond.
pub fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
    Utc::now().trunc_subsecs(6)
}
