//! The one source of randomness: the operating system's.

use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes.
///
/// # Panics
/// When the operating system gives none: without randomness no key and no id can be made, so the process ends.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    #[expect(clippy::expect_used, reason = "there is no safe way on without randomness")]
    SystemRandom::new().fill(&mut out).expect("the operating system gives random bytes");
    out
}
