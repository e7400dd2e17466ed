//! Authenticated encryption of small things: keys, and in-flight files.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A key of ChaCha20-Poly1305.
pub(super) fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new)
}

/// A random nonce, then what was encrypted, then its tag.
pub(super) fn encrypt(key: &LessSafeKey, aad: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let nonce = crate::random::bytes::<NONCE_LEN>();
    // The buffer has room for the tag from the start, so that no copy of the plain bytes stays behind in memory.
    let mut body = Vec::with_capacity(bytes.len() + CHACHA20_POLY1305.tag_len());
    body.extend_from_slice(bytes);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)?;
    Ok([&nonce[..], &body].concat())
}

/// What [`encrypt`] gave; `None` if the key, `aad` or a byte is another.
pub(super) fn decrypt(key: &LessSafeKey, aad: &[u8], bytes: &[u8]) -> Option<Secret> {
    let (nonce, body) = bytes.split_first_chunk::<NONCE_LEN>()?;
    let mut body = Zeroizing::new(body.to_vec());
    let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut body).ok()?;
    Some(Secret::new(plain.to_vec()))
}
