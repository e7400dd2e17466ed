//! Keys and identities come from standard input, never from arguments: those stand in `ps` and in shell histories.

use std::io::{self, BufRead, IsTerminal};

use super::out::Out;
use super::{Failure, exit};

/// The lines of standard input, without empty ones; a person is asked first.
pub(super) fn lines(prompt: &str, out: Out) -> Result<Vec<String>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        out.remark(format!("{prompt} (end with an empty line)"))?;
    }
    let mut lines = Vec::new();
    for line in stdin.lock().lines() {
        let line = line?;
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            if lines.is_empty() && !stdin.is_terminal() {
                continue;
            }
            break;
        }
        lines.push(line.to_string());
    }
    if lines.is_empty() {
        return Err(Failure::new(exit::USAGE, format!("nothing came on standard input: {prompt}")));
    }
    Ok(lines)
}
