//! Runs the program and searches all that it says, all that it keeps, and what /proc shows of it while it waits.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bewaard::domain::digest::Digest;

use crate::bench::{Said, said};
use crate::canaries::{Found, May};
use crate::paused::wait_until;
use crate::shop::Shop;

/// A shop whose commands are watched.
pub(crate) struct Watch<'a> {
    pub(crate) shop: &'a Shop,
    /// What was searched: most files are the same as a step before.
    searched: RefCell<BTreeSet<Digest>>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(shop: &'a Shop) -> Self {
        for folder in ["tmp", "pause"] {
            fs::create_dir(shop.bench.file(folder)).unwrap();
        }
        Self { shop, searched: RefCell::default() }
    }

    /// A command as talkative as it can be, with a folder of its own for temporary files.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.talkative(self.shop.bench.command(args))
    }

    fn talkative(&self, mut command: Command) -> Command {
        for name in ["TMPDIR", "SQLITE_TMPDIR"] {
            command.env(name, self.shop.bench.file("tmp"));
        }
        command.env("BEWAARD_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
        command
    }

    /// Runs a command to its end; nothing that it says holds a canary.
    #[track_caller]
    pub(crate) fn says(&self, args: &[&str], input: &str) -> Said {
        self.says_but(args, input, None)
    }

    /// The same for a command that may show some canaries, and must.
    #[track_caller]
    pub(crate) fn says_but(&self, args: &[&str], input: &str, may: May<'_>) -> Said {
        let command = self.command(args);
        self.ends(command, input, may)
    }

    /// Runs a command at another time.
    #[track_caller]
    pub(crate) fn says_at(&self, shift: &str, args: &[&str]) -> Said {
        let command = self.talkative(self.shop.bench.command_at(shift, args));
        self.ends(command, "", None)
    }

    #[track_caller]
    pub(crate) fn ends(&self, command: Command, input: &str, may: May<'_>) -> Said {
        // Its first words: another may be what is searched for.
        let what =
            format!("what {:?} says", command.get_args().take(2).filter(|arg| arg.len() < 20).collect::<Vec<_>>());
        let output = start(command, input).wait_with_output().unwrap();
        let told = [&output.stdout[..], b"\n", &output.stderr].concat();
        let found = self.shop.canaries.find(&told);
        let (shown, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|one| may.is_some_and(|(ending, _)| one.name.ends_with(ending)));
        none(rest, &what);
        if let Some((ending, why)) = may {
            assert!(!shown.is_empty(), "{what} no longer shows {ending}, which it may: {why}\n{output:?}");
        }
        said(&output)
    }

    /// Runs a command that is killed at a point, and searches what it left.
    #[track_caller]
    pub(crate) fn killed(&self, point: &str, args: &[&str], input: &str) {
        let mut command = self.command(args);
        command.env("BEWAARD_CRASH_AT", point);
        let said = self.ends(command, input, None);
        assert_eq!(said.code, -1, "it was to be killed at {point}: {}{}", said.out, said.err);
        self.files(&format!("after a kill at {point}"));
    }

    /// Runs a command that waits at a point; meanwhile its arguments, environment and open files are searched, and what
    /// lies on the disk.
    #[track_caller]
    pub(crate) fn paused(&self, point: &str, args: &[&str], input: &str) -> Said {
        let folder = self.shop.bench.file("pause");
        let mut command = self.command(args);
        command.env("BEWAARD_PAUSE_AT", point).env("BEWAARD_PAUSE_DIR", &folder);
        let mut waiting = Waiting(Some(start(command, input)));
        let child = waiting.0.as_mut().unwrap();
        let reached = folder.join(format!("{point}.reached"));
        wait_until(&format!("{args:?} reaches {point}"), || {
            assert!(reached.exists() || child.try_wait().unwrap().is_none(), "{args:?} ended before {point}");
            reached.exists()
        });
        self.process(child.id(), point);
        self.files(&format!("waiting at {point}"));
        let go = folder.join(format!("{point}.go"));
        fs::File::create(&go).unwrap();
        let output = waiting.0.take().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.signal(), None, "{args:?} at {point}");
        for file in [reached, go] {
            assert!(Command::new("rm").arg(file).status().unwrap().success());
        }
        none(self.shop.canaries.find(&[output.stdout.clone(), output.stderr.clone()].concat()), point);
        said(&output)
    }

    /// What /proc shows of a process: to everybody its arguments, to its own user and root the rest.
    #[track_caller]
    fn process(&self, process: u32, point: &str) {
        let at = PathBuf::from(format!("/proc/{process}"));
        for name in ["cmdline", "comm", "environ", "status", "maps"] {
            let bytes = fs::read(at.join(name)).unwrap();
            none(
                self.shop.canaries.find(&bytes).into_iter().filter(|one| !self.path(one)),
                &format!("{name} at {point}"),
            );
        }
        let mut files = 0;
        for entry in fs::read_dir(at.join("fd")).unwrap() {
            let entry = entry.unwrap().path();
            // A reader of the database may just be closing.
            let Some(target) = unless_gone(fs::read_link(&entry)) else { continue };
            // The database and its journal hold what they hold, also when they were removed meanwhile.
            let of_database = target.to_string_lossy().starts_with(&*self.shop.bench.file("shop.db").to_string_lossy());
            let is_file = unless_gone(fs::metadata(&entry)).is_some_and(|meta| meta.is_file());
            if of_database || !is_file {
                continue;
            }
            let Some(bytes) = unless_gone(fs::read(&entry)) else { continue };
            files += 1;
            none(self.shop.canaries.find(&bytes), &format!("the open file {} at {point}", target.display()));
        }
        assert!(files > 0, "it has files open at {point}");
    }

    /// The path of a secret may stand where paths stand.
    fn path(&self, found: &Found) -> bool {
        found.name == "the file of the password"
    }

    /// Searches every file beside the database, and its name.
    #[track_caller]
    pub(crate) fn files(&self, when: &str) {
        let given = self.shop.given();
        let mut searched = 0;
        for path in walk(&self.shop.bench.file("")) {
            if given.contains(&path) {
                continue;
            }
            searched += 1;
            let name = path.strip_prefix(self.shop.bench.file("")).unwrap().to_string_lossy().into_owned();
            let bytes = [name.as_bytes(), b"\n", &fs::read(&path).unwrap()].concat();
            let digest = Digest::of(&bytes);
            if !self.searched.borrow().contains(&digest) {
                none(self.shop.canaries.find(&bytes), &format!("the file {name} {when}"));
                self.searched.borrow_mut().insert(digest);
            }
        }
        assert!(searched > 0, "there is something to search {when}");
    }

    /// How many files lie in a folder of the state.
    pub(crate) fn count(&self, folder: &str) -> usize {
        walk(&self.shop.bench.file("state").join(folder)).len()
    }
}

/// A command that waits; it ends with the test, however that ends.
struct Waiting(Option<Child>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn unless_gone<T>(found: std::io::Result<T>) -> Option<T> {
    match found {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        found => Some(found.unwrap()),
    }
}

/// Fails where something was found. What it was is told, and never the value.
#[track_caller]
pub(crate) fn none(found: impl IntoIterator<Item = Found>, place: &str) {
    let found: Vec<Found> = found.into_iter().collect();
    assert!(found.is_empty(), "in {place}: {found:?}");
}

fn start(mut command: Command, input: &str) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // Who does not read what was sent closes the pipe, which is well.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child
}

/// Every file below a folder.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() { found.extend(walk(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

/// The watch itself: what is planted where it looks is found.
#[test]
fn what_is_planted_in_an_output_a_file_or_an_argument_is_found() {
    let mut shop = Shop::new(crate::shop::Place::Sqlite, None);
    let (told, typed, left) = (shop.canaries.email("told"), shop.canaries.person("typed"), shop.canaries.phone("left"));
    let watch = Watch::new(&shop);
    let found = |look: &dyn Fn()| {
        let why = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look)).expect_err("it was to be found");
        why.downcast::<String>().unwrap().to_string()
    };
    watch.says(&["init"], "").ends(0);
    watch.files("before anything was planted");
    let why = found(&|| drop(watch.says(&["plan", &told], "")));
    assert!(why.contains("\"told\"") && !why.contains(&told), "the failure names it without its value");
    for (name, bytes) in [("log/x", hex::encode(&left)), ("tmp/y", left.to_lowercase()), ("state/z", left.clone())] {
        shop.bench.write(name, &bytes);
        assert!(found(&|| watch.files("planted")).contains(name), "{name}");
        assert!(Command::new("rm").arg(shop.bench.file(name)).status().unwrap().success());
    }
    watch.files("when all was taken away");
    // What a person types as a reason is theirs: it stands in the list of processes, and in a note.
    let why = found(&|| drop(watch.paused("append-write", &["pause", "--reason", &typed], "")));
    assert!(why.contains("cmdline at append-write") && !why.contains(&typed), "{why}");
    assert!(found(&|| watch.files("with a note")).contains("state/notes/"));
}
