//! Holds: a person's or a record's data that must stay until somebody releases it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::digest::{Digest, MacKey, push_field};
use super::id::{ActorId, HoldId, RuleId, SystemId};
use super::identity::Identity;
use super::value::{Key, record_bytes};

/// One hold. It names nobody: `marks` are keyed commitments of identities or of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Commitments under the hold key; a record that matches one of them is held.
    pub marks: BTreeSet<Digest>,
    /// Only in this system; `None` is everywhere.
    pub system: Option<SystemId>,
    /// Only under this rule; `None` is every rule.
    pub rule: Option<RuleId>,
    /// Who answers for it.
    pub owner: Option<ActorId>,
    /// When somebody must look at it again.
    pub review: NaiveDate,
    /// When it was placed.
    pub placed: NaiveDate,
}

/// All holds in force, and the key under which their marks were made.
#[derive(Debug, Clone)]
pub struct Holds {
    key: MacKey,
    by_id: BTreeMap<HoldId, Hold>,
    marks: BTreeMap<Digest, BTreeSet<HoldId>>,
}

impl Holds {
    /// No holds, under a key.
    pub fn new(key: MacKey) -> Self {
        Self { key, by_id: BTreeMap::new(), marks: BTreeMap::new() }
    }

    /// The mark of a person.
    pub fn mark_identity(&self, identity: &Identity) -> Digest {
        self.key.mac(&identity.canonical())
    }

    /// The mark of one record.
    pub fn mark_record(&self, system: &SystemId, collection: &str, key: &Key) -> Digest {
        self.key.mac(&record_bytes(system, collection, key))
    }

    /// Places a hold.
    pub fn add(&mut self, hold: Hold) {
        for mark in &hold.marks {
            self.marks.entry(*mark).or_default().insert(hold.id.clone());
        }
        self.by_id.insert(hold.id.clone(), hold);
    }

    /// Releases a hold; false if there was none.
    pub fn release(&mut self, id: &HoldId) -> bool {
        for ids in self.marks.values_mut() {
            ids.remove(id);
        }
        self.marks.retain(|_, ids| !ids.is_empty());
        self.by_id.remove(id).is_some()
    }

    /// Whether there are none, so that nothing need be asked.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The holds in force, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Hold> {
        self.by_id.values()
    }

    /// The first hold that binds this record under this rule.
    pub fn find(
        &self,
        rule: &RuleId,
        system: &SystemId,
        collection: &str,
        key: &Key,
        identities: &[Identity],
    ) -> Option<&Hold> {
        if self.by_id.is_empty() {
            return None;
        }
        let record = self.mark_record(system, collection, key);
        let marks = identities.iter().map(|one| self.mark_identity(one)).chain([record]);
        marks.filter_map(|mark| self.marks.get(&mark)).flatten().filter_map(|id| self.by_id.get(id)).find(|hold| {
            hold.system.as_ref().is_none_or(|one| one == system) && hold.rule.as_ref().is_none_or(|one| one == rule)
        })
    }

    /// The digest of the whole set: what the newest HoldChanged entry must name.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for hold in self.by_id.values() {
            push_field(&mut bytes, b'h', hold.id.as_str().as_bytes());
            push_field(&mut bytes, b's', hold.system.as_ref().map_or("", SystemId::as_str).as_bytes());
            push_field(&mut bytes, b'r', hold.rule.as_ref().map_or("", RuleId::as_str).as_bytes());
            for mark in &hold.marks {
                push_field(&mut bytes, b'm', &mark.0);
            }
        }
        Digest::of(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::IdentityKind;
    use crate::domain::value::Scalar;

    #[test]
    fn a_hold_binds_what_it_marks_and_nothing_else() {
        let mut holds = Holds::new(MacKey::new(&[1; 32]));
        let (shop, crm) = (SystemId::new("shop").unwrap(), SystemId::new("crm").unwrap());
        let rule = RuleId::new("old").unwrap();
        let jan = Identity::new(IdentityKind::Email, "Jan@x.nl").unwrap();
        let key = Key(vec![Scalar::Int(7)]);
        assert!(holds.find(&rule, &shop, "t", &key, std::slice::from_ref(&jan)).is_none());
        let before = holds.digest();
        let hold = Hold {
            id: HoldId::from_random([1; 8]),
            marks: [holds.mark_identity(&jan)].into(),
            system: Some(shop.clone()),
            rule: None,
            owner: None,
            review: NaiveDate::MAX,
            placed: NaiveDate::MIN,
        };
        holds.add(hold.clone());
        assert!(holds.find(&rule, &shop, "t", &key, std::slice::from_ref(&jan)).is_some());
        assert!(holds.find(&rule, &crm, "t", &key, std::slice::from_ref(&jan)).is_none());
        assert!(holds.find(&rule, &shop, "t", &key, &[]).is_none());
        assert_ne!(holds.digest(), before);
        assert!(holds.release(&hold.id) && !holds.release(&hold.id));
        assert_eq!(holds.digest(), before);
    }
}
