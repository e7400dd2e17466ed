//! Finding the entry of one record: its commitment under each segment's key, looked for in the journal.

use std::collections::HashMap;

use super::{Engine, EngineError};
use crate::audit::commitment::{Committer, RecordKey};
use crate::audit::entry::Body;
use crate::audit::read::entries;
use crate::domain::digest::Digest;
use crate::domain::id::PartId;
use crate::domain::outcome::Outcome;
use crate::domain::rule::Rule;
use crate::domain::value::{Key, record_bytes};

/// The entry that tells what became of a record.
#[derive(Debug)]
pub struct Purge {
    /// Its index.
    pub index: u64,
    /// What it says.
    pub outcome: Outcome,
    /// The record's canonical bytes.
    pub record: Vec<u8>,
    /// The record's own key in that segment: disclosing it reveals this record and no other.
    pub record_key: RecordKey,
    /// The part.
    pub part: PartId,
}

impl Engine {
    /// The newest purge of a record under a rule; where there is none, its newest outcome.
    pub fn find_purge(&self, rule: &Rule, key: &Key) -> Result<Option<Purge>, EngineError> {
        let record = record_bytes(&rule.system, &rule.selection.collection(), key);
        let mut wanted: HashMap<Digest, (RecordKey, PartId)> = HashMap::new();
        for id in self.ring()?.ids()?.into_iter().filter(|id| id.segment().is_some()) {
            let committer = Committer::new(&*self.ring()?.key(&id)?);
            for part in &rule.parts {
                let commitment = committer.commitment(&record, &part.id);
                wanted.insert(commitment, (committer.record_key(&record), part.id.clone()));
            }
        }
        let mut found: Option<Purge> = None;
        for read in entries(&self.loaded.settings.log, 0)? {
            let (index, entry, _) = read?;
            let Body::Outcome { record: mark, result, .. } = &entry.body else { continue };
            let Some((record_key, part)) = wanted.get(mark) else { continue };
            if found.as_ref().is_none_or(|before| result.is_purge() || !before.outcome.is_purge()) {
                let (record_key, part) = (record_key.clone(), part.clone());
                found = Some(Purge { index, outcome: *result, record: record.clone(), record_key, part });
            }
        }
        Ok(found)
    }
}
