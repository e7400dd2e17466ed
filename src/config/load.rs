//! Finds and reads the files of a policy.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::shape::Check;
use super::source::{Place, SourceFile, shown};
use super::tree::{self, Node};
use super::{Loaded, SourceMap, conflicts, resolve, v1};
use crate::codes;
use crate::domain::digest::{Digest, push_field};
use crate::domain::shell;

/// A policy of more bytes is no policy.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Reads `bewaard.toml` (or a file of another name) and `conf.d/*.toml` beside it, in the order of their names.
///
/// Relative paths in a file are relative to its folder.
///
/// # Errors
/// Everything that is wrong with the text, and the warnings with it.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let mut out = Vec::new();
    let files = read_all(path, &mut out);
    finish(&files, out)
}

/// Reads one text as a policy: for tests and for texts that are no files.
///
/// # Errors
/// As [`load`].
pub fn load_text(path: &Path, text: &str) -> Result<Loaded, Diagnostics> {
    let mut out = Vec::new();
    let file = SourceFile::new(path.to_path_buf(), text);
    if file.text.trim().is_empty() {
        out.push(empty(path));
    }
    finish(&[file], out)
}

fn finish(files: &[Arc<SourceFile>], mut out: Vec<Diagnostic>) -> Result<Loaded, Diagnostics> {
    let root = parse_all(files, &mut out);
    let Some(root) = root.filter(|_| !has_fault_of_form(&out)) else { return Err(Diagnostics::new(out)) };
    let resolved = resolve::policy(&root, digest_of(files), &mut out);
    if let Some((policy, _)) = &resolved {
        conflicts::find(policy, &root, &mut out);
    }
    let diagnostics = Diagnostics::new(out);
    match resolved {
        Some((policy, settings)) if !diagnostics.has_faults() => Ok(Loaded {
            policy,
            settings,
            sources: SourceMap { root },
            warnings: diagnostics,
            files: files.iter().map(|file| file.path.clone()).collect(),
        }),
        _ => Err(diagnostics),
    }
}

/// Whether the files themselves are at fault, so that what they mean can't be asked.
fn has_fault_of_form(out: &[Diagnostic]) -> bool {
    let form = [
        codes::SYNTAX,
        codes::CONFIG_MISSING,
        codes::CONFIG_UNREADABLE,
        codes::CONFIG_NOT_UTF8,
        codes::CONFIG_EMPTY,
        codes::VERSION,
    ];
    out.iter().any(|one| form.contains(&one.code))
}

fn read_all(path: &Path, out: &mut Vec<Diagnostic>) -> Vec<Arc<SourceFile>> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut files = Vec::new();
    match read_file(&path) {
        Ok((file, warning)) => {
            out.extend(warning);
            if file.text.trim().is_empty() {
                out.push(empty(&path));
            }
            files.push(file);
        }
        Err(diagnostic) => {
            out.push(*diagnostic);
            return files;
        }
    }
    for path in beside(&path, out) {
        match read_file(&path) {
            Ok((file, warning)) => {
                out.extend(warning);
                files.push(file);
            }
            Err(diagnostic) => out.push(*diagnostic),
        }
    }
    files
}

fn empty(path: &Path) -> Diagnostic {
    Diagnostic::new(codes::CONFIG_EMPTY, Severity::Fault, "the file is empty")
        .in_file(path)
        .help("`bewaard generate config` prints a file with every key explained, to start from")
}

/// `conf.d/*.toml` beside the file, sorted by name; hidden files and copies of editors are left out.
fn beside(path: &Path, out: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("/")).join("conf.d");
    let unreadable = |error: &std::io::Error| {
        Diagnostic::new(codes::CONFIG_UNREADABLE, Severity::Fault, format!("the folder can't be read: {error}"))
            .in_file(&folder)
            .help("bewaard must be able to list it: its policy may be incomplete without these files")
    };
    let listed = match fs::read_dir(&folder) {
        Ok(listed) => listed,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                out.push(unreadable(&error));
            }
            return Vec::new();
        }
    };
    if let Ok(about) = fs::metadata(&folder) {
        out.extend(open_to_others(&folder, about.mode()));
    }
    let mut found = Vec::new();
    for entry in listed {
        match entry {
            Ok(entry) => found.push(entry.path()),
            Err(error) => out.push(unreadable(&error)),
        }
    }
    found.retain(|path| {
        path.extension().is_some_and(|end| end == "toml")
            && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    found.sort();
    found
}

type Read1 = Result<(Arc<SourceFile>, Option<Diagnostic>), Box<Diagnostic>>;

fn read_file(path: &Path) -> Read1 {
    let fault = |code, text: String| Diagnostic::new(code, Severity::Fault, text).in_file(path);
    let failed = |error: &std::io::Error| Box::new(cannot_read(path, error));
    // A pipe in the place of the file is refused, and never waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, rustix::fs::Mode::empty());
    let mut file = File::from(opened.map_err(|error| failed(&error.into()))?);
    let about = file.metadata().map_err(|error| failed(&error))?;
    if about.is_dir() {
        let text = "this is a folder, not a file".to_string();
        let help = format!("name the file in it: --config {}", shell::path(&path.join("bewaard.toml")));
        return Err(Box::new(fault(codes::CONFIG_UNREADABLE, text).help(help)));
    }
    if !about.is_file() || about.len() > MOST_BYTES {
        let text = "this is no regular file of at most 64 MiB".to_string();
        return Err(Box::new(fault(codes::CONFIG_UNREADABLE, text).help("name a text file in TOML")));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| Box::new(not_utf8(path, &error)))?;
    Ok((SourceFile::new(path.to_path_buf(), &text), open_to_others(path, about.mode())))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Diagnostic {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let (code, text) = if missing {
        (codes::CONFIG_MISSING, "there is no such file".to_string())
    } else {
        (codes::CONFIG_UNREADABLE, format!("the file can't be read: {error}"))
    };
    let diagnostic = Diagnostic::new(code, Severity::Fault, text).in_file(path);
    if missing {
        diagnostic
            .help("name another one with --config FILE")
            .help("`bewaard generate config` prints a file with every key explained, to start from")
    } else {
        diagnostic.help(format!("look at its owner and mode: ls -l {}", shell::path(path)))
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostic {
    let bytes = error.as_bytes();
    let at = error.utf8_error().valid_up_to();
    let line = bytes.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let from = if utf16 { "UTF-16" } else { "WINDOWS-1252" };
    let text = format!("the file is not UTF-8: line {line} has a byte that UTF-8 does not have");
    Diagnostic::new(codes::CONFIG_NOT_UTF8, Severity::Fault, text)
        .in_file(path)
        .help(format!("save it as UTF-8 in the editor, or: iconv -f {from} -t UTF-8 {} > new.toml", shell::path(path)))
}

fn open_to_others(path: &Path, mode: u32) -> Option<Diagnostic> {
    (mode & 0o002 != 0).then(|| {
        let text = format!(
            "everybody on this machine may write it (mode {:04o}), and so decide what is erased",
            mode & 0o7777
        );
        Diagnostic::new(codes::CONFIG_OPEN, Severity::Fault, text)
            .in_file(path)
            .help(format!("chmod o-w {}", shell::path(path)))
    })
}

/// Parses each file alone, checks its shape, and puts them together.
fn parse_all(files: &[Arc<SourceFile>], out: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut whole: Option<Node> = None;
    for (place, file) in files.iter().enumerate() {
        let Some(node) = tree::parse(file, out) else { continue };
        if !version_is_known(&node, place == 0, out) {
            continue;
        }
        Check::new(&v1::FILE, out).file(&node);
        match &mut whole {
            None => whole = Some(node),
            Some(whole) => tree::merge(whole, node, out),
        }
    }
    whole
}

fn version_is_known(root: &Node, must: bool, out: &mut Vec<Diagnostic>) -> bool {
    match root.entry("version") {
        Some(entry) => match entry.node.text() {
            Some("v1") => true,
            other => {
                let text = match other {
                    Some(version) => format!("version \"{}\" is not known to this program", shown(version)),
                    None => "the version is text".to_string(),
                };
                let fault = Diagnostic::fault(codes::VERSION, text, &entry.node.place);
                out.push(fault.label("this program reads \"v1\"").help("write: version = \"v1\""));
                false
            }
        },
        None if must => {
            let file = &root.place.file;
            if !file.text.trim().is_empty() {
                let end = file.text.find('\n').unwrap_or(file.text.len());
                let place = Place { file: Arc::clone(file), span: 0..end };
                let fault = Diagnostic::fault(codes::VERSION, "the file does not say its version", &place);
                out.push(fault.label("before this line").help("write as the first line: version = \"v1\""));
            }
            false
        }
        None => true,
    }
}

/// SHA-256 over names and normalised texts of all files.
fn digest_of(files: &[Arc<SourceFile>]) -> Digest {
    let mut bytes = Vec::new();
    for (place, file) in files.iter().enumerate() {
        let name = if place == 0 { None } else { file.path.file_name() };
        push_field(&mut bytes, b'f', name.map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default());
        push_field(&mut bytes, b't', file.text.as_bytes());
    }
    Digest::of(&bytes)
}
