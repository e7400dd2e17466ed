//! The one writer of files that we own. What it returns from is on the disk.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FlockOperation, fadvise, flock};

/// Mode of what only we may read.
pub const PRIVATE: u32 = 0o600;
/// Mode of what everybody may read.
pub const PUBLIC: u32 = 0o644;

/// Writes a whole file so that a crash leaves the old one or the new one, never a part: a temporary file in
/// `scratch` (a folder of the same file system), `fsync`, rename, `fsync` of the folder.
pub fn replace(path: &Path, bytes: &[u8], mode: u32, scratch: &Path) -> io::Result<()> {
    replace_from(path, &mut &*bytes, mode, scratch)
}

/// As [`replace`], with the bytes read from elsewhere.
pub fn replace_from(path: &Path, from: &mut dyn Read, mode: u32, scratch: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut temporary = name.to_os_string();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = scratch.join(temporary);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    io::copy(from, &mut file)?;
    file.sync_all()?;
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Writes a file of somebody's anew as [`replace`] does; its mode and owner stay, or it is not written.
pub fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let about = fs::metadata(path)?;
    let mut temporary = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.to_os_string();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (about.uid(), about.gid()) {
            fchown(&file, Some(about.uid()), Some(about.gid()))?;
        }
        file.set_permissions(about.permissions())?;
        file.sync_all()
    });
    if let Err(error) = written {
        remove(&temporary)?;
        return Err(error);
    }
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Writes a new file and refuses one that exists.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_parent(path)
}

/// Opens a file to append to; it is made if it is not there. Its name is on the disk: a file that is still empty may
/// have been made by a process that was killed before it could see to that.
pub fn appender(path: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(mode).open(path)?;
    if file.metadata()?.len() == 0 {
        sync_parent(path)?;
    }
    Ok(file)
}

/// Opens a file that is only there to be locked: nothing is lost with it, so it is not put on the disk.
fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(PRIVATE).open(path)
}

/// Waits until nobody else has the lock. It lasts as long as the file is open; the kernel gives it back when the process
/// ends, however it ends.
pub fn lock(path: &Path) -> io::Result<File> {
    let file = lock_file(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Takes the lock; `None` when somebody else has it.
pub fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = lock_file(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Puts many files in their places at the price of few waits, in flat memory: they are written to `scratch` first, then
/// synced and renamed together, and at last their folders are synced. A crash leaves each of them old or new, never a part.
#[derive(Debug)]
pub struct Many {
    scratch: PathBuf,
    mode: u32,
    written: Vec<(PathBuf, File)>,
    folders: BTreeSet<PathBuf>,
}

impl Many {
    /// Nothing yet. `scratch` is a folder of the same file system.
    pub fn new(scratch: &Path, mode: u32) -> Self {
        Self { scratch: scratch.to_path_buf(), mode, written: Vec::new(), folders: BTreeSet::new() }
    }

    /// How many files wait to be put in their places.
    pub fn waiting(&self) -> usize {
        self.written.len()
    }

    /// One that is in its place already, as it is to be: its name is put on the disk with the others.
    pub fn is_there(&mut self, path: &Path) {
        self.folders.extend(path.parent().map(Path::to_path_buf));
    }

    /// Writes one aside. Its folder is made if it is not there.
    pub fn write(&mut self, path: PathBuf, bytes: &[u8]) -> io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| !self.folders.contains(*parent)) {
            folder(parent, true)?;
            self.folders.insert(parent.to_path_buf());
        }
        let aside = self.aside(self.written.len());
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(self.mode).open(aside)?;
        file.write_all(bytes)?;
        // We read it no more. What counts is that the disk begins now: a sync that begins with nothing written takes ten
        // times as long, and so does one file's after the other's. Where it is not heeded, the sync does it all.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        self.written.push((path, file));
        Ok(())
    }

    /// Puts what was written in its place. The names are on the disk only after [`Many::finish`].
    pub fn place(&mut self) -> io::Result<()> {
        for (_, file) in &self.written {
            file.sync_all()?;
        }
        for (at, (path, file)) in std::mem::take(&mut self.written).into_iter().enumerate() {
            drop(file);
            #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
            fs::rename(self.aside(at), path)?;
        }
        Ok(())
    }

    /// Places the rest, and puts all names on the disk.
    pub fn finish(mut self) -> io::Result<()> {
        self.place()?;
        self.folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    fn aside(&self, at: usize) -> PathBuf {
        self.scratch.join(format!("{at}.{}.new", std::process::id()))
    }
}

/// Moves a folder that was made in `scratch` into its place; the place is empty or not there.
pub fn place_folder(made: &Path, place: &Path) -> io::Result<()> {
    sync_folder(made)?;
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
    fs::rename(made, place)?;
    sync_parent(place)
}

/// Gives a file another name in its folder.
pub fn set_aside(path: &Path, to: &Path) -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
    fs::rename(path, to)?;
    sync_parent(path)
}

/// Removes a file; one that is not there is as good as removed.
pub fn remove(path: &Path) -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent(path),
    }
}

/// Removes two files of one folder, the first one first; what is not there is as good as removed.
pub fn remove_both(first: &Path, second: &Path) -> io::Result<()> {
    for path in [first, second] {
        #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_parent(second)
}

/// Overwrites bytes of a file that is there, in place.
pub fn overwrite(path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(bytes, at)?;
    file.sync_all()
}

/// Removes a folder of files and the files in it; one that is not there is as good as removed.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    let files = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the others are sent to")]
    for file in files {
        fs::remove_file(file?.path())?;
    }
    // Where the names come back after a crash, the folder does too, and is removed again.
    fs::remove_dir(path)?;
    sync_parent(path)
}

/// Makes a folder and those above it, each on the disk before anything lies in it; 0700 for what is private.
pub fn folder(path: &Path, private: bool) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folder(parent, private)?;
    }
    match DirBuilder::new().mode(if private { 0o700 } else { 0o755 }).create(path) {
        // Another process made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    sync_parent(path)
}

/// Puts a folder's list of names on the disk.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}
