//! `[state]`, `[log]`, `[keys]`, and paths and secrets wherever they stand.

use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::Out;
use crate::codes;
use crate::config::Settings;
use crate::config::diagnostic::Diagnostic;
use crate::config::source::shown;
use crate::config::tree::{Entry, Node, Value};
use crate::domain::digest::Digest;
use crate::domain::id::LONGEST_LOG_NAME;
use crate::domain::policy::SecretRef;

const STATE: &str = "/var/lib/bewaard";

pub(super) fn resolve(root: &Node, out: Out<'_>) -> Option<Settings> {
    let before = out.len();
    let under = |table: &str, key: &str| root.get(table).and_then(|node| node.entry(key));
    let state_at = under("state", "path");
    let log_at = under("log", "path");
    let state = state_at.map_or(Some(PathBuf::from(STATE)), |entry| path(&entry.node, out));
    let log = match (log_at, &state) {
        (Some(entry), _) => path(&entry.node, out),
        (None, state) => state.as_ref().map(|state| state.join("log")),
    };
    let outside_at = under("log", "outside").map(|entry| entry.node.items()).unwrap_or_default();
    let outside: Vec<PathBuf> = outside_at.iter().filter_map(|node| path(node, out)).collect();
    if let (Some(state), Some(log)) = (&state, &log) {
        if state.starts_with(log)
            && let Some(entry) = log_at.or(state_at)
        {
            let text = "the state folder lies in the log's folder, where every file that is not the log's is a fault";
            let fault = Diagnostic::fault(codes::BAD_PATH, text, entry.mark());
            out.push(fault.help("give the log a folder of its own, such as \"log\" inside the state folder"));
        }
        let inside = log.strip_prefix(state).ok().and_then(|rest| rest.components().next());
        if let (Some(inside), Some(entry)) = (inside.and_then(|one| one.as_os_str().to_str()), log_at)
            && OWN.contains(&inside)
        {
            let text = format!("`{inside}` in the state folder is for what is not the log");
            let fault = Diagnostic::fault(codes::BAD_PATH, text, &entry.node.place);
            out.push(fault.help("give the log a folder of its own, such as \"log\" inside the state folder"));
        }
        for node in
            outside_at.iter().filter(|node| node.text().is_some_and(|text| base(node).join(text).starts_with(log)))
        {
            let text = "an outside head inside the log's folder goes wherever the log goes";
            let fault = Diagnostic::fault(codes::BAD_PATH, text, &node.place);
            out.push(fault.help("name a path on another disk, or a share: \"/mnt/backup/bewaard-heads\""));
        }
    }
    let keys_at = under("log", "key").map(|entry| entry.node.items()).unwrap_or_default();
    let keys = keys_at.iter().filter_map(|node| log_key(node, out)).collect();
    let wrap = under("keys", "wrap").and_then(|entry| secret(entry, out));
    let origin = under("log", "origin").and_then(|entry| origin(entry, out));
    let settings = Settings { state: state?, log: log?, origin, keys, outside, wrap };
    (out.len() == before).then_some(settings)
}

/// The state folder's own, where a log has no place.
const OWN: [&str; 6] = ["inflight", "keys", "notes", "plans", "quarantine", "undo"];

/// A name without spaces and plus signs, as C2SP signed notes ask.
fn origin(entry: &Entry, out: Out<'_>) -> Option<String> {
    let text = entry.node.text()?;
    if text.len() > LONGEST_LOG_NAME {
        let told = format!("the origin has {} bytes, and a log takes {LONGEST_LOG_NAME}", text.len());
        let fault = Diagnostic::fault(codes::BAD_VALUE, told, &entry.node.place);
        out.push(fault.help("write a shorter name, such as \"bewaard.example.nl/2026\""));
        return None;
    }
    if !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+') {
        return Some(text.to_string());
    }
    let fault =
        Diagnostic::fault(codes::BAD_VALUE, format!("`{}` is no origin of a log", shown(text)), &entry.node.place);
    out.push(
        fault
            .label("no spaces, no plus sign")
            .help("write a name like a URL without scheme: \"bewaard.example.nl/2026\""),
    );
    None
}

/// A C2SP verifier key: name, the first 4 bytes of SHA-256(name, newline, algorithm, key), and algorithm and key.
fn log_key(node: &Node, out: Out<'_>) -> Option<String> {
    let text = node.text()?.trim();
    if is_log_key(text).is_some() {
        return Some(text.to_string());
    }
    let fault = Diagnostic::fault(codes::BAD_KEY, "this is no public key of a log", &node.place)
        .label("name+hash+key, and the hash must fit");
    out.push(fault.help("paste the line that this prints, all of it: bewaard key show"));
    None
}

fn is_log_key(text: &str) -> Option<()> {
    let (name, rest) = text.split_once('+')?;
    let (hash, key) = rest.split_once('+')?;
    let key = base64::engine::general_purpose::STANDARD.decode(key).ok()?;
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(b'\n');
    bytes.extend_from_slice(&key);
    let expected = Digest::of(&bytes).to_string();
    (key.len() == 33 && key.first() == Some(&1) && expected.get(..8) == Some(hash)).then_some(())
}

fn base(node: &Node) -> &Path {
    node.place.file.path.parent().unwrap_or(Path::new("/"))
}

/// A path, made absolute from the folder of the file that names it.
pub(super) fn path(node: &Node, out: Out<'_>) -> Option<PathBuf> {
    let text = node.text()?;
    let problem = if text.trim().is_empty() {
        "the path is empty"
    } else if text.starts_with('~') {
        "no shell reads this, so `~` is not the home folder"
    } else if text.contains(['\0', '\n']) {
        "no path has a line end or a zero byte in it"
    } else {
        let joined = base(node).join(text);
        return Some(std::path::absolute(&joined).unwrap_or(joined));
    };
    let fault = Diagnostic::fault(codes::BAD_PATH, problem, &node.place);
    out.push(fault.help("write an absolute path, or one from the folder of this file"));
    None
}

/// A reference to a secret.
pub(super) fn secret(entry: &Entry, out: Out<'_>) -> Option<SecretRef> {
    let node = &entry.node;
    if !matches!(node.value, Value::Table(_)) {
        return None;
    }
    match (node.get("credential"), node.get("file")) {
        (Some(credential), None) => {
            let name = credential.text()?;
            if !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0', '\n']) {
                return Some(SecretRef::Credential(name.to_string()));
            }
            let fault = Diagnostic::fault(codes::BAD_VALUE, "a credential is a name, not a path", &credential.place);
            out.push(
                fault.help("the name in the unit's LoadCredential=NAME:PATH; for a path write { file = \"PATH\" }"),
            );
        }
        (None, Some(file)) => return Some(SecretRef::File(path(file, out)?.to_string_lossy().into_owned())),
        (found, _) => {
            let text =
                if found.is_some() { "a secret stands in two places" } else { "it is not said where the secret is" };
            let code = if found.is_some() { codes::CONTRADICTION } else { codes::MISSING_KEY };
            let fault = Diagnostic::fault(code, text, entry.mark());
            out.push(fault.help("write one of: { credential = \"NAME\" }, { file = \"/etc/bewaard/NAME\" }"));
        }
    }
    None
}
