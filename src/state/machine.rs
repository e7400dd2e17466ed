//! The machine that a log is bound to: what tells this machine from another, kept in the log as keyed digests only.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::domain::digest::{Digest, MacKey};

/// What is looked at, in the words of the log, and as a person reads it.
const PARTS: [(&str, &str); 4] = [
    ("machine-id", "the machine-id"),
    ("host-name", "the host name"),
    ("product-uuid", "the product UUID"),
    ("state-file-system", "the file system of the state folder"),
];
/// Parts that every process can read on every machine. Of the others nothing follows where they can't be read: the
/// product UUID is root's alone, and the list of file systems is hidden from a confined service.
const ALWAYS: [&str; 2] = ["machine-id", "host-name"];

/// What this machine shows of itself; never printed.
pub struct Machine(BTreeMap<&'static str, String>);

impl Machine {
    /// Looks at this machine and at the file system of the state folder.
    pub fn look(state: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_string());
        let mut parts = BTreeMap::new();
        parts.insert("machine-id", machine_id().or_else(|| read("/etc/machine-id")).unwrap_or_default());
        parts.insert("host-name", rustix::system::uname().nodename().to_string_lossy().into_owned());
        parts.extend(read("/sys/class/dmi/id/product_uuid").map(|uuid| ("product-uuid", uuid)));
        parts.extend(file_system(state).map(|uuid| ("state-file-system", uuid)));
        Self(parts)
    }

    /// One keyed digest for each part.
    pub fn digests(&self, key: &MacKey) -> BTreeMap<String, Digest> {
        let digest =
            |(part, value): (&&str, &String)| ((*part).to_string(), key.mac(format!("{part}\n{value}").as_bytes()));
        self.0.iter().map(digest).collect()
    }

    /// One keyed digest over what a log of the first form was bound to.
    pub fn whole(&self, key: &MacKey) -> Digest {
        self.first_form(key, self.0.get("product-uuid").map_or("", String::as_str))
    }

    /// Whether a log of the first form was made on this machine, by root or by another user.
    pub fn is_first_form(&self, key: &MacKey, bound: &Digest) -> bool {
        *bound == self.whole(key) || *bound == self.first_form(key, "")
    }

    fn first_form(&self, key: &MacKey, uuid: &str) -> Digest {
        let part = |name: &str| self.0.get(name).map_or("", String::as_str);
        key.mac([part("machine-id"), part("host-name"), uuid].join("\n").as_bytes())
    }
}

/// What differs between the machine that the log is bound to and this one, in words. A part that a process may not be
/// able to read is only compared where both know it.
pub fn differences(bound: &BTreeMap<String, Digest>, now: &BTreeMap<String, Digest>) -> Vec<&'static str> {
    let differs = |part: &str| match (bound.get(part), now.get(part)) {
        (Some(bound), Some(now)) => bound != now,
        (Some(_), None) | (None, Some(_)) => ALWAYS.contains(&part),
        (None, None) => false,
    };
    PARTS.iter().filter(|(part, _)| differs(part)).map(|(_, words)| *words).collect()
}

/// A test's other machine.
#[cfg(feature = "crash-points")]
fn machine_id() -> Option<String> {
    std::env::var("BEWAARD_TEST_MACHINE_ID").ok()
}

#[cfg(not(feature = "crash-points"))]
fn machine_id() -> Option<String> {
    None
}

/// The UUID of the file system in which a folder lies, as `/dev/disk/by-uuid` names it.
fn file_system(folder: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let source = source_of(&mounts, &fs::canonicalize(folder).ok()?)?;
    let device = fs::metadata(source).ok()?.rdev();
    for entry in fs::read_dir("/dev/disk/by-uuid").ok()?.flatten() {
        if fs::metadata(entry.path()).is_ok_and(|about| about.rdev() == device) {
            return entry.file_name().into_string().ok();
        }
    }
    None
}

/// The device of the innermost mount that a path lies in: the tenth field or later, after the hyphen.
fn source_of(mounts: &str, path: &Path) -> Option<PathBuf> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let (before, after) = line.split_once(" - ")?;
        let (point, source) = (before.split(' ').nth(4)?, after.split(' ').nth(1)?);
        let point = point.replace("\\040", " ");
        // A later mount over the same place hides the earlier one.
        if path.starts_with(&point) && best.is_none_or(|(length, _)| point.len() >= length) {
            best = Some((point.len(), source));
        }
    }
    best.map(|(_, source)| PathBuf::from(source)).filter(|source| source.starts_with("/dev"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(parts: &[(&'static str, &str)]) -> BTreeMap<String, Digest> {
        let parts = parts.iter().map(|(part, value)| (*part, (*value).to_string())).collect();
        Machine(parts).digests(&MacKey::new(&[7; 32]))
    }

    #[test]
    fn what_differs_is_named_and_what_can_not_be_read_is_not() {
        let all =
            machine(&[("machine-id", "a"), ("host-name", "b"), ("product-uuid", "c"), ("state-file-system", "d")]);
        let as_user = machine(&[("machine-id", "a"), ("host-name", "b")]);
        assert!(differences(&all, &all).is_empty());
        assert!(differences(&all, &as_user).is_empty() && differences(&as_user, &all).is_empty());
        let moved = machine(&[("machine-id", "x"), ("host-name", "b"), ("state-file-system", "x")]);
        assert_eq!(differences(&all, &moved), ["the machine-id", "the file system of the state folder"]);
        let renamed = machine(&[("machine-id", "a"), ("host-name", "x")]);
        assert_eq!(differences(&all, &renamed), ["the host name"]);
        assert_eq!(differences(&all, &BTreeMap::new()), ["the machine-id", "the host name"]);
    }

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      23 22 0:5 / /dev rw - devtmpfs udev rw\n\
                      24 22 8:2 / /var/lib/be\\040waard rw shared:1 - ext4 /dev/sda2 rw\n";
        let source = |path: &str| source_of(mounts, Path::new(path));
        assert_eq!(source("/etc"), Some("/dev/sda1".into()));
        assert_eq!(source("/var/lib/be waard/state"), Some("/dev/sda2".into()));
        assert_eq!(source("/dev/x"), None);
    }
}
