//! How a system bears what is done to it: what the brakes are held against.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::brake::{Brake, Reading};
use crate::domain::policy::ServerAccess;
use crate::domain::rule::Rule;

/// A question about strain takes no longer on the server.
pub const STRAIN_LIMIT: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct StrainOf<'a> {
    /// The rules whose tables are meant.
    pub rules: &'a [&'a Rule],
    /// The firm's own query, as it was printed from what was read.
    pub query: Option<&'a str>,
    /// Replicas to ask for their lag.
    pub replicas: &'a [ServerAccess],
}

/// What a system says of itself, in the units of the brakes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strain {
    /// By brake; one that is not here is nothing that this kind of system has.
    pub readings: BTreeMap<Brake, Vec<Told>>,
    /// The folder of its data, as the system names it; it is looked at where it lies on this host.
    pub folder: Option<PathBuf>,
}

/// One reading and where it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The reading.
    pub reading: Reading,
    /// The replica or place, where there are several.
    pub place: Option<String>,
}

impl Strain {
    /// Adds a reading of the system itself.
    pub fn add(&mut self, brake: Brake, reading: Reading) {
        self.add_at(brake, reading, None);
    }

    /// Adds a reading of a place.
    pub fn add_at(&mut self, brake: Brake, reading: Reading, place: Option<String>) {
        self.readings.entry(brake).or_default().push(Told { reading, place });
    }
}
