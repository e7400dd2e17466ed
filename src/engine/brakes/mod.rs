//! Brakes: between two batches a run waits while the system, its replicas or this host bear no more.
//!
//! They are read at most once a second, in one round, and only where a batch is about to begin. The wait is bounded and heeds
//! every stop; what holds a run is told at once, and stands in the state folder for `status`.

mod check;
mod host;
mod told;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::Timelike;

pub use self::told::{HeldSystem, Told};
use super::Engine;
use super::survey::Progress;
use crate::connect::{Connector, StrainOf};
use crate::domain::brake::{Brake, Braked, Brakes, Change, Held, Pace, Reading, Sample};
use crate::domain::id::SystemId;
use crate::domain::rule::Rule;

/// Two rounds of readings are at least so far apart.
const APART: Duration = Duration::from_secs(1);
/// A stop is heeded at least so often while a run waits.
const SLICE: Duration = Duration::from_millis(200);

/// The brakes of every system that this process purges.
#[derive(Debug, Default)]
pub(super) struct Braking(BTreeMap<SystemId, OnSystem>);

/// The brakes of one system.
#[derive(Debug, Default)]
struct OnSystem {
    braked: Braked,
    /// When they were read last.
    read: Option<Instant>,
    /// The longest batch since then.
    longest: Duration,
    /// When the rest after the last batch ends.
    rests_until: Option<Instant>,
    /// Since when no batch could begin.
    waits_since: Option<Instant>,
}

impl OnSystem {
    fn held(&self) -> Vec<Held> {
        self.braked.held().cloned().collect()
    }
}

impl Braking {
    /// The brakes that are on.
    pub(super) fn held(&self, system: &SystemId) -> Vec<Held> {
        self.0.get(system).map(OnSystem::held).unwrap_or_default()
    }

    fn of(&mut self, system: &SystemId) -> &mut OnSystem {
        self.0.entry(system.clone()).or_default()
    }
}

impl Engine {
    /// Whether the next batch must wait: for the rest after the last one, or for a brake.
    pub(super) async fn must_wait(&mut self, connector: &dyn Connector, rule: &Rule, progress: &dyn Progress) -> bool {
        let (system, brakes) = (&rule.system, self.loaded.policy.brakes_of(&rule.system));
        if self.braking.of(system).rests_until.and_then(left_until).is_some() {
            return true;
        }
        self.read_brakes_in_time(connector, system, &brakes, progress).await;
        !self.braking.of(system).braked.is_free()
    }

    /// Before a batch: rests, then waits until no brake is on. Gives those that held it as long as it may wait. Who asked to stop
    /// is let through at once: the caller asks too.
    pub(super) async fn wait_for_brakes(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        progress: &dyn Progress,
    ) -> Vec<Held> {
        let (system, brakes) = (&rule.system, self.loaded.policy.brakes_of(&rule.system));
        while let Some(rest) = self.braking.of(system).rests_until.and_then(left_until) {
            if progress.stop() {
                return Vec::new();
            }
            tokio::time::sleep(rest.min(SLICE)).await;
        }
        loop {
            if progress.stop() {
                return Vec::new();
            }
            self.read_brakes_in_time(connector, system, &brakes, progress).await;
            let on_system = self.braking.of(system);
            if on_system.braked.is_free() {
                on_system.waits_since = None;
                return Vec::new();
            }
            let since = *on_system.waits_since.get_or_insert_with(Instant::now);
            let left = brakes.wait.saturating_sub(since.elapsed());
            let closed = on_system.braked.held().any(|held| held.brake == Brake::Windows);
            // A window that opens too late is not waited for.
            if left.is_zero() || (closed && self.opens_in(&brakes) > left) {
                self.tell_brakes(system, &brakes, true);
                return self.braking.held(system);
            }
            tokio::time::sleep(left.min(SLICE)).await;
        }
    }

    /// After a batch: how long the next one waits at least, and the pace that it goes at.
    pub(super) fn after_batch(&mut self, system: &SystemId, took: Duration) -> Pace {
        let pace = self.pace(system);
        let on_system = self.braking.of(system);
        on_system.longest = on_system.longest.max(took);
        on_system.rests_until = Instant::now().checked_add(pace.rest(took));
        pace
    }

    /// The pace of this minute.
    pub(super) fn pace(&self, system: &SystemId) -> Pace {
        self.loaded.policy.brakes_of(system).pace_at(self.minute())
    }

    /// The minute of the day, in the policy's zone.
    fn minute(&self) -> u32 {
        let now = crate::now::now().with_timezone(&self.loaded.policy.zone);
        now.hour() * 60 + now.minute()
    }

    fn opens_in(&self, brakes: &Brakes) -> Duration {
        // Up to a minute less: the present one has begun.
        Duration::from_mins(u64::from(brakes.opens_in(self.minute()).saturating_sub(1)))
    }

    /// One round of readings, and what it changed; none where the last is not a second ago.
    async fn read_brakes_in_time(
        &mut self,
        connector: &dyn Connector,
        system: &SystemId,
        brakes: &Brakes,
        progress: &dyn Progress,
    ) {
        if self.braking.of(system).read.is_some_and(|read| read.elapsed() < APART) {
            return;
        }
        let begun = Instant::now();
        // A replica that does not answer takes longer than a stop may.
        let mut samples = tokio::select! {
            samples = self.brake_samples(connector, system, brakes) => samples,
            () = stopped(progress) => return,
        };
        let on_system = self.braking.of(system);
        let took = std::mem::take(&mut on_system.longest).max(begun.elapsed());
        if let Some(limit) = brakes.limits.get(&Brake::StatementTime) {
            let reading = Reading::Known(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            samples.push(Sample { brake: Brake::StatementTime, reading, limit: *limit, place: None });
        }
        let first = on_system.read.replace(Instant::now()).is_none();
        let changes = on_system.braked.take(&samples);
        for change in &changes {
            tell(system, change, progress);
        }
        if first || !changes.is_empty() {
            self.tell_brakes(system, brakes, false);
        }
    }

    /// What every brake of a system is held against now, but for the time of batches.
    pub async fn brake_samples(&self, connector: &dyn Connector, system: &SystemId, brakes: &Brakes) -> Vec<Sample> {
        let rules: Vec<&Rule> = self.loaded.policy.rules.values().filter(|rule| rule.system == *system).collect();
        let query = brakes.query.as_ref().map(|query| query.sql.as_str());
        let watch = StrainOf { rules: &rules, query, replicas: &brakes.replicas };
        let mut samples = Vec::new();
        let mut folders = vec![self.loaded.settings.state.clone(), self.loaded.settings.log.clone()];
        match connector.strain(&watch).await {
            Ok(strain) => {
                folders.extend(strain.folder.clone());
                samples.extend(held_against(brakes, strain));
            }
            // The batch itself will say it, or find the system back.
            Err(error) => tracing::warn!(%system, %error, "the brakes of the system could not be read"),
        }
        if !brakes.windows.is_empty() {
            let closed = u64::from(!brakes.is_open(self.minute()));
            samples.push(Sample { brake: Brake::Windows, reading: Reading::Known(closed), limit: 0, place: None });
        }
        samples.extend(host::samples(brakes, &folders));
        samples
    }

    /// Puts into the state folder what holds this system, or that nothing does.
    fn tell_brakes(&mut self, system: &SystemId, brakes: &Brakes, ended: bool) {
        let on = self.braking.held(system);
        let state = &self.loaded.settings.state;
        if let Err(error) = told::put(state, system, on, brakes.wait, ended) {
            // A full disk may be the very brake that is on.
            tracing::warn!(%system, %error, "what holds the run could not be written for `status`");
        }
    }

    /// The brakes that were on when a run last looked.
    pub fn told_brakes(&self) -> Told {
        told::read(&self.loaded.settings.state)
    }
}

async fn stopped(progress: &dyn Progress) {
    while !progress.stop() {
        tokio::time::sleep(SLICE).await;
    }
}

fn left_until(moment: Instant) -> Option<Duration> {
    moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// The system's own readings beside their limits. One that the system does not have holds nothing.
fn held_against(brakes: &Brakes, mut strain: crate::connect::Strain) -> Vec<Sample> {
    let mut limits = brakes.limits.clone();
    limits.remove(&Brake::Load);
    if let Some(query) = &brakes.query {
        limits.insert(Brake::Query, query.above);
    }
    if !brakes.backups.programs.is_empty() {
        limits.insert(Brake::Backup, 0);
    }
    let mut samples = Vec::new();
    for (brake, limit) in limits {
        let told = strain.readings.remove(&brake).unwrap_or_default();
        if told.is_empty() && !matches!(brake, Brake::StatementTime | Brake::Backup) {
            samples.push(Sample { brake, reading: Reading::Nothing, limit, place: None });
        }
        samples.extend(told.into_iter().map(|one| Sample { brake, reading: one.reading, limit, place: one.place }));
    }
    samples
}

fn tell(system: &SystemId, change: &Change, progress: &dyn Progress) {
    match change {
        Change::On(held) => {
            let (brake, place) = (held.brake.word(), held.place.as_deref());
            tracing::warn!(%system, brake, reading = held.reading, limit = held.limit, place, "a brake is on");
            progress.say(&format!("system `{system}` is held by a brake: {}", held.words()));
        }
        Change::Off(brake) => {
            let brake = brake.word();
            tracing::info!(%system, brake, "a brake is released");
            progress.say(&format!("system `{system}`: the brake {brake} is released"));
        }
    }
}
