//! The folder `keys/`: the key that signs the log, and random keys for each purpose, none made from another.
//!
//! Each key lies in a file of its own, encrypted (ChaCha20-Poly1305, the id as associated data) under a wrapping key
//! from a credential or a file, else from `keys/wrap.key`. Destroying a key is removing its file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::audit::log::Signers;
use crate::audit::note::{BadNote, Signer, VerifierKey};
use crate::codes::{self, Code};
use crate::crash_point;
use crate::domain::digest::MacKey;
use crate::domain::policy::SecretRef;
use crate::durable;
use crate::secret::{self, Secret, SecretError};

/// The wrapping key that `init` makes where none is named.
const WRAP: &str = "wrap.key";
/// Which key of each purpose is in force.
const CURRENT: &str = "current.json";
/// The first bytes of a wrapped key.
const MAGIC: &[u8] = b"bewaard-key-1\n";
/// The first bytes of what was sealed for an in-flight file.
const SEALED: &[u8] = b"bewaard-sealed-1\n";
const MIN_WRAP: usize = 32;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Commitments to records in the log, one key for each segment.
    Log,
    /// Commitments of holds.
    Holds,
    /// Commitments of plans.
    Plan,
    /// Fingerprints of records.
    Fingerprint,
    /// Pseudonyms.
    Pseudonym,
    /// What is sealed in in-flight files.
    Inflight,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [Self::Log, Self::Holds, Self::Plan, Self::Fingerprint, Self::Pseudonym, Self::Inflight];

    /// Its word, as KeyChanged entries have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Holds => "holds",
            Self::Plan => "plan",
            Self::Fingerprint => "fingerprint",
            Self::Pseudonym => "pseudonym",
            Self::Inflight => "inflight",
        }
    }
}

/// A key's id, such as `log-2026-Q4-1a2b3c4d`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segment of a log key.
    pub fn segment(&self) -> Option<&str> {
        self.0.strip_prefix("log-").and_then(|rest| rest.get(..7))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}
impl TryFrom<String> for KeyId {
    type Error = KeyFault;
    fn try_from(text: String) -> Result<Self, KeyFault> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits { Ok(Self(text)) } else { Err(KeyFault::Id) }
    }
}

/// Why a key can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The operating system refused.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There are keys already.
    #[error("there are keys in {} already; they are never written over", .0.display())]
    Exists(PathBuf),
    /// The folder or its list is missing or damaged.
    #[error("{} holds no keys, or not all of them: `bewaard init` makes them once; else put them back from a backup", .0.display())]
    Missing(PathBuf),
    /// The wrapping secret can't be read.
    #[error("the secret that keys are wrapped under can't be read")]
    Secret(#[source] SecretError),
    /// The wrapping secret is too short.
    #[error(
        "the secret that keys are wrapped under has fewer than {MIN_WRAP} characters: make one with `openssl rand -base64 32`"
    )]
    Weak,
    /// The key does not open.
    #[error("the key `{0}` does not open: it was wrapped under another secret, or its file was altered")]
    Wrapped(String),
    /// The key is not there.
    #[error("the key `{0}` is not in keys/: it was destroyed, or never came here")]
    Gone(String),
    /// Not the id of a key.
    #[error("this is not the id of a key")]
    Id,
    /// The signing key can't be read.
    #[error("the signing key can't be read")]
    Signing(#[source] BadNote),
}

impl KeyFault {
    /// What `bewaard explain` says of it.
    pub fn code(&self) -> &'static Code {
        match self {
            Self::Io { .. } => codes::KEYS_WRITE,
            Self::Exists(_) => codes::KEYS_EXIST,
            Self::Missing(_) | Self::Id => codes::KEYS_MISSING,
            Self::Secret(_) | Self::Wrapped(_) | Self::Signing(_) => codes::KEY_WRAPPED,
            Self::Weak => codes::WRAP_WEAK,
            Self::Gone(_) => codes::KEY_GONE,
        }
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { doing, path: path.to_path_buf(), cause }
    }
}

/// Which keys are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Current {
    keys: BTreeMap<Purpose, KeyId>,
    origin: Option<String>,
    signing: Option<KeyId>,
    staged: Option<KeyId>,
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
        let path = folder.join(CURRENT);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyFault::Missing(folder.to_path_buf()));
            }
            bytes => bytes.map_err(KeyFault::io("read", &path))?,
        };
        let current = serde_json::from_slice(&bytes).map_err(|_| KeyFault::Missing(folder.to_path_buf()))?;
        Ok(Self { folder: folder.to_path_buf(), wrap: wrapping(folder, wrap)?, current })
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
        self.current.keys.insert(purpose, id.clone());
        self.save()?;
        Ok(id)
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
        self.current.keys.retain(|_, current| current != id);
        self.save()?;
        crash_point!("key-destroy");
        let path = self.path(id);
        durable::remove(&path).map_err(KeyFault::io("remove", &path))
    }

    /// Makes a signing key for a successor log of another name; the old one stays in the folder, out of force.
    pub fn begin_log(&mut self, origin: &str) -> Result<(), KeyFault> {
        self.current.signing = Some(self.write_signer(origin)?);
        self.current.origin = Some(origin.into());
        self.current.staged = None;
        self.save()
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
            self.current.staged = Some(self.write_signer(&origin)?);
            crash_point!("key-staged");
            self.save()?;
        }
        Ok(self.read_signer(self.current.staged.as_ref())?.verifier().clone())
    }

    /// Puts the staged key in force if the log is by now signed by it. To be called after a rotation and after each
    /// opening of the log; it may be called at any time.
    pub fn settle_signer(&mut self, in_force: &VerifierKey) -> Result<(), KeyFault> {
        let Some(staged) = self.current.staged.clone() else { return Ok(()) };
        if self.read_signer(Some(&staged))?.verifier() == in_force {
            self.current.signing = Some(staged);
            self.current.staged = None;
            crash_point!("key-settle");
            self.save()?;
        }
        Ok(())
    }

    /// Encrypts under the in-flight key in force. `aad` must be the same to open it.
    pub fn seal(&self, bytes: &[u8], aad: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let id = self.current(Purpose::Inflight).ok_or_else(|| KeyFault::Gone(Purpose::Inflight.word().into()))?;
        let key = cipher(&*self.key(&id)?)?;
        let mut out = [SEALED, id.as_str().as_bytes(), b"\n"].concat();
        let head = [&out, aad].concat();
        out.extend(encrypt(&key, &head, bytes)?);
        Ok(out)
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
    cipher(&key)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, KeyFault> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new).map_err(|_| KeyFault::Id)
}

/// A random nonce, then what was encrypted, then its tag.
fn encrypt(key: &LessSafeKey, aad: &[u8], bytes: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let nonce = crate::random::bytes::<NONCE_LEN>();
    // The buffer has room for the tag from the start, so that no copy of the plain bytes stays behind in memory.
    let mut body = Vec::with_capacity(bytes.len() + CHACHA20_POLY1305.tag_len());
    body.extend_from_slice(bytes);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
        .map_err(|_| KeyFault::Wrapped("new".into()))?;
    Ok([&nonce[..], &body].concat())
}

fn decrypt(key: &LessSafeKey, aad: &[u8], bytes: &[u8]) -> Option<Secret> {
    let (nonce, body) = bytes.split_first_chunk::<NONCE_LEN>()?;
    let mut body = Zeroizing::new(body.to_vec());
    let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut body).ok()?;
    Some(Secret::new(plain.to_vec()))
}
