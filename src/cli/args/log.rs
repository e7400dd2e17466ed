//! Arguments of the commands about the log, its machine and its key.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Log {
    #[command(subcommand)]
    pub(in crate::cli) command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LogCommand {
    /// Print entries
    Show {
        /// Only from this entry on
        #[arg(long, value_name = "N", default_value_t = 0)]
        from: u64,
        /// Only the last N entries
        #[arg(long, value_name = "N")]
        last: Option<u64>,
        /// Only this kind, such as `outcome` or `approved`
        #[arg(long)]
        kind: Option<String>,
        /// Only about this rule
        #[arg(long)]
        rule: Option<String>,
    },
    /// Derive everything anew from files and public key; writes nothing
    Verify {
        /// A log's folder, for who has no policy
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The public key that must have signed (`NAME+HASH+BASE64`)
        #[arg(long, value_name = "VKEY")]
        key: Vec<String>,
        /// A checkpoint kept elsewhere that this log must contain
        #[arg(long, value_name = "FILE")]
        against: Vec<PathBuf>,
        /// Check one proof instead, with the entry beside it (as `log prove --output FILE` writes them)
        #[arg(long, value_name = "FILE", conflicts_with_all = ["dir", "against"])]
        proof: Option<PathBuf>,
    },
    /// Prove one entry to a stranger: a C2SP tlog-proof
    Prove {
        /// The entry's index
        #[arg(long, value_name = "N")]
        entry: Option<u64>,
        /// The rule; the record's key comes from standard input, one part a line
        #[arg(long)]
        rule: Option<String>,
        /// Write the proof here instead of to standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the newest checkpoint, or export it for openssl, signify and minisign
    Checkpoint {
        /// Write body, signatures and public keys here
        #[arg(long, value_name = "DIR")]
        export: Option<PathBuf>,
    },
    /// Print the log's folder
    Path,
    /// Start a successor log after this one was lost, cut, put back or forked
    #[command(
        after_help = "What is left of the log is set aside, beside its place, and the successor names its last known head. Holds and open\n\
                      batches are carried over, approvals are not. Mend what can be mended first: `bewaard log verify` says what is\n\
                      wrong.\n\nExample: bewaard log continue --lost-head --reason \"the disk of 3 May\""
    )]
    Continue {
        /// The newest head of this log is lost, or is not to be trusted
        #[arg(long)]
        lost_head: bool,
        /// Go on without holds that can't be carried over; each of them must be placed again
        #[arg(long)]
        without_holds: bool,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
#[command(
    after_help = "A log is bound to its machine. On another one everything is a preview until somebody says what happened.\n\n\
                  Examples:\n  \
                    bewaard adopt --moved --reason \"new server, the old one is gone\"\n  \
                    bewaard adopt --copy --reason \"test machine\""
)]
pub(in crate::cli) struct Adopt {
    /// The machine was moved, renamed or restored, and the first one does not go on: the same log goes on
    #[arg(long, group = "what")]
    pub(in crate::cli) moved: bool,
    /// This is a copy, and the first one goes on: a log of its own, with holds and without approvals
    #[arg(long, group = "what")]
    pub(in crate::cli) copy: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Key {
    #[command(subcommand)]
    pub(in crate::cli) command: KeyCommand,
}

#[cfg(feature = "systems")]
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Print the public key in every form that other programs read
    Show,
    /// Replace the signing key; the old one signs the change
    Rotate {
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}
