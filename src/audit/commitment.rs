//! Commitments: how an entry refers to a record without naming it. Pure.
//!
//! `k_record = HKDF-SHA-256(key = segment key, salt = "bewaard record key v1", info = the record's canonical bytes)`,
//! `commitment = HMAC-SHA-256(k_record, 'r' || u32 length || record || 'p' || u32 length || part)`. Who is given one
//! k_record can check the entries of that record in that segment, and of no other.

use ring::hkdf;
use zeroize::Zeroizing;

use crate::domain::digest::{Digest, MacKey, push_field};
use crate::domain::id::PartId;

/// The key of one record in one segment. Disclosing it reveals that record and no other.
pub type RecordKey = Zeroizing<[u8; 32]>;

/// A segment's key, ready to commit to records.
#[derive(Clone)]
pub struct Committer(hkdf::Prk);

impl Committer {
    /// From a segment's key.
    pub fn new(segment_key: &[u8; 32]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"bewaard record key v1").extract(segment_key))
    }

    /// The record's own key.
    pub fn record_key(&self, record: &[u8]) -> RecordKey {
        let mut key = Zeroizing::new([0; 32]);
        let info = [record];
        if let Ok(material) = self.0.expand(&info, hkdf::HKDF_SHA256) {
            // HKDF-SHA-256 gives up to 8160 bytes; 32 never fail.
            let _ = material.fill(key.as_mut());
        }
        key
    }

    /// The commitment to one (record, part): what an outcome's `record` holds.
    pub fn commitment(&self, record: &[u8], part: &PartId) -> Digest {
        commitment(&self.record_key(record), record, part)
    }
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Committer(..)")
    }
}

/// The commitment under a record's own key.
pub fn commitment(record_key: &RecordKey, record: &[u8], part: &PartId) -> Digest {
    let mut bytes = Vec::with_capacity(record.len() + 80);
    push_field(&mut bytes, b'r', record);
    push_field(&mut bytes, b'p', part.as_str().as_bytes());
    MacKey::new(record_key).mac(&bytes)
}

/// Whether a disclosed record key shows that an entry's `record` is this record's part.
pub fn discloses(record_key: &RecordKey, record: &[u8], part: &PartId, entry: &Digest) -> bool {
    commitment(record_key, record, part) == *entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disclosed_key_opens_its_own_record_only() {
        let committer = Committer::new(&[7; 32]);
        let part = PartId::record();
        let entry = committer.commitment(b"crm/customers/613", &part);
        // HKDF and HMAC computed with Python's hmac module.
        assert_eq!(entry.to_string(), include_str!("../../tests/fixtures/audit/commitment.txt").trim());
        let key = committer.record_key(b"crm/customers/613");
        assert!(discloses(&key, b"crm/customers/613", &part, &entry));
        assert!(!discloses(&key, b"crm/customers/614", &part, &entry));
        assert!(!discloses(&key, b"crm/customers/613", &PartId::new("contact").unwrap(), &entry));
        assert!(!discloses(&committer.record_key(b"crm/customers/614"), b"crm/customers/613", &part, &entry));
        assert_ne!(Committer::new(&[8; 32]).commitment(b"crm/customers/613", &part), entry);
    }
}
