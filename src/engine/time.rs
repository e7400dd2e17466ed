//! Doubt about time: a clock that is wrong makes everything due, or nothing, so nothing is purged on one.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::connect::Connector;

/// Hours that two clocks, or the log and a clock, may lie apart.
const APART: i64 = 1;
/// Days without an entry after which the host's clock must be looked at by a person: longer than any holiday, and a
/// program that runs writes every day.
const SILENCE: i64 = 62;

impl Engine {
    /// What is wrong with the host's clock, as far as the log can tell.
    pub fn time_doubt(&self) -> Option<String> {
        let (host, last) = (crate::now::now(), self.view.last?);
        let day = |moment: DateTime<Utc>| moment.format("%d-%m-%Y %H:%M UTC").to_string();
        let (now, then) = (day(host), day(last));
        if last - host > TimeDelta::hours(APART) {
            return Some(format!("the clock says {now}, and the log's last entry is of {then}: set the clock right"));
        }
        if host - last > TimeDelta::days(SILENCE) {
            return Some(format!(
                "the clock says {now}, and the log's last entry is of {then}, {} days ago: if the clock is right, say so \
                 with `bewaard resume --all --reason \"the clock is right\"`",
                (host - last).num_days()
            ));
        }
        None
    }

    /// Refuses entries while the clock is doubted, but for those by which a person stops, holds, or vouches for it.
    pub(super) fn trust_clock_for(&self, bodies: &[Body]) -> Result<(), EngineError> {
        let by_person =
            |body: &Body| matches!(body, Body::Resumed { .. } | Body::PauseChanged { .. } | Body::HoldChanged { .. });
        match self.time_doubt() {
            Some(doubt) if !bodies.iter().all(by_person) => Err(EngineError::Time(doubt)),
            _ => Ok(()),
        }
    }

    /// The earlier of the host's time and the system's; what lies too far apart is doubt.
    pub(super) async fn trusted_now(&self, connector: &dyn Connector) -> Result<DateTime<Utc>, EngineError> {
        if let Some(doubt) = self.time_doubt() {
            return Err(EngineError::Time(doubt));
        }
        let (host, theirs) = (crate::now::now(), connector.server_now().await?);
        if (host - theirs).abs() > TimeDelta::hours(APART) {
            let apart = (host - theirs).num_minutes();
            return Err(EngineError::Time(format!("the host and the system are {apart} minutes apart")));
        }
        Ok(host.min(theirs))
    }
}
