//! A disk that forgets: what was written but not synced, and names in a folder that was not synced, can be dropped.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::trace::Act;

/// What a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Everything that was written: the process was killed, the machine went on.
    Written,
    /// Only what was synced. The database is another program's: of it everything stays, which is the worst for us.
    Synced,
}

/// Paths below the folder, with bytes for a file and none for a folder.
pub(crate) type Files = BTreeMap<PathBuf, Option<Vec<u8>>>;

type Names = BTreeMap<OsString, usize>;

#[derive(Debug, Clone)]
enum Node {
    File { now: Vec<u8>, synced: Vec<u8> },
    Folder { now: Names, synced: Names },
}

/// Files and folders below one folder, which is the first node.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
}

/// Whether this name belongs to the database and not to us.
fn of_database(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"shop.db")
}

impl Disk {
    /// As the folder is now, all of it synced.
    pub(crate) fn of(root: &Path) -> Self {
        let root = root.canonicalize().unwrap();
        let mut disk = Self { root: root.clone(), nodes: Vec::new() };
        disk.read(&root);
        disk
    }

    fn read(&mut self, path: &Path) -> usize {
        let place = self.nodes.len();
        if !path.is_dir() {
            let bytes = std::fs::read(path).unwrap();
            self.nodes.push(Node::File { now: bytes.clone(), synced: bytes });
            return place;
        }
        self.nodes.push(Node::Folder { now: Names::new(), synced: Names::new() });
        let mut names = Names::new();
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            names.insert(entry.file_name(), self.read(&entry.path()));
        }
        self.nodes[place] = Node::Folder { now: names.clone(), synced: names };
        place
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let mut place = 0;
        for name in path.strip_prefix(&self.root).unwrap() {
            let Node::Folder { now, .. } = &self.nodes[place] else { return None };
            place = *now.get(name)?;
        }
        Some(place)
    }

    /// The names in the folder that holds this path, and the path's own name.
    fn names(&mut self, path: &Path) -> (&mut Names, OsString) {
        let folder = self.find(path.parent().unwrap()).unwrap_or_else(|| panic!("no folder for {}", path.display()));
        let Node::Folder { now, .. } = &mut self.nodes[folder] else { panic!("{} lies in a file", path.display()) };
        (now, path.file_name().unwrap().to_os_string())
    }

    fn put(&mut self, path: &Path, node: Node) {
        let place = self.nodes.len();
        self.nodes.push(node);
        let (names, name) = self.names(path);
        names.insert(name, place);
    }

    /// Does the same to this disk.
    pub(crate) fn apply(&mut self, act: &Act) {
        match act {
            Act::Create { path, empty } => match self.find(path) {
                None => self.put(path, Node::File { now: Vec::new(), synced: Vec::new() }),
                Some(place) if *empty => self.bytes(place, path).clear(),
                Some(_) => {}
            },
            Act::Mkdir(path) => self.put(path, Node::Folder { now: Names::new(), synced: Names::new() }),
            Act::Write { path, at, bytes } => {
                let Some(place) = self.find(path) else { panic!("{} was never made", path.display()) };
                let now = self.bytes(place, path);
                let at = at.unwrap_or(now.len());
                now.resize(now.len().max(at + bytes.len()), 0);
                now[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Act::Truncate { path, length } => {
                let Some(place) = self.find(path) else { panic!("{} was never made", path.display()) };
                self.bytes(place, path).resize(*length, 0);
            }
            Act::Rename(from, to) => {
                let (names, name) = self.names(from);
                let place = names.remove(&name).unwrap();
                let (names, name) = self.names(to);
                names.insert(name, place);
            }
            Act::Remove(path) => {
                let (names, name) = self.names(path);
                names.remove(&name);
            }
            Act::Sync(path) => match self.find(path).map(|place| &mut self.nodes[place]) {
                Some(Node::File { now, synced }) => synced.clone_from(now),
                Some(Node::Folder { now, synced }) => synced.clone_from(now),
                None => {}
            },
        }
    }

    fn bytes(&mut self, place: usize, path: &Path) -> &mut Vec<u8> {
        match &mut self.nodes[place] {
            Node::File { now, .. } => now,
            Node::Folder { .. } => panic!("{} is a folder", path.display()),
        }
    }

    /// What a power cut now would leave: paths below the folder, with bytes for a file.
    pub(crate) fn left(&self, left: Left) -> Files {
        let mut found = BTreeMap::new();
        self.gather(0, Path::new(""), left, &mut found);
        found
    }

    fn gather(&self, place: usize, path: &Path, left: Left, found: &mut Files) {
        match &self.nodes[place] {
            Node::File { now, synced } => {
                let whole = left == Left::Written || path.file_name().is_some_and(of_database);
                found.insert(path.to_path_buf(), Some(if whole { now } else { synced }.clone()));
            }
            Node::Folder { now, synced } => {
                if place != 0 {
                    found.insert(path.to_path_buf(), None);
                }
                let ours = if left == Left::Written { now } else { synced };
                let ours = ours.iter().filter(|(name, _)| !of_database(name));
                for (name, place) in ours.chain(now.iter().filter(|(name, _)| of_database(name))) {
                    self.gather(*place, &path.join(name), left, found);
                }
            }
        }
    }
}

/// Makes these files and folders.
pub(crate) fn lay_out(files: &Files, root: &Path) {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    for (path, bytes) in files {
        let path = root.join(path);
        let Some(bytes) = bytes else {
            std::fs::DirBuilder::new().mode(0o700).create(path).unwrap();
            continue;
        };
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }
}
