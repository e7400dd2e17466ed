//! Connections kept between calls, and thrown away after any doubt.

use tokio::sync::{Mutex, MutexGuard};

use super::engine::{Engine, FaultKind, Purpose, Session, SqlFault};

/// A place for one connection, made when it is first needed.
pub(super) struct Slot {
    purpose: Purpose,
    kept: Mutex<Option<Box<dyn Session>>>,
}

/// A connection in use. It is *taken out* of its place: who is dropped in the middle of a statement, or meets a fault,
/// does not give it back, and nobody can read an answer that was meant for another question (contract, 8).
pub(super) struct Lease<'a> {
    place: MutexGuard<'a, Option<Box<dyn Session>>>,
    session: Box<dyn Session>,
}

impl Slot {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self { purpose, kept: Mutex::new(None) }
    }

    /// Waits for the place and takes its connection, or makes one.
    pub(super) async fn lease(&self, engine: &dyn Engine) -> Result<Lease<'_>, SqlFault> {
        let place = self.kept.lock().await;
        self.in_place(place, engine).await
    }

    async fn in_place<'s>(
        &self,
        mut place: MutexGuard<'s, Option<Box<dyn Session>>>,
        engine: &dyn Engine,
    ) -> Result<Lease<'s>, SqlFault> {
        let session = match place.take() {
            Some(session) => session,
            None => engine.connect(self.purpose).await?,
        };
        Ok(Lease { place, session })
    }

    /// The connection that is kept, if there is one.
    pub(super) async fn lease_kept(&self) -> Option<Lease<'_>> {
        let mut place = self.kept.lock().await;
        let session = place.take()?;
        Some(Lease { place, session })
    }
}

/// The connection of the first place that is free; waits for the last where none is.
pub(super) async fn lease_one_of<'s>(places: &'s [Slot], engine: &dyn Engine) -> Result<Lease<'s>, SqlFault> {
    let [before @ .., last] = places else {
        return Err(SqlFault { kind: FaultKind::Other, code: "no place for a connection".into() });
    };
    for slot in before {
        if let Ok(place) = slot.kept.try_lock() {
            return slot.in_place(place, engine).await;
        }
    }
    last.lease(engine).await
}

impl Lease<'_> {
    pub(super) fn session(&mut self) -> &mut dyn Session {
        self.session.as_mut()
    }

    /// Gives the connection back: every statement on it was answered.
    pub(super) fn keep(self) {
        let Self { mut place, session } = self;
        *place = Some(session);
    }
}
