//! Stable codes of every fault and finding that a person can see, with what `bewaard explain CODE` says.
//!
//! `B1xx` the text of the configuration · `B2xx` what a live system shows · `B3xx` plan and gate · `B4xx` log and keys ·
//! `B5xx` running · `B6xx` the host and our own files. A code is never used again for something else.

/// One code.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `B` and three digits.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why it matters and what mends it.
    pub explain: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $title:literal, $explain:literal;)*) => {
        $(
            #[doc = $title]
            $(#[$doc])*
            pub const $name: &Code = &Code { id: $id, title: $title, explain: $explain };
        )*
        /// Every code, in order.
        pub const ALL: &[&Code] = &[$($name),*];
    };
}

codes! {
    // --- B1xx: the text of the configuration ---
    SYNTAX = "B101", "the file is no valid TOML",
        "The file can't be read as TOML 1.0 at this place. Nothing of it is used. Mend the line that is underlined; `bewaard check --offline` reads it again.";
    // --- B2xx: what a live system shows ---
    UNREACHABLE = "B201", "the system can't be reached",
        "The server did not answer, or refused the connection. Its rules are not judged and nothing in it is purged; the ledger counts the system as unread. Check host, port or socket, the service itself, and the account.";
    // --- B3xx: plan and gate ---
    // --- B4xx: log and keys ---
    // --- B5xx: running ---
    // --- B6xx: the host and our own files ---
}

/// Finds a code by its id, in any case.
pub fn find(id: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id), "codes are listed once and in order");
        for code in ALL {
            assert!(code.id.len() == 4 && code.id.starts_with('B'), "{}", code.id);
            assert!(code.explain.len() > 60, "{} explains too little", code.id);
        }
    }
}
