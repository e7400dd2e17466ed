//! The end of the pass: what is published, which keys are trusted, what outside heads say.

use super::heads::{self, HeadLine, HeadLines, KeyChain};
use super::pass::{Outside, Pass, read_note};
use super::{Keys, Report, plural, walk};
use crate::audit::entry::Body;
use crate::audit::note::VerifierKey;
use crate::audit::regular;
use crate::codes;

impl Pass<'_> {
    /// Compares what is left and gives the answer.
    pub(super) fn finish(mut self) -> Report {
        let lines = self.frontier.size();
        let sealed = self.newest.as_ref().map_or(0, |newest| newest.size);
        if let Some(head) = &self.next {
            let text = format!(
                "the journal ends after {lines} entries, and {} were signed: it was cut",
                head.signed.checkpoint.size
            );
            self.faults.add(codes::LOG_CUT, walk::JOURNAL, text);
        } else if self.newest.is_none() {
            self.faults.add(codes::HEADS_DAMAGED, heads::FILE, "there is no signed head, so nothing is sealed");
        } else if lines > sealed {
            let open = plural(lines - sealed, "entry", "entries");
            self.told.push(format!("{open} not yet sealed by a head: nobody has signed for them"));
        }
        if self.chain.is_some() && !self.seals {
            self.told
                .push("an older form: heads are not sealed to one another, so one removed between is not seen".into());
        }
        if self.outcomes > 0 {
            *self.counts.entry("outcome".into()).or_default() += self.outcomes;
        }
        self.finish_tiles(lines);
        self.finish_published(sealed);
        self.finish_keys();
        let agreed = self.finish_outside(lines, sealed);
        for kind in self.counts.keys().filter(|kind| !Body::KINDS.contains(&kind.as_str())) {
            let count = plural(self.counts[kind], "entry", "entries");
            self.told.push(format!("{count} of kind `{kind}`, which this version does not know"));
        }
        if self.backwards > 1 {
            self.told.push(format!("{} entries in all are dated before an earlier one", self.backwards));
        }
        self.batches.tell(&mut self.told);
        let key = self.chain.as_ref().and_then(|chain| chain.keys().last());
        let empty = || (0, crate::audit::tree::empty_root());
        let (size, root) = self.newest.as_ref().map_or_else(empty, |newest| (newest.size, newest.root));
        Report {
            origin: self.newest.as_ref().map(|newest| newest.origin.clone()).unwrap_or_default(),
            size,
            root,
            key: key.map(ToString::to_string),
            heads: self.head_count,
            counts: self.counts,
            agreed,
            faults: self.faults.finish(&mut self.told),
            told: self.told,
        }
    }

    /// No tile may stand for entries that the journal does not have.
    fn finish_tiles(&mut self, lines: u64) {
        let beyond = walk::tiles(self.folder, lines, &mut self.faults);
        if beyond.is_empty() {
            return;
        }
        // A writer beside us only publishes what it sealed, so the heads tell how far it came.
        let mut now = 0;
        if let Ok(mut heads) = HeadLines::open(self.folder) {
            while let Ok(Some(line)) = heads.read() {
                if let HeadLine::Head(signed) = line {
                    now = signed.checkpoint.size;
                }
            }
        }
        let (meanwhile, foreign): (Vec<_>, Vec<_>) = beyond.into_iter().partition(|(_, reach)| *reach <= now);
        for (path, _) in &foreign {
            walk::foreign(path, &mut self.faults);
        }
        if !meanwhile.is_empty() {
            let tiles = plural(meanwhile.len() as u64, "tile", "tiles");
            self.told.push(format!("{tiles} written during this verification were not looked at"));
        }
    }

    /// The published checkpoint must be one of the heads, and its tiles must be there.
    fn finish_published(&mut self, sealed: u64) {
        let there = self.folder.join(walk::CHECKPOINT).symlink_metadata().is_ok();
        match (&self.published, self.published_size) {
            (Some(_), Some(size)) if size > sealed => {
                let text = format!("{size} entries were published, and only {sealed} are sealed: the log was cut");
                self.faults.add(codes::LOG_CUT, walk::CHECKPOINT, text);
            }
            (Some(_), _) => {
                self.faults.add(codes::CHECKPOINT_DAMAGED, walk::CHECKPOINT, "is none of the log's signed heads");
            }
            (None, None) if !there => {
                let text = "is not there: every log has one from its first entry on";
                self.faults.add(codes::CHECKPOINT_MISSING, walk::CHECKPOINT, text);
            }
            (None, Some(size)) if size < sealed => {
                self.told.push(format!("published up to {} of {sealed} entries", plural(size, "entry", "entries")));
            }
            (None, _) => {}
        }
        let now = regular::bytes(&self.folder.join(walk::CHECKPOINT)).ok();
        let now_size = now.as_deref().and_then(read_note).map(|(_, checkpoint)| checkpoint.size);
        let published_meanwhile = now_size > self.published_size;
        for path in std::mem::take(&mut self.tiles.missing) {
            if !published_meanwhile {
                self.faults.add(
                    codes::TILE_MISSING,
                    path,
                    "the published checkpoint needs this tile, and it is not there",
                );
            }
        }
        if published_meanwhile && self.published_size.is_some() {
            self.told.push("a newer checkpoint was published during this verification".into());
        }
        if self.tiles.spare > 0 {
            let tiles = plural(self.tiles.spare, "tile", "tiles");
            self.told.push(format!("{tiles} that no checkpoint needs any more; the journal gives the same"));
        }
    }

    /// The trusted keys must all be among those that signed.
    fn finish_keys(&mut self) {
        let (texts, file) = match &self.options.keys {
            Keys::Given(texts) => (texts, "the trusted key"),
            Keys::Machine(texts) => {
                self.told.push("the key was taken from this machine: who owns the machine owns the key".into());
                (texts, "the key of this machine")
            }
            Keys::Log => {
                self.told.push(
                    "the key was taken from the log itself: damage is found, a log that somebody signed again is not"
                        .into(),
                );
                return;
            }
        };
        let Some(chain) = &self.chain else { return };
        let origin = chain.keys().first().map_or("", VerifierKey::name);
        let mut used = 0;
        for text in texts {
            match VerifierKey::parse(text.trim()) {
                Err(bad) => self.faults.add(codes::KEY_DAMAGED, file, format!("is {bad}")),
                Ok(key) if key.name() != origin => {
                    self.told.push(format!("the key of `{}` is of another log", key.name()));
                }
                Ok(key) if chain.keys().contains(&key) => used += 1,
                Ok(key) => {
                    let text =
                        format!("{key} is trusted, and it never signed this log: the log was signed by another key");
                    self.faults.add(codes::LOG_KEY, file, text);
                    used += 1;
                }
            }
        }
        if used == 0 {
            self.faults.add(codes::LOG_KEY, file, format!("no trusted key is of the log `{origin}`"));
        }
    }

    fn finish_outside(&mut self, lines: u64, sealed: u64) -> Vec<String> {
        let keys: Vec<&VerifierKey> = self.chain.iter().flat_map(KeyChain::keys).collect();
        let origin = self.newest.as_ref().map_or("", |newest| newest.origin.as_str());
        let mut agreed = Vec::new();
        for outside in &self.outside {
            let Outside { name, note, checkpoint, fits } = outside;
            let size = checkpoint.size;
            let signed = note.verify(&keys);
            let fault = match fits {
                _ if checkpoint.origin != origin => {
                    Some((codes::LOG_FORKED, format!("is of another log, `{}`", checkpoint.origin)))
                }
                _ if signed.is_err() => {
                    let bad = signed.err().map(|bad| bad.to_string()).unwrap_or_default();
                    Some((codes::LOG_KEY, format!("is not signed by a key of this log: {bad}")))
                }
                Some(false) => Some((
                    codes::LOG_FORKED,
                    format!("names another root for the first {size} entries: there are two histories"),
                )),
                None => Some((
                    codes::LOG_CUT,
                    format!(
                        "knows {size} entries, and the folder holds {lines}: the log was cut or an older one put back"
                    ),
                )),
                Some(true) if size > sealed => Some((
                    codes::LOG_CUT,
                    format!("knows {size} sealed entries, and `heads` only {sealed}: it was cut"),
                )),
                Some(true) => None,
            };
            match fault {
                Some((code, text)) => self.faults.add(code, name.clone(), text),
                None => agreed.push(name.clone()),
            }
        }
        agreed
    }
}
