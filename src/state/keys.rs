//! The folder `keys/`: the key that signs the log, and random keys for each purpose, none made from another.
//!
//! Each key lies in a file of its own, encrypted (ChaCha20-Poly1305, the id as associated data) under a wrapping key
//! from a credential or a file, else from `keys/wrap.key`. Destroying a key is removing its file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ring::aead::LessSafeKey;
use ring::hkdf;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::aead::{cipher, decrypt, encrypt};
pub use super::key_fault::KeyFault;
use super::key_fault::MIN_WRAP;
pub use super::key_id::{KeyId, Purpose};
use crate::audit::log::Signers;
use crate::audit::note::{Signer, VerifierKey};
use crate::crash_point;
use crate::domain::digest::MacKey;
use crate::domain::policy::SecretRef;
use crate::durable;
use crate::secret::{self, Secret};

/// The wrapping key that `init` makes where none is named.
const WRAP: &str = "wrap.key";
/// Which key of each purpose is in force.
const CURRENT: &str = "current.json";
/// Held while that is changed.
const LOCK: &str = "current.lock";
/// The first bytes of a wrapped key.
const MAGIC: &[u8] = b"bewaard-key-1\n";
/// The first bytes of what was sealed for an in-flight file.
const SEALED: &[u8] = b"bewaard-sealed-1\n";

/// Which keys are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Current {
    keys: BTreeMap<Purpose, KeyId>,
    origin: Option<String>,
    signing: Option<KeyId>,
    staged: Option<KeyId>,
}

fn read_current(folder: &Path) -> Result<Current, KeyFault> {
    let path = folder.join(CURRENT);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyFault::Missing(folder.to_path_buf())),
        bytes => bytes.map_err(KeyFault::io("read", &path))?,
    };
    serde_json::from_slice(&bytes).map_err(|_| KeyFault::Missing(folder.to_path_buf()))
}

/// The keys, open.
pub struct KeyRing {
    folder: PathBuf,
    wrap: LessSafeKey,
    current: Current,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("folder", &self.folder).field("current", &self.current).finish_non_exhaustive()
    }
}

/// Encrypts under the in-flight key that was in force when it was asked for.
#[derive(Debug)]
pub struct Sealer {
    key: LessSafeKey,
    head: Vec<u8>,
}

impl Sealer {
    /// Encrypts; `aad` must be given again to open it.
    pub fn seal(&self, bytes: &[u8], aad: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut out = self.head.clone();
        out.extend(encrypt(&self.key, &[&self.head, aad].concat(), bytes)?);
        Ok(out)
    }
}

impl KeyRing {
    /// Makes the folder, its wrapping key where none is named, a signing key with the log's name, and one key for
    /// each purpose; the log key is for this segment. What an `init` that was cut off left is made anew: nothing was
    /// done with it yet.
    pub fn create(folder: &Path, wrap: Option<&SecretRef>, origin: &str, segment: &str) -> Result<Self, KeyFault> {
        if folder.join(CURRENT).exists() {
            return Err(KeyFault::Exists(folder.to_path_buf()));
        }
        durable::folder(folder, true).map_err(KeyFault::io("make the folder", folder))?;
        let own = folder.join(WRAP);
        if wrap.is_none() && !own.exists() {
            let random = Zeroizing::new(crate::random::bytes::<32>());
            let text = Zeroizing::new(format!("{}\n", hex::encode(*random)));
            durable::replace(&own, text.as_bytes(), durable::PRIVATE, folder).map_err(KeyFault::io("write", &own))?;
        }
        let mut ring =
            Self { folder: folder.to_path_buf(), wrap: wrapping(folder, wrap)?, current: Current::default() };
        for purpose in Purpose::ALL {
            let id = ring.write_random(purpose, (purpose == Purpose::Log).then_some(segment))?;
            ring.current.keys.insert(purpose, id);
        }
        ring.current.origin = Some(origin.into());
        ring.current.signing = Some(ring.write_signer(origin)?);
        crash_point!("keys-current");
        ring.save()?;
        Ok(ring)
    }

    /// Opens the folder.
    pub fn open(folder: &Path, wrap: Option<&SecretRef>) -> Result<Self, KeyFault> {
        let current = read_current(folder)?;
        Ok(Self { folder: folder.to_path_buf(), wrap: wrapping(folder, wrap)?, current })
    }

    /// Reads anew which keys are in force, as another process left them; whether that is another choice than before.
    pub fn reread(&mut self) -> Result<bool, KeyFault> {
        let now = read_current(&self.folder)?;
        let changed = now != self.current;
        self.current = now;
        Ok(changed)
    }

    /// The key in force for a purpose.
    pub fn current(&self, purpose: Purpose) -> Option<KeyId> {
        self.current.keys.get(&purpose).cloned()
    }

    /// The bytes of a key.
    pub fn key(&self, id: &KeyId) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
        let bytes = self.unwrap(id)?;
        let key: [u8; 32] = bytes.bytes().try_into().map_err(|_| KeyFault::Wrapped(id.to_string()))?;
        Ok(Zeroizing::new(key))
    }

    /// A key, ready to commit with.
    pub fn mac(&self, id: &KeyId) -> Result<MacKey, KeyFault> {
        Ok(MacKey::new(&*self.key(id)?))
    }

    /// The key in force for a purpose, ready to commit with.
    pub fn current_mac(&self, purpose: Purpose) -> Result<MacKey, KeyFault> {
        let id = self.current(purpose).ok_or_else(|| KeyFault::Gone(purpose.word().into()))?;
        self.mac(&id)
    }

    /// Makes a new key for a purpose and puts it in force. Log keys are for a segment. The old one stays.
    pub fn make(&mut self, purpose: Purpose, segment: Option<&str>) -> Result<KeyId, KeyFault> {
        let id = self.write_random(purpose, segment)?;
        crash_point!("key-made");
        self.change(|current| drop(current.keys.insert(purpose, id.clone())))?;
        Ok(id)
    }

    /// Makes a key that stands beside those in force and is named by a day: for one run's quarantine.
    pub fn make_apart(&mut self, purpose: Purpose, day: &str) -> Result<KeyId, KeyFault> {
        self.write_random(purpose, Some(day))
    }

    /// Every key that is there.
    pub fn ids(&self) -> Result<Vec<KeyId>, KeyFault> {
        let items = fs::read_dir(&self.folder).map_err(KeyFault::io("read the folder", &self.folder))?;
        let mut ids = Vec::new();
        for item in items {
            let name = item.map_err(KeyFault::io("read the folder", &self.folder))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".wrapped"));
            ids.extend(id.and_then(|id| KeyId::try_from(id.to_string()).ok()));
        }
        ids.sort();
        Ok(ids)
    }

    /// Destroys a key: its file goes, and what was committed under it stays closed for ever. One that is not there is
    /// as good as destroyed.
    pub fn destroy(&mut self, id: &KeyId) -> Result<(), KeyFault> {
        if self.current.keys.values().any(|current| current == id) {
            self.change(|current| current.keys.retain(|_, current| current != id))?;
        }
        crash_point!("key-destroy");
        let path = self.path(id);
        durable::remove(&path).map_err(KeyFault::io("remove", &path))
    }

    /// Makes a signing key for a successor log of another name; the old one stays in the folder, out of force.
    pub fn begin_log(&mut self, origin: &str) -> Result<(), KeyFault> {
        let signing = self.write_signer(origin)?;
        self.change(|current| {
            current.signing = Some(signing);
            current.origin = Some(origin.into());
            current.staged = None;
        })
    }

    /// The key that signs the log.
    pub fn signer(&self) -> Result<Signer, KeyFault> {
        self.read_signer(self.current.signing.as_ref())
    }

    /// The keys that may sign: the one in force, and a staged one.
    pub fn signers(&self) -> Result<Signers, KeyFault> {
        let staged = self.current.staged.as_ref().map(|staged| self.read_signer(Some(staged))).transpose()?;
        Ok(Signers { current: self.signer()?, staged })
    }

    /// Makes a new signing key that is to take over, or gives the one that was made before. Then
    /// [`crate::audit::log::Log::rotate`] passes the log on, and [`KeyRing::settle_signer`] ends it.
    pub fn stage_signer(&mut self) -> Result<VerifierKey, KeyFault> {
        if self.current.staged.is_none() {
            let origin = self.current.origin.clone().ok_or_else(|| KeyFault::Missing(self.folder.clone()))?;
            let staged = self.write_signer(&origin)?;
            crash_point!("key-staged");
            self.change(|current| {
                current.staged.get_or_insert(staged);
            })?;
        }
        Ok(self.read_signer(self.current.staged.as_ref())?.verifier().clone())
    }

    /// Puts the staged key in force if the log is by now signed by it. To be called after a rotation and after each
    /// opening of the log; it may be called at any time.
    pub fn settle_signer(&mut self, in_force: &VerifierKey) -> Result<(), KeyFault> {
        let Some(staged) = self.current.staged.clone() else { return Ok(()) };
        if self.read_signer(Some(&staged))?.verifier() == in_force {
            crash_point!("key-settle");
            self.change(|current| {
                if current.staged.as_ref() == Some(&staged) {
                    current.signing = current.staged.take();
                }
            })?;
        }
        Ok(())
    }

    /// Encrypts under the in-flight key in force. `aad` must be the same to open it.
    pub fn seal(&self, bytes: &[u8], aad: &[u8]) -> Result<Vec<u8>, KeyFault> {
        self.sealer()?.seal(bytes, aad)
    }

    /// What seals under the present in-flight key, without the ring.
    pub fn sealer(&self) -> Result<Sealer, KeyFault> {
        let id = self.current(Purpose::Inflight).ok_or_else(|| KeyFault::Gone(Purpose::Inflight.word().into()))?;
        Ok(Sealer { key: cipher(&*self.key(&id)?)?, head: [SEALED, id.as_str().as_bytes(), b"\n"].concat() })
    }

    /// Decrypts what [`KeyRing::seal`] gave, also under an earlier in-flight key that is still there.
    pub fn open_sealed(&self, sealed: &[u8], aad: &[u8]) -> Result<Secret, KeyFault> {
        let unreadable = || KeyFault::Wrapped("inflight".into());
        let rest = sealed.strip_prefix(SEALED).ok_or_else(unreadable)?;
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(unreadable)?;
        let id = String::from_utf8(rest[..end].to_vec()).map_err(|_| KeyFault::Id)?;
        let id = KeyId::try_from(id)?;
        let (head, body) = sealed.split_at(SEALED.len() + end + 1);
        let key = cipher(&*self.key(&id)?)?;
        decrypt(&key, &[head, aad].concat(), body).ok_or_else(|| KeyFault::Wrapped(id.to_string()))
    }

    fn path(&self, id: &KeyId) -> PathBuf {
        self.folder.join(format!("{id}.wrapped"))
    }

    /// Changes which keys are in force, over what other processes have changed since they were read.
    fn change(&mut self, by: impl FnOnce(&mut Current)) -> Result<(), KeyFault> {
        let path = self.folder.join(LOCK);
        let _lock = durable::lock(&path).map_err(KeyFault::io("lock", &path))?;
        self.reread()?;
        by(&mut self.current);
        self.save()
    }

    fn save(&self) -> Result<(), KeyFault> {
        let path = self.folder.join(CURRENT);
        let text = serde_json::to_vec_pretty(&self.current)
            .map_err(|error| KeyFault::io("write", &path)(io::Error::other(error)))?;
        durable::replace(&path, &text, durable::PRIVATE, &self.folder).map_err(KeyFault::io("write", &path))
    }

    fn write_random(&self, purpose: Purpose, segment: Option<&str>) -> Result<KeyId, KeyFault> {
        let id = hex::encode(crate::random::bytes::<4>());
        let id = match segment {
            Some(segment) => format!("{}-{segment}-{id}", purpose.word()),
            None => format!("{}-{id}", purpose.word()),
        };
        let id = KeyId::try_from(id)?;
        self.write_wrapped(&id, &*Zeroizing::new(crate::random::bytes::<32>()))?;
        Ok(id)
    }

    fn write_signer(&self, origin: &str) -> Result<KeyId, KeyFault> {
        let (signer, secret) = Signer::generate(origin).map_err(KeyFault::Signing)?;
        let id = KeyId::try_from(format!("signing-{}", hex::encode(signer.verifier().id())))?;
        self.write_wrapped(&id, secret.bytes())?;
        Ok(id)
    }

    fn read_signer(&self, id: Option<&KeyId>) -> Result<Signer, KeyFault> {
        let (Some(id), Some(origin)) = (id, &self.current.origin) else {
            return Err(KeyFault::Missing(self.folder.clone()));
        };
        Signer::from_pkcs8(origin, &self.unwrap(id)?).map_err(KeyFault::Signing)
    }

    fn write_wrapped(&self, id: &KeyId, bytes: &[u8]) -> Result<(), KeyFault> {
        let path = self.path(id);
        let wrapped = [MAGIC, &encrypt(&self.wrap, id.as_str().as_bytes(), bytes)?].concat();
        durable::create(&path, &wrapped, durable::PRIVATE).map_err(KeyFault::io("write", &path))
    }

    fn unwrap(&self, id: &KeyId) -> Result<Secret, KeyFault> {
        let path = self.path(id);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyFault::Gone(id.to_string())),
            bytes => bytes.map_err(KeyFault::io("read", &path))?,
        };
        let body = bytes.strip_prefix(MAGIC);
        body.and_then(|body| decrypt(&self.wrap, id.as_str().as_bytes(), body))
            .ok_or_else(|| KeyFault::Wrapped(id.to_string()))
    }
}

/// The wrapping key: HKDF-SHA-256 of the secret, which is random already.
fn wrapping(folder: &Path, wrap: Option<&SecretRef>) -> Result<LessSafeKey, KeyFault> {
    let own = || SecretRef::File(folder.join(WRAP).to_string_lossy().into_owned());
    let secret = match wrap {
        Some(wrap) => secret::read(wrap),
        None if !folder.join(WRAP).exists() => return Err(KeyFault::Missing(folder.to_path_buf())),
        None => secret::read(&own()),
    };
    let secret = secret.map_err(KeyFault::Secret)?;
    if secret.bytes().len() < MIN_WRAP {
        return Err(KeyFault::Weak);
    }
    let mut key = Zeroizing::new([0; 32]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bewaard wrap key v1").extract(secret.bytes());
    prk.expand(&[b"keys"], hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(key.as_mut()))
        .map_err(|_| KeyFault::Weak)?;
    Ok(cipher(&key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "bewaard.example/fietsen";

    fn ring() -> (tempfile::TempDir, KeyRing) {
        let place = tempfile::tempdir().unwrap();
        let ring = KeyRing::create(&place.path().join("keys"), None, ORIGIN, "2026-Q4").unwrap();
        (place, ring)
    }

    #[test]
    fn keys_are_random_named_and_read_back() {
        let (place, ring) = ring();
        let again = KeyRing::open(&place.path().join("keys"), None).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for purpose in Purpose::ALL {
            let id = ring.current(purpose).unwrap();
            assert!(id.as_str().starts_with(purpose.word()), "{id}");
            assert_eq!(again.key(&id).unwrap(), ring.key(&id).unwrap());
            assert!(seen.insert(*again.key(&id).unwrap()), "no key is made from another");
        }
        assert_eq!(ring.current(Purpose::Log).unwrap().segment(), Some("2026-Q4"));
        assert_eq!(again.signer().unwrap().verifier(), ring.signer().unwrap().verifier());
        assert_eq!(again.ids().unwrap().len(), 7);
        let created = KeyRing::create(&place.path().join("keys"), None, ORIGIN, "2026-Q4");
        assert_eq!(created.unwrap_err().code().id, "B434");
    }

    #[test]
    fn no_key_lies_open_on_the_disk() {
        let (place, ring) = ring();
        let secrets: Vec<_> = Purpose::ALL.iter().map(|p| *ring.key(&ring.current(*p).unwrap()).unwrap()).collect();
        for item in fs::read_dir(place.path().join("keys")).unwrap() {
            let path = item.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            assert!(secrets.iter().all(|secret| !bytes.windows(32).any(|window| window == secret)));
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        assert!(!format!("{ring:?}").contains(&hex::encode(secrets[0])));
    }

    #[test]
    fn another_wrapping_key_or_an_altered_or_renamed_file_opens_nothing() {
        let (place, ring) = ring();
        let folder = place.path().join("keys");
        let (log, holds) = (ring.current(Purpose::Log).unwrap(), ring.current(Purpose::Holds).unwrap());
        let whole = fs::read(ring.path(&log)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            durable::replace(&ring.path(&log), &bytes, durable::PRIVATE, place.path()).unwrap();
            assert!(matches!(ring.key(&log), Err(KeyFault::Wrapped(_))), "byte {at}");
        }
        fs::copy(ring.path(&holds), ring.path(&log)).unwrap();
        assert!(matches!(ring.key(&log), Err(KeyFault::Wrapped(_))), "the id is part of what was wrapped");
        let secret = |name: &str, text: &str| {
            let path = place.path().join(name);
            durable::create(&path, text.as_bytes(), durable::PRIVATE).unwrap();
            SecretRef::File(path.to_str().unwrap().into())
        };
        let other = KeyRing::open(&folder, Some(&secret("other", &"x".repeat(32)))).unwrap();
        assert_eq!(other.key(&holds).unwrap_err().code().id, "B431");
        let weak = KeyRing::open(&folder, Some(&secret("weak", "hunter2")));
        assert_eq!(weak.unwrap_err().code().id, "B433");
        let named = secret("named", &"y".repeat(44));
        let ring = KeyRing::create(&place.path().join("more"), Some(&named), ORIGIN, "2026-Q4").unwrap();
        assert!(!place.path().join("more").join(WRAP).exists());
        assert!(KeyRing::open(&place.path().join("more"), Some(&named)).unwrap().signer().is_ok());
        assert_eq!(KeyRing::open(&place.path().join("more"), None).unwrap_err().code().id, "B430");
        drop(ring);
    }

    #[test]
    fn a_destroyed_key_is_gone_and_a_new_one_takes_its_place() {
        let (place, mut ring) = ring();
        let old = ring.current(Purpose::Log).unwrap();
        let new = ring.make(Purpose::Log, Some("2027-Q1")).unwrap();
        assert!(ring.key(&old).is_ok(), "the old segment's key stays until it is destroyed");
        ring.destroy(&old).unwrap();
        ring.destroy(&old).unwrap();
        assert_eq!(ring.key(&old).unwrap_err().code().id, "B432");
        let again = KeyRing::open(&place.path().join("keys"), None).unwrap();
        assert_eq!(again.current(Purpose::Log), Some(new));
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_words_only() {
        let (_place, mut ring) = ring();
        let sealed = ring.seal(b"keys of a batch", b"batch-1").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"keys"));
        assert_eq!(ring.open_sealed(&sealed, b"batch-1").unwrap().bytes(), b"keys of a batch");
        assert!(ring.open_sealed(&sealed, b"batch-2").is_err());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(ring.open_sealed(&altered, b"batch-1").is_err(), "byte {at}");
        }
        assert!(ring.open_sealed(b"", b"").is_err());
        let old = ring.current(Purpose::Inflight).unwrap();
        ring.make(Purpose::Inflight, None).unwrap();
        assert!(ring.open_sealed(&sealed, b"batch-1").is_ok(), "a file that is in flight outlives a change of key");
        ring.destroy(&old).unwrap();
        assert_eq!(ring.open_sealed(&sealed, b"batch-1").unwrap_err().code().id, "B432");
    }

    #[test]
    fn a_staged_signing_key_takes_over_when_the_log_is_signed_by_it() {
        let (place, mut ring) = ring();
        let old = ring.signer().unwrap().verifier().clone();
        let new = ring.stage_signer().unwrap();
        assert_eq!(ring.stage_signer().unwrap(), new, "staging twice gives the same key");
        ring.settle_signer(&old).unwrap();
        let mut again = KeyRing::open(&place.path().join("keys"), None).unwrap();
        let signers = again.signers().unwrap();
        assert_eq!((signers.current.verifier(), signers.staged.unwrap().verifier()), (&old, &new));
        again.settle_signer(&new).unwrap();
        let again = KeyRing::open(&place.path().join("keys"), None).unwrap().signers().unwrap();
        assert!(again.current.verifier() == &new && again.staged.is_none());
    }

    #[test]
    fn what_another_process_put_in_force_is_not_put_back() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("keys");
        let mut ours = KeyRing::create(&folder, None, "bewaard.invalid/test", "2026-Q4").unwrap();
        let mut theirs = KeyRing::open(&folder, None).unwrap();
        let new = theirs.stage_signer().unwrap();
        theirs.settle_signer(&new).unwrap();
        let made = ours.make(Purpose::Log, Some("2027-Q1")).unwrap();
        let now = KeyRing::open(&folder, None).unwrap();
        assert_eq!(now.signer().unwrap().verifier(), &new, "the rotation stands");
        assert_eq!(now.current(Purpose::Log), Some(made), "and so does the new key");
        let quarantine = ours.make_apart(Purpose::Quarantine, "2026-12-04").unwrap();
        theirs.begin_log("bewaard.invalid/next").unwrap();
        ours.destroy(&quarantine).unwrap();
        assert_eq!(KeyRing::open(&folder, None).unwrap().signer().unwrap().verifier().name(), "bewaard.invalid/next");
    }
}
