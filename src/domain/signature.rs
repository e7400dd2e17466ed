//! SSH signatures (`ssh-keygen -Y sign`, the format of OpenSSH's PROTOCOL.sshsig), Ed25519 keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::signature::{ED25519, UnparsedPublicKey};

const MAGIC: &[u8] = b"SSHSIG";

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not an SSH signature file.
    #[error("this is no SSH signature file (-----BEGIN SSH SIGNATURE-----)")]
    Shape,
    /// A key of another type.
    #[error("the key is of type `{0}`: use an ssh-ed25519 key")]
    Type(String),
    /// Made for something else.
    #[error("it was made for namespace `{0}`: sign with -n bewaard")]
    Namespace(String),
    /// Not over this text.
    #[error("it is not over this plan's text, or the text was changed after signing")]
    Wrong,
    /// By nobody who is declared.
    #[error("it is by a key that no [actor.NAME] of the policy has")]
    Stranger,
}

/// An SSH public key's 32 bytes, from its one-line form (`ssh-ed25519 AAAA... comment`).
pub fn public_key(line: &str) -> Option<Vec<u8>> {
    let mut words = line.split_ascii_whitespace();
    if words.next()? != "ssh-ed25519" {
        return None;
    }
    ed25519_of(&STANDARD.decode(words.next()?).ok()?).ok()
}

/// Checks a signature over a text and gives the public key that made it.
pub fn verify(armoured: &str, namespace: &str, text: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let body: String = armoured.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let is_signature = armoured.contains("-----BEGIN SSH SIGNATURE-----");
    let blob = STANDARD.decode(body).ok().filter(|_| is_signature).ok_or(SignatureError::Shape)?;
    let rest = blob.strip_prefix(MAGIC).ok_or(SignatureError::Shape)?;
    let (version, rest) = rest.split_at_checked(4).ok_or(SignatureError::Shape)?;
    if version != [0, 0, 0, 1] {
        return Err(SignatureError::Shape);
    }
    let (key_blob, rest) = string(rest)?;
    let (found_namespace, rest) = string(rest)?;
    let (reserved, rest) = string(rest)?;
    let (hash, rest) = string(rest)?;
    let (signature_blob, rest) = string(rest)?;
    if !rest.is_empty() {
        return Err(SignatureError::Shape);
    }
    if found_namespace != namespace.as_bytes() {
        return Err(SignatureError::Namespace(String::from_utf8_lossy(found_namespace).escape_debug().to_string()));
    }
    let key = ed25519_of(key_blob)?;
    let algorithm = match hash {
        b"sha512" => &digest::SHA512,
        b"sha256" => &digest::SHA256,
        _ => return Err(SignatureError::Shape),
    };
    let mut signed = MAGIC.to_vec();
    for field in [found_namespace, reserved, hash, digest::digest(algorithm, text).as_ref()] {
        signed.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        signed.extend_from_slice(field);
    }
    let (kind, rest) = string(signature_blob)?;
    let (signature, _) = string(rest)?;
    if kind != b"ssh-ed25519" {
        return Err(SignatureError::Type(String::from_utf8_lossy(kind).escape_debug().to_string()));
    }
    let public = UnparsedPublicKey::new(&ED25519, &key);
    public.verify(&signed, signature).map_err(|_| SignatureError::Wrong)?;
    Ok(key)
}

fn ed25519_of(blob: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let (kind, rest) = string(blob)?;
    if kind != b"ssh-ed25519" {
        return Err(SignatureError::Type(String::from_utf8_lossy(kind).escape_debug().to_string()));
    }
    let (key, rest) = string(rest)?;
    if key.len() == 32 && rest.is_empty() { Ok(key.to_vec()) } else { Err(SignatureError::Shape) }
}

/// A length and that many bytes.
fn string(bytes: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(SignatureError::Shape)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| SignatureError::Shape)?;
    rest.split_at_checked(length).ok_or(SignatureError::Shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn ssh_keygen(args: &[&str]) {
        let done = Command::new("ssh-keygen").args(args).stdin(std::process::Stdio::null()).output();
        let done = done.expect("ssh-keygen is there: apt install openssh-client");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn what_ssh_keygen_signs_is_accepted_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
        ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "piet", "-f", &at("key")]);
        std::fs::File::create(at("plan.txt")).unwrap();
        crate::durable::replace(at("plan.txt").as_ref(), b"plan: 1\n", 0o600, folder.path()).unwrap();
        ssh_keygen(&["-q", "-Y", "sign", "-n", "bewaard", "-f", &at("key"), &at("plan.txt")]);
        let signature = std::fs::read_to_string(at("plan.txt.sig")).unwrap();
        let public = public_key(&std::fs::read_to_string(at("key.pub")).unwrap()).unwrap();
        assert_eq!(verify(&signature, "bewaard", b"plan: 1\n"), Ok(public));
        assert_eq!(verify(&signature, "bewaard", b"plan: 2\n"), Err(SignatureError::Wrong));
        assert_eq!(verify(&signature, "file", b"plan: 1\n"), Err(SignatureError::Namespace("bewaard".into())));
        assert_eq!(verify("hello", "bewaard", b""), Err(SignatureError::Shape));
        let cut = signature.replace("U1NIU0lH", "U1NIU0lI");
        assert_eq!(verify(&cut, "bewaard", b"plan: 1\n"), Err(SignatureError::Shape));
    }
}
