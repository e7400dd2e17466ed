//! A checkpoint in the forms of programs that are not ours: openssl, signify, minisign. The signature is the same in
//! all of them: Ed25519 over the checkpoint's text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{BadNote, Note, Signer, VerifierKey};
use crate::domain::digest::Digest;

/// SubjectPublicKeyInfo of an Ed25519 key, up to the key itself (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The public key for openssl (PEM, SubjectPublicKeyInfo).
pub fn openssl_key(key: &VerifierKey) -> String {
    let der = STANDARD.encode([&SPKI[..], key.public()].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
}

/// The eight bytes by which signify and minisign tell keys apart.
fn number(key: &VerifierKey) -> [u8; 8] {
    let mut number = [0; 8];
    number.copy_from_slice(&Digest::of(key.public()).0[..8]);
    number
}

fn packed(key: &VerifierKey, bytes: &[u8]) -> String {
    STANDARD.encode([b"Ed", &number(key)[..], bytes].concat())
}

/// The public key for signify and minisign: both read this form.
pub fn signify_key(key: &VerifierKey) -> String {
    format!("untrusted comment: {} public key\n{}\n", key.name(), packed(key, key.public()))
}

/// A signature for signify.
pub fn signify_signature(key: &VerifierKey, signature: &[u8]) -> String {
    format!("untrusted comment: checkpoint of {}\n{}\n", key.name(), packed(key, signature))
}

/// A signature for minisign (its legacy algorithm): its trusted comment needs a signature of its own.
pub fn minisign_signature(signer: &Signer, signature: &[u8], comment: &str) -> String {
    let key = signer.verifier();
    let second = signer.sign(&[signature, comment.as_bytes()].concat());
    format!(
        "untrusted comment: checkpoint of {}\n{}\ntrusted comment: {comment}\n{}\n",
        key.name(),
        packed(key, signature),
        STANDARD.encode(second)
    )
}

/// Everything that openssl, signify and minisign need to check a checkpoint. Without the signer there is no minisign
/// signature.
pub fn export(note: &Note, key: &VerifierKey, signer: Option<&Signer>) -> Result<Vec<Exported>, BadNote> {
    note.verify(&[key])?;
    let checkpoint = note.checkpoint()?;
    let line = note.signatures.iter().find(|line| line.id == key.id() && line.name == key.name());
    let signature = &line.ok_or(BadNote::UnknownKey)?.signature;
    let file = |name, bytes: &[u8]| Exported { name, bytes: bytes.to_vec() };
    let mut files = vec![
        file("checkpoint.body", note.text.as_bytes()),
        file("checkpoint.raw", signature),
        file("checkpoint.body.sig", signify_signature(key, signature).as_bytes()),
        file("key.pem", openssl_key(key).as_bytes()),
        file("key.pub", signify_key(key).as_bytes()),
        file("key.vkey", format!("{key}\n").as_bytes()),
    ];
    if let Some(signer) = signer.filter(|signer| signer.verifier() == key) {
        let comment = format!("{} at {} entries", checkpoint.origin, checkpoint.size);
        files.push(file("checkpoint.body.minisig", minisign_signature(signer, signature, &comment).as_bytes()));
    }
    Ok(files)
}
