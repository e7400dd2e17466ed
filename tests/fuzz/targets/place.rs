//! Files of an input in a private folder, in memory where the machine has such a folder.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Files by their paths below a folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A private folder; it goes when this goes.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        Self(TempDir::with_prefix_in("bewaard-fuzz-", folder).expect("a private folder"))
    }

    /// With these files in it.
    pub(super) fn with(files: &Files) -> Self {
        let place = Self::new();
        for (name, bytes) in files {
            let path = place.path(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
            // Only its owner may read it, as keys want it.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("make a file");
            file.write_all(bytes).expect("write a file");
        }
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Every file that is there now, but for locks and what is made aside.
    pub(super) fn files(&self) -> Files {
        let mut files = Files::new();
        collect(self.0.path(), "", &mut files);
        files.retain(|name, _| name.strip_suffix(".lock").is_none() && !name.starts_with("log.tmp/"));
        files
    }
}

fn collect(folder: &Path, below: &str, files: &mut Files) {
    for item in fs::read_dir(folder).expect("list a folder") {
        let item = item.expect("list a folder");
        let name = format!("{below}{}", item.file_name().to_string_lossy());
        if item.path().is_dir() {
            collect(&item.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(item.path()).expect("read a file"));
        }
    }
}
