//! Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), signed with Ed25519.
//!
//! ```text
//! example.org/log                                   the origin
//! 613                                               the size
//! X/2t...=                                          the root, base64
//!                                                   (an empty line)
//! — example.org/log 0kfP...=                        base64 of the key's hash (4 bytes) and the signature (64)
//! ```

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::domain::digest::Digest;
use crate::domain::id::LONGEST_LOG_NAME;
use crate::secret::Secret;

/// The signature type of plain Ed25519.
const ED25519_TYPE: u8 = 0x01;
const DASH: &str = "\u{2014} ";
/// Notes are small; what is longer is no checkpoint.
const MAX_NOTE: usize = 64 * 1024;

/// Why a note, a checkpoint or a key is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Not in the form of a signed note.
    #[error("not in the form of a signed note")]
    Form,
    /// A note, but not a checkpoint.
    #[error("not in the form of a checkpoint")]
    NotCheckpoint,
    /// No signature by a known key.
    #[error("it bears no signature by a known key")]
    UnknownKey,
    /// A signature that says to be by a known key and is not.
    #[error("its signature does not fit: the text, the signature or the key was altered")]
    Signature,
    /// A public key that can't be read or whose own check does not fit.
    #[error("not in the form NAME+HASH+BASE64 of a public key, or its own check does not fit")]
    Key,
    /// A name that keys can't have.
    #[error("a log's name has 1 to 200 printable characters without spaces and `+`")]
    Name,
    /// A private key that can't be read.
    #[error("the private key can't be read")]
    PrivateKey,
}

/// Whether keys and logs may have this name.
pub fn is_name(name: &str) -> bool {
    (1..=LONGEST_LOG_NAME).contains(&name.len())
        && !name.contains('+')
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// A public key with its name; its text is `NAME+HASH+BASE64`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// A key from its raw bytes.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, BadNote> {
        if is_name(name) { Ok(Self { name: name.into(), public }) } else { Err(BadNote::Name) }
    }

    /// Reads the text of a key and checks its hash.
    pub fn parse(text: &str) -> Result<Self, BadNote> {
        let mut fields = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(BadNote::Key);
        };
        let key = STANDARD.decode(key).map_err(|_| BadNote::Key)?;
        let Some((&ED25519_TYPE, public)) = key.split_first() else { return Err(BadNote::Key) };
        let public = public.try_into().map_err(|_| BadNote::Key)?;
        let key = Self::new(name, public).map_err(|_| BadNote::Key)?;
        if key.to_string() == text { Ok(key) } else { Err(BadNote::Key) }
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The raw public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The key's hash: the first four bytes of SHA-256(name, newline, type, key).
    pub fn id(&self) -> [u8; 4] {
        let mut bytes = self.name.clone().into_bytes();
        bytes.extend_from_slice(&[b'\n', ED25519_TYPE]);
        bytes.extend_from_slice(&self.public);
        let digest = Digest::of(&bytes).0;
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Whether the signature over the message is this key's.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(key))
    }
}
impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// A private key with its name. Never printed.
pub struct Signer {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// Makes a key. The secret is its PKCS#8 form.
    pub fn generate(name: &str) -> Result<(Self, Secret), BadNote> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| BadNote::PrivateKey)?;
        let secret = Secret::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(name, &secret)?, secret))
    }

    /// Reads a key in PKCS#8 form (ours, or one that OpenSSL made).
    pub fn from_pkcs8(name: &str, secret: &Secret) -> Result<Self, BadNote> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(secret.bytes()).map_err(|_| BadNote::PrivateKey)?;
        Self::from_pair(name, pair)
    }

    fn from_pair(name: &str, pair: Ed25519KeyPair) -> Result<Self, BadNote> {
        let public = pair.public_key().as_ref().try_into().map_err(|_| BadNote::PrivateKey)?;
        Ok(Self { verifier: VerifierKey::new(name, public)?, pair })
    }

    /// The key that verifies what this one signs.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The key's name.
    pub name: String,
    /// The key's hash.
    pub id: [u8; 4],
    /// The signature; 64 bytes for Ed25519.
    pub signature: Vec<u8>,
}

/// A text with its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The signed text; it ends with a newline.
    pub text: String,
    /// The signatures, in the order in which they stand.
    pub signatures: Vec<SignatureLine>,
}

impl Note {
    /// Signs a text.
    pub fn sign(text: String, signers: &[&Signer]) -> Self {
        let line = |signer: &&Signer| SignatureLine {
            name: signer.verifier.name.clone(),
            id: signer.verifier.id(),
            signature: signer.sign(text.as_bytes()).to_vec(),
        };
        let signatures = signers.iter().map(line).collect();
        Self { text, signatures }
    }

    /// Reads a note. Only bytes that [`Note::encode`] would write are accepted.
    pub fn read(bytes: &str) -> Result<Self, BadNote> {
        let control = |c: char| c != '\n' && c.is_ascii_control();
        if bytes.len() > MAX_NOTE || bytes.contains(control) {
            return Err(BadNote::Form);
        }
        let end = bytes.rfind("\n\n").ok_or(BadNote::Form)?;
        let (text, lines) = (&bytes[..=end], &bytes[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(BadNote::Form)?;
        let signatures = lines.split('\n').map(read_signature).collect::<Result<_, _>>()?;
        let note = Self { text: text.into(), signatures };
        if note.encode() == bytes { Ok(note) } else { Err(BadNote::Form) }
    }

    /// The note's bytes.
    pub fn encode(&self) -> String {
        let mut out = format!("{}\n", self.text);
        for line in &self.signatures {
            let bytes = [&line.id[..], &line.signature].concat();
            // Writing to a String can't fail.
            let _ = writeln!(out, "{DASH}{} {}", line.name, STANDARD.encode(bytes));
        }
        out
    }

    /// The known keys that signed this note. Lines by unknown keys are skipped; a line by a known key that does not
    /// verify, or a second one by the same key, is a fault.
    pub fn verify<'a>(&self, keys: &[&'a VerifierKey]) -> Result<Vec<&'a VerifierKey>, BadNote> {
        let mut signed: Vec<&VerifierKey> = Vec::new();
        for line in &self.signatures {
            let Some(key) = keys.iter().find(|key| key.name == line.name && key.id() == line.id) else { continue };
            if signed.contains(key) || !key.verify(self.text.as_bytes(), &line.signature) {
                return Err(BadNote::Signature);
            }
            signed.push(key);
        }
        if signed.is_empty() { Err(BadNote::UnknownKey) } else { Ok(signed) }
    }

    /// Whether the last signature is by one of these keys: a head that passes the signing on is signed by the new key
    /// last.
    pub fn is_signed_last_by(&self, keys: &[&VerifierKey]) -> bool {
        self.signatures.last().is_some_and(|line| keys.iter().any(|key| key.name == line.name && key.id() == line.id))
    }

    /// The checkpoint that the text is.
    pub fn checkpoint(&self) -> Result<Checkpoint, BadNote> {
        Checkpoint::read(&self.text)
    }
}

fn read_signature(line: &str) -> Result<SignatureLine, BadNote> {
    let (name, bytes) = line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or(BadNote::Form)?;
    let bytes = STANDARD.decode(bytes).map_err(|_| BadNote::Form)?;
    match bytes.split_first_chunk::<4>() {
        Some((id, signature)) if !signature.is_empty() && is_name(name) => {
            Ok(SignatureLine { name: name.into(), id: *id, signature: signature.to_vec() })
        }
        _ => Err(BadNote::Form),
    }
}

/// What a log was at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Digest,
}

impl Checkpoint {
    /// Its text, which is what is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads a text. Extension lines (of other logs) are accepted and not kept.
    pub fn read(text: &str) -> Result<Self, BadNote> {
        let bad = BadNote::NotCheckpoint;
        let mut lines = text.strip_suffix('\n').ok_or(bad)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(bad);
        };
        let number: u64 = size.parse().map_err(|_| bad)?;
        let hash = STANDARD.decode(root).map_err(|_| bad)?.try_into().map_err(|_| bad)?;
        if origin.is_empty() || number.to_string() != size || lines.any(str::is_empty) {
            return Err(bad);
        }
        Ok(Self { origin: origin.into(), size: number, root: Digest(hash) })
    }
}

/// What is signed in `heads` beside a head: the line before it (nothing before the first) and the head's own note.
pub fn heads_line_text(origin: &str, before: &[u8], note: &str) -> String {
    format!("bewaard heads line\n{origin}\n{}\n{}\n", Digest::of(before), Digest::of(note.as_bytes()))
}

/// What the new key signs when it takes over from the old one.
pub fn key_change_text(origin: &str, old: &VerifierKey, new: &VerifierKey) -> String {
    format!("bewaard key change\n{origin}\n{old}\n{new}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(name: &str) -> Signer {
        Signer::generate(name).unwrap().0
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "example.org/log".into(), size: 613, root: Digest([9; 32]) }
    }

    #[test]
    fn a_note_reads_back_and_verifies() {
        let (one, two) = (signer("example.org/log"), signer("example.org/log"));
        let note = Note::sign(checkpoint().text(), &[&one, &two]);
        let read = Note::read(&note.encode()).unwrap();
        assert_eq!(read, note);
        assert_eq!(read.checkpoint(), Ok(checkpoint()));
        assert_eq!(read.verify(&[two.verifier()]), Ok(vec![two.verifier()]), "the unknown line is skipped");
        assert_eq!(read.verify(&[signer("other").verifier()]), Err(BadNote::UnknownKey));
        let mut altered = read.clone();
        altered.text = altered.text.replace("613", "614");
        assert_eq!(altered.verify(&[one.verifier()]), Err(BadNote::Signature));
    }

    #[test]
    fn every_flipped_bit_of_a_note_is_found() {
        let one = signer("example.org/log");
        let bytes = Note::sign(checkpoint().text(), &[&one]).encode().into_bytes();
        for at in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            let verdict = String::from_utf8(bytes).ok().and_then(|text| Note::read(&text).ok());
            assert!(verdict.is_none_or(|note| note.verify(&[one.verifier()]).is_err()), "bit {at}");
        }
    }

    #[test]
    fn a_damaged_public_key_is_found() {
        let text = signer("example.org/log").verifier().to_string();
        assert_eq!(VerifierKey::parse(&text).unwrap().to_string(), text);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8(bytes).unwrap();
            assert_eq!(VerifierKey::parse(&damaged), Err(BadNote::Key), "{damaged}");
        }
        assert_eq!(VerifierKey::parse(""), Err(BadNote::Key));
    }

    #[test]
    fn odd_checkpoints_are_refused() {
        for text in ["", "a\n1\n", "a\n01\nCQk=\n", "a\n1\nCQk=\n", "\n1\nCQk=\n"] {
            assert_eq!(Checkpoint::read(text), Err(BadNote::NotCheckpoint), "{text:?}");
        }
        let extended = format!("{}more\n", checkpoint().text());
        assert_eq!(Checkpoint::read(&extended), Ok(checkpoint()));
        assert!(Checkpoint::read(&format!("{}\n", checkpoint().text())).is_err());
    }
}
