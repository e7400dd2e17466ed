//! Exit codes, one list for every command (see README, "Exit codes").

/// Done; also when nothing was due.
pub const DONE: u8 = 0;
/// Failed.
pub const FAILED: u8 = 1;
/// The command line was wrong.
pub const USAGE: u8 = 2;
/// Waits for an approval, or was refused.
pub const WAITS: u8 = 3;
/// Log or proof does not verify.
pub const UNVERIFIED: u8 = 4;
/// Stopped for safety.
pub const UNSAFE: u8 = 5;
/// A system can't be reached.
pub const UNREACHABLE: u8 = 69;
/// Another run holds the lock, or a brake held this one for longer than it may wait: it may pass.
pub const BUSY: u8 = 75;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// The worst of two, in the order 4, 5, 78, 3, 69, 75, 1, 0.
pub fn worst(a: u8, b: u8) -> u8 {
    const ORDER: [u8; 8] = [UNVERIFIED, UNSAFE, CONFIG, WAITS, UNREACHABLE, BUSY, FAILED, USAGE];
    ORDER.into_iter().find(|code| *code == a || *code == b).unwrap_or(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins() {
        assert_eq!(worst(DONE, FAILED), FAILED);
        assert_eq!(worst(WAITS, UNREACHABLE), WAITS);
        assert_eq!(worst(CONFIG, UNVERIFIED), UNVERIFIED);
        assert_eq!(worst(BUSY, FAILED), BUSY);
        assert_eq!(worst(DONE, DONE), DONE);
    }
}
