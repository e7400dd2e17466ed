//! Any text as an SSH signature of an approval, and true ones after somebody had them in hand: accepted is only what was
//! signed, for us, by the key that is named.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bewaard::domain::signature::{public_key, verify};
use ring::digest::{SHA512, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::input::Input;
use super::meddle::meddle;
use super::place::Files;

const TEXT: &str = "plan: 0123456789abcdef\nrule: old\n";

static PAIR: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[3; 32]).expect("a key"));

/// The fields of the format, in order: its name, the version, the key, the namespace, nothing, the digest's name, the
/// signature.
static FILES: LazyLock<Files> = LazyLock::new(|| {
    let key = [field(b"ssh-ed25519"), field(PAIR.public_key().as_ref())].concat();
    let hash = digest(&SHA512, TEXT.as_bytes());
    let fields = [field(b"bewaard"), field(b""), field(b"sha512"), field(hash.as_ref())];
    let signed = [b"SSHSIG".as_slice(), &fields.concat()].concat();
    let signature = [field(b"ssh-ed25519"), field(PAIR.sign(&signed).as_ref())].concat();
    let parts = [field(&key), fields[..3].concat(), field(&signature)];
    let blob = [b"SSHSIG\0\0\0\x01".as_slice(), &parts.concat()].concat();
    let line = format!("ssh-ed25519 {} piet", STANDARD.encode(&key));
    [("blob".into(), blob), ("key".into(), line.into_bytes()), ("text".into(), TEXT.into())].into()
});

fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short field");
    [&length.to_be_bytes(), bytes].concat()
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let namespace = *input.one_of(&["bewaard", "file", ""]);
    if input.flag() {
        let text = input.text();
        let _ = public_key(&text);
        return assert!(verify(&text, namespace, TEXT.as_bytes()).is_err(), "a signature out of nothing");
    }
    let mut files = FILES.clone();
    meddle(&mut files, &[], &mut input);
    let bytes = |name: &str| files.get(name).map(Vec::as_slice).unwrap_or_default();
    let armoured =
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", STANDARD.encode(bytes("blob")));
    if let Some(key) = public_key(&String::from_utf8_lossy(bytes("key"))) {
        assert_eq!(key.len(), 32);
    }
    let whole = bytes("blob") == FILES["blob"] && bytes("text") == TEXT.as_bytes() && namespace == "bewaard";
    match verify(&armoured, namespace, bytes("text")) {
        Ok(key) => {
            assert_eq!(key, PAIR.public_key().as_ref(), "by another key");
            assert_eq!(bytes("text"), TEXT.as_bytes(), "over another text");
            assert_eq!(namespace, "bewaard", "for another purpose");
        }
        Err(fault) => assert!(!whole, "nobody touched it: {fault}"),
    }
}
