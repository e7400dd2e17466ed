//! The writer of the log.
//!
//! Order on the disk: the lines of a group in one write, `fdatasync`; then the signed head in `heads`, `fsync`; then
//! `last-head` outside the folder. So `last-head` never knows more than `heads`, and `heads` never more than the journal.

mod disk;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

pub(super) use self::disk::lock;
use self::disk::{
    append_bytes, append_head, begin_segment, build, keep_room, lines, make_folders, rotation, sign_head,
};
use super::entry::{Body, By, segment_of};
use super::fault::LogFault;
use super::heads::{self, Head};
use super::journal::{self, Segment};
use super::load::{self, State};
use super::note::{Checkpoint, Signer, VerifierKey, is_name, key_change_text};
use super::publish::Open;
use super::tree::Frontier;
use crate::codes;
use crate::domain::digest::{Digest, MacKey};
use crate::durable;

/// Where the log and what belongs to it lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPaths {
    /// The log's own folder: nothing else lies in it.
    pub folder: PathBuf,
    /// The newest head once more, outside the folder.
    pub last_head: PathBuf,
    /// The state folder: torn tails that were cut, the frontier's cache, the publishing lock.
    pub side: PathBuf,
    /// Held while one group is written.
    pub append_lock: PathBuf,
    /// Files on other paths that get each published head.
    pub outside: Vec<PathBuf>,
}

impl LogPaths {
    /// The folder for temporary files: beside the log's folder, on the same file system, never in it.
    pub fn scratch(&self) -> PathBuf {
        let mut name = self.folder.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        self.folder.with_file_name(name)
    }
}

/// The keys that may sign: the one in force, and one that is to take over.
#[derive(Debug)]
pub struct Signers {
    /// The key in force as far as `keys/` knows.
    pub current: Signer,
    /// A key that was made to take over.
    pub staged: Option<Signer>,
}

impl Signers {
    /// The keys of the marks on lines that no head has signed yet: that of the key in force first.
    pub(super) fn writers(&self) -> Vec<MacKey> {
        let origin = self.current.verifier().name();
        std::iter::once(&self.current).chain(&self.staged).map(|signer| writer_key(signer, origin)).collect()
    }
}

/// A key that only who can sign can make: the signature over a text that is never published.
fn writer_key(signer: &Signer, origin: &str) -> MacKey {
    let signature = signer.sign(format!("bewaard lines that are not sealed yet\n{origin}\n").as_bytes());
    MacKey::new(&Digest::of(&signature).0)
}

impl From<Signer> for Signers {
    fn from(current: Signer) -> Self {
        Self { current, staged: None }
    }
}

/// The log, open for writing.
#[derive(Debug)]
pub struct Log {
    pub(super) paths: LogPaths,
    pub(super) signers: Signers,
    pub(super) state: State,
    file: Option<File>,
    /// The key of the marks, once it was needed.
    writer: Option<MacKey>,
    /// What is not yet in a full tile, where tiles were written by this process.
    pub(super) open: Option<Open>,
    closed: bool,
}

/// Entries, and the id of the commitment key that they are written under.
pub type Keyed<'a> = (&'a [Body], &'a str);

/// Which file it is and how long: it changes when another process appended, or an editor put another file there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamp(u64, u64, u64);

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Self(meta.dev(), meta.ino(), meta.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}

impl Log {
    /// Makes a new log whose first entries are `first`, sealed. Refuses an existing one. Only `init` calls this.
    pub fn create(
        paths: LogPaths,
        signers: impl Into<Signers>,
        origin: &str,
        first: &[Body],
        key_id: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, LogFault> {
        let signers = signers.into();
        if !is_name(origin) || signers.current.verifier().name() != origin {
            return Err(LogFault::broken(
                codes::KEY_DAMAGED,
                &paths.folder,
                "the signing key bears another name than the log",
            ));
        }
        make_folders(&paths)?;
        let lock = lock(&paths.append_lock)?;
        let occupied = fs::read_dir(&paths.folder).is_ok_and(|mut items| items.next().is_some());
        if occupied && load::only_last_head_is_missing(&paths) {
            // An earlier `init` was cut off between its last two steps.
            let newest = load::newest_head(&paths)?;
            disk::write_last_head(&paths, &newest.head)?;
        } else if occupied || paths.last_head.exists() {
            return Err(LogFault::Exists(paths.folder));
        } else {
            build(&paths, &signers.current, origin, first, key_id, now)?;
        }
        drop(lock);
        Self::open(paths, signers)
    }

    /// Whether a log was made and its first head was not yet put beside it: [`Log::create`] finishes that.
    pub fn is_unfinished(paths: &LogPaths) -> bool {
        load::only_last_head_is_missing(paths)
    }

    /// Opens the log to append: its tail must agree with the signed heads. An incomplete last line behind the last
    /// head is moved to the side folder; whole lines there are kept.
    pub fn open(paths: LogPaths, signers: impl Into<Signers>) -> Result<Self, LogFault> {
        if !paths.folder.join(journal::FOLDER).is_dir() {
            return Err(LogFault::Missing(paths.folder));
        }
        durable::folder(&paths.side, true).map_err(LogFault::io("make the folder", &paths.side))?;
        let signers = signers.into();
        let lock = lock(&paths.append_lock)?;
        let state = load::load(&paths, &signers, load::cached(&paths))?;
        drop(lock);
        let mut log = Self { paths, signers, state, file: None, writer: None, open: None, closed: false };
        log.switch_signer();
        Ok(log)
    }

    /// Appends a group of entries: when this returns they are on the disk, not yet sealed. Gives their indices.
    pub fn append(&mut self, bodies: &[Body], key_id: &str, now: DateTime<Utc>) -> Result<Range<u64>, LogFault> {
        let lock = self.enter()?;
        let written = self.write(&[(bodies, key_id)], now);
        drop(lock);
        written.map(|(range, _)| range)
    }

    /// Signs a head over all entries.
    pub fn seal(&mut self) -> Result<&Checkpoint, LogFault> {
        let lock = self.enter()?;
        let sealed = self.write_head(self.state.frontier.clone());
        drop(lock);
        sealed.map(|()| &self.state.head.checkpoint)
    }

    /// Appends a group and seals it, under one lock.
    pub fn commit(&mut self, bodies: &[Body], key_id: &str, now: DateTime<Utc>) -> Result<Range<u64>, LogFault> {
        self.commit_then((bodies, key_id), (&[], key_id), now)
    }

    /// Appends two groups, each under its commitment key, in one write, and seals the first: what a batch came to, and
    /// what the next is about to do. Gives the indices of both.
    pub fn commit_then(
        &mut self,
        sealed: Keyed<'_>,
        then: Keyed<'_>,
        now: DateTime<Utc>,
    ) -> Result<Range<u64>, LogFault> {
        let lock = self.enter()?;
        let (range, frontier) = self.write(&[sealed, then], now)?;
        self.write_head(frontier)?;
        self.state.pending = rotation(then.0);
        drop(lock);
        Ok(range)
    }

    /// Passes the signing on to the staged key: an entry that the old key seals and the new one signs too. What a
    /// crash cut off is taken up again. Returns the key that is in force from here on.
    pub fn rotate(
        &mut self,
        key_id: &str,
        person: Option<(By, Digest)>,
        now: DateTime<Utc>,
    ) -> Result<VerifierKey, LogFault> {
        let lock = self.enter()?;
        if self.state.pending.is_none() {
            self.write_head(self.state.frontier.clone())?;
            let Some(staged) = &self.signers.staged else {
                return Err(LogFault::broken(codes::KEY_CHANGE, &self.paths.folder, "no new signing key was made"));
            };
            let (old, new) = (self.signers.current.verifier(), staged.verifier());
            let proof = staged.sign(key_change_text(&self.state.head.checkpoint.origin, old, new).as_bytes());
            let (by, note) = person.unzip();
            let body = Body::KeyChanged {
                purpose: "signing".into(),
                id: new.to_string(),
                change: "replaced".into(),
                proof: Some(STANDARD.encode(proof)),
                by,
                note,
            };
            self.write(&[(&[body], key_id)], now)?;
        }
        self.write_head(self.state.frontier.clone())?;
        drop(lock);
        Ok(self.verifier().clone())
    }

    /// Keeps room on the disk for what is in flight, so that its outcomes can always be written.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), LogFault> {
        let lock = self.enter()?;
        let path = self.state.segment.path.clone();
        let file = self.file()?;
        let length = file.metadata().map_err(LogFault::io("look at", &path))?.len();
        keep_room(file, length, bytes).map_err(LogFault::io("keep room in", &path))?;
        let path = self.paths.folder.join(heads::FILE);
        let file = OpenOptions::new().append(true).open(&path).map_err(LogFault::io("open", &path))?;
        let length = file.metadata().map_err(LogFault::io("look at", &path))?.len();
        keep_room(&file, length, 4096).map_err(LogFault::io("keep room in", &path))?;
        drop(lock);
        Ok(())
    }

    /// Reads what other processes wrote since.
    pub fn look(&mut self) -> Result<(), LogFault> {
        self.enter().map(drop)
    }

    /// How many entries, sealed or not.
    pub fn size(&self) -> u64 {
        self.state.frontier.size()
    }

    /// Whether it ends with this many entries: nobody else wrote since, as far as the files' lengths say.
    pub fn ends_at(&self, size: u64) -> bool {
        !self.closed && size == self.size() && load::is_unchanged(&self.paths, &self.state).unwrap_or(false)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.state.head.checkpoint.origin
    }

    /// The newest signed head.
    pub fn head(&self) -> &Head {
        &self.state.head
    }

    /// The key that signs the next head.
    pub fn verifier(&self) -> &VerifierKey {
        self.signers.current.verifier()
    }

    /// The segment that an entry written now belongs to: the quarter of `now`, or the newest there is, if time went
    /// back. The commitment key in force is the one of this segment.
    pub fn segment(&self, now: DateTime<Utc>) -> String {
        segment_of(now).max(self.state.segment.name.clone())
    }

    /// Where it lies.
    pub fn paths(&self) -> &LogPaths {
        &self.paths
    }

    /// Takes the append lock and reads what another process wrote since.
    pub(super) fn enter(&mut self) -> Result<File, LogFault> {
        if self.closed {
            return Err(LogFault::Closed);
        }
        let lock = lock(&self.paths.append_lock)?;
        if !load::is_unchanged(&self.paths, &self.state).map_err(LogFault::io("look at", &self.paths.folder))? {
            self.file = None;
            self.state = load::load(&self.paths, &self.signers, Some(self.state.sealed.clone()))?;
            self.switch_signer();
        }
        Ok(lock)
    }

    /// Once a head bears the staged key's signature, that key is in force.
    fn switch_signer(&mut self) {
        let signed = |key: &VerifierKey| self.state.head.note.verify(&[key]).is_ok();
        if let Some(staged) = self.signers.staged.take_if(|staged| signed(staged.verifier())) {
            self.signers.current = staged;
            self.writer = None;
        }
    }

    /// Signs with these keys from here on: another process replaced the one in force.
    pub fn set_signers(&mut self, signers: Signers) {
        self.signers = signers;
        self.writer = None;
        self.switch_signer();
    }

    fn file(&mut self) -> Result<&File, LogFault> {
        let path = &self.state.segment.path;
        let file = match self.file.take() {
            Some(file) => file,
            None => durable::appender(path, durable::PUBLIC).map_err(LogFault::io("open", path))?,
        };
        Ok(self.file.insert(file))
    }

    /// Appends groups in one write. Gives their indices, and the frontier behind the first.
    fn write(&mut self, groups: &[Keyed<'_>], now: DateTime<Utc>) -> Result<(Range<u64>, Frontier), LogFault> {
        let from = self.size();
        let segment = self.segment(now);
        let (bytes, leaves) = lines(groups, from, &segment, now, self.writer())?;
        if segment != self.state.segment.name {
            self.state.segment = Segment::of(&self.paths.folder, &segment);
            self.file = None;
        }
        let path = self.state.segment.path.clone();
        let written = if path.exists() {
            self.file().and_then(|file| append_bytes(file, &bytes).map_err(LogFault::io("append to", &path)))
        } else {
            begin_segment(&path, &bytes, &self.paths.scratch())
        };
        self.closed = written.is_err();
        written?;
        let first = groups.first().map_or(0, |(bodies, _)| bodies.len());
        let mut behind_first = self.state.frontier.clone();
        for (at, leaf) in (1..).zip(leaves) {
            self.state.frontier.push(leaf);
            if at == first {
                behind_first.clone_from(&self.state.frontier);
            }
        }
        self.state.stamp_journal().map_err(LogFault::io("look at", &path))?;
        if let Some(id) = groups.first().and_then(|(bodies, _)| rotation(bodies)) {
            self.state.pending = Some(id);
        }
        Ok((from..self.size(), behind_first))
    }

    /// The key of the marks on what is written now.
    fn writer(&mut self) -> &MacKey {
        let current = &self.signers.current;
        self.writer.get_or_insert_with(|| writer_key(current, current.verifier().name()))
    }

    /// Signs a head over what this frontier stands for, the newest entries or those behind which only some are not sealed.
    fn write_head(&mut self, frontier: Frontier) -> Result<(), LogFault> {
        if frontier.size() == self.state.head.checkpoint.size {
            return Ok(());
        }
        let signers = self.signing()?;
        let origin = self.origin().to_string();
        let head = sign_head(origin, &frontier, &signers);
        let sealed_to = self.state.seals.then_some((&self.signers.current, self.state.line.as_slice()));
        let line = head.line(sealed_to);
        let written = append_head(&self.paths, &head, &line);
        self.closed = written.is_err();
        written?;
        self.state.line = line.into_bytes();
        self.state.sealed = frontier;
        self.state.head = head;
        self.state.pending = None;
        self.state.stamp_heads(&self.paths).map_err(LogFault::io("look at", &self.paths.folder))?;
        self.switch_signer();
        Ok(())
    }

    /// The keys that sign the next head: the one in force and, where an entry passes on to it, the next.
    fn signing(&self) -> Result<Vec<&Signer>, LogFault> {
        let mut signers = vec![&self.signers.current];
        if let Some(named) = &self.state.pending {
            let staged = self.signers.staged.as_ref().filter(|staged| staged.verifier().to_string() == *named);
            signers.push(staged.ok_or_else(|| {
                let text = "an entry passes the signing on to a key that is not in keys/: put keys/ back from a backup";
                LogFault::broken(codes::KEY_CHANGE, &self.state.segment.path, text)
            })?);
        }
        Ok(signers)
    }
}
