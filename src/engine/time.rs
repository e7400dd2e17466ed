//! Doubt about time: a clock that is wrong makes everything due, or nothing, so nothing is purged on one.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::connect::Connector;
use crate::state::keys::Purpose;

/// Hours that two clocks, or the log and a clock, may lie apart.
const APART: i64 = 1;
/// Days without an entry after which the host's clock must be looked at by a person: longer than any holiday, and a
/// program that runs writes every day.
const SILENCE: i64 = 62;

impl Engine {
    /// What is wrong with the host's clock, as far as the log can tell.
    pub fn time_doubt(&self) -> Option<String> {
        let (host, last) = (crate::now::now(), self.view.last?);
        let vouched = self.view.vouched.unwrap_or(last);
        let day = |moment: DateTime<Utc>| moment.format("%d-%m-%Y %H:%M UTC").to_string();
        let now = day(host);
        if last - host > TimeDelta::hours(APART) {
            let then = day(last);
            return Some(format!("the clock says {now}, and the log's last entry is of {then}: set the clock right"));
        }
        if host - vouched > TimeDelta::days(SILENCE) {
            let then = day(vouched);
            return Some(format!(
                "the clock says {now}, and the log's last entry is of {then}, {} days ago: if the clock is right, say so \
                 with `bewaard resume --all --reason \"the clock is right\"`",
                (host - vouched).num_days()
            ));
        }
        None
    }

    /// Refuses entries while the clock is doubted, but for those by which a person stops, holds, moves the log to another
    /// machine, or vouches for the clock.
    pub(super) fn trust_clock_for(&self, bodies: &[Body]) -> Result<(), EngineError> {
        let by_person = |body: &Body| !vouches(body) || matches!(body, Body::Resumed { .. });
        match self.time_doubt() {
            Some(doubt) if !bodies.iter().all(by_person) => Err(EngineError::Time(doubt)),
            _ => Ok(()),
        }
    }

    /// Goes on only where the clock is not in doubt.
    pub(super) fn sure_of_time(&self) -> Result<(), EngineError> {
        self.time_doubt().map_or(Ok(()), |doubt| Err(EngineError::Time(doubt)))
    }

    /// The earlier of the host's time and the system's; what lies too far apart is doubt.
    pub(super) async fn trusted_now(&self, connector: &dyn Connector) -> Result<DateTime<Utc>, EngineError> {
        self.sure_of_time()?;
        let (host, theirs) = (crate::now::now(), connector.server_now().await?);
        if (host - theirs).abs() > TimeDelta::hours(APART) {
            let apart = (host - theirs).num_minutes();
            return Err(EngineError::Time(format!("the host and the system are {apart} minutes apart")));
        }
        Ok(host.min(theirs))
    }
}

/// Whether an entry says that the clock was right: those that may be written on a doubted one say nothing of it, but for
/// a person's `resume --all`.
pub(super) fn vouches(body: &Body) -> bool {
    match body {
        Body::PauseChanged { .. } | Body::HoldChanged { .. } | Body::Adopted { .. } => false,
        // A new quarter's key comes with whatever is written first.
        Body::KeyChanged { purpose, change, .. } => purpose != Purpose::Log.word() || change != "made",
        Body::Resumed { rule, system, .. } => rule.is_none() && system.is_none(),
        _ => true,
    }
}
