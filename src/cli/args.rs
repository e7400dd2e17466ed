//! Every argument of every command.

mod log;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

#[cfg(feature = "systems")]
pub(super) use self::log::{Adopt, Key, KeyCommand};
pub(super) use self::log::{Log, LogCommand};

/// Below the list of commands: where to begin, and what an exit code means.
const FIRST_HOUR: &str = "\
To try it:     bewaard demo
To begin:      bewaard generate config > bewaard.toml    (edit it; then, with --config bewaard.toml:)
               bewaard check; bewaard init --write; bewaard plan; bewaard approve PLAN --reason TEXT; bewaard run

Exit codes:     0  done (also: nothing was due)        5  stopped for safety: log, keys, holds or time
                1  failed                             69  a system can't be reached
                2  usage                              75  another run holds the lock, or a brake held it
                3  waits for approval, or refused     78  the configuration is wrong
                4  log or proof does not verify";

/// bewaard makes a retention policy true: what is past its term goes, and every purge can be proved.
#[derive(Debug, Parser)]
#[command(name = "bewaard", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = FIRST_HOUR)]
pub(super) struct Args {
    /// The policy [default: $BEWAARD_CONFIG, else /etc/bewaard/bewaard.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "For every command")]
    pub(super) config: Option<PathBuf>,
    /// Answer in JSON (`"schema": 1`); what went wrong is told in JSON too
    #[arg(long, global = true, help_heading = "For every command")]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Args {
    /// Where the policy is.
    pub(super) fn config(&self) -> PathBuf {
        let from_environment = || std::env::var_os("BEWAARD_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        self.config.clone().or_else(from_environment).unwrap_or_else(|| "/etc/bewaard/bewaard.toml".into())
    }
}

/// A day of the command line.
#[cfg(feature = "systems")]
fn day(text: &str) -> Result<chrono::NaiveDate, &'static str> {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| "write a day as year-month-day: 2027-06-01")
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the whole job on a small made-up firm, in a folder of its own
    #[cfg(feature = "systems")]
    Demo(Demo),
    /// Make the log and its keys, once; a second time changes nothing
    #[cfg(feature = "systems")]
    Init(Init),
    /// Validate the policy, then look at the live systems; every fault at once
    Check(Check),
    /// Print the statements that give the account exactly the rights that the rules need
    #[cfg(feature = "systems")]
    Grants(Grants),
    /// Decide cases written in TOML without any server
    Test(Test),
    /// Preview what each rule would purge; purges nothing
    #[cfg(feature = "systems")]
    Plan(Plan),
    /// Approve a plan, and with it later plans of the same decision within the limits
    #[cfg(feature = "systems")]
    Approve(Approve),
    /// Purge what is due under the rules whose gate is open
    #[cfg(feature = "systems")]
    Run(Run),
    /// Place, release or list holds: what must stay whatever its term
    #[cfg(feature = "systems")]
    Hold(Hold),
    /// Put back what a run took, for as long as its undo window lasts
    #[cfg(feature = "systems")]
    Undo(Undo),
    /// The facts about a run that was wrong, in the order of a breach notification (GDPR art. 33)
    #[cfg(feature = "systems")]
    Incident(Incident),
    /// Say of a batch that nothing could settle whether its records are gone or kept
    #[cfg(feature = "systems")]
    Settle(Settle),
    /// Stop all purging, now; only `resume` ends it
    #[cfg(feature = "systems")]
    Pause(Pause),
    /// End a pause, or the freeze of a rule or a system
    #[cfg(feature = "systems")]
    Resume(Resume),
    /// The due ledger: what is past its term, and what stands in the way
    #[cfg(feature = "systems")]
    Status(Status),
    /// Show, verify and prove the log
    Log(Log),
    /// Go on with the log on another machine: one that was moved, or a copy with a log of its own
    #[cfg(feature = "systems")]
    Adopt(Adopt),
    /// Show or replace the key that signs the log
    #[cfg(feature = "systems")]
    Key(Key),
    /// Print the reference configuration, the JSON schema for editors, or the catalogue of grounds
    Generate(Generate),
    /// Explain a code such as B112
    Explain(Explain),
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It makes two SQLite databases of a firm that does not exist and walks through init, check, plan, approve, run,\n\
                  status and log. It touches nothing outside its folder.\n\nExample: bewaard demo --dir /tmp/demo --attack"
)]
pub(super) struct Demo {
    /// The folder: absent, empty, or made by the demo
    #[arg(long, value_name = "DIR", default_value = "bewaard-demo")]
    pub(super) dir: PathBuf,
    /// Stop before the approval
    #[arg(long)]
    pub(super) no_run: bool,
    /// Afterwards attack the log in four ways, and show that each is found
    #[arg(long, conflicts_with = "no_run")]
    pub(super) attack: bool,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It makes the folders that the policy names under [state] and [log], a key that signs the log, and its first\n\
                  entries. It purges nothing.\n\nExample: bewaard init --write"
)]
pub(super) struct Init {
    /// Add the log's public key to the policy, so that a changed key is found
    #[arg(long)]
    pub(super) write: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is written, here or in a system. Exit code 78: something must be mended first; 69: a system could not\n\
                  be reached; 0: in order, perhaps with warnings.\n\nExample: bewaard check --offline new.toml"
)]
pub(super) struct Check {
    /// Check this file instead (as `--config`)
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The text alone; no system is asked
    #[arg(long)]
    pub(super) offline: bool,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(after_help = "Read the statements, then let the database's administrator run them. Nothing is run here.\n\n\
                  Example: bewaard grants webshop")]
pub(super) struct Grants {
    /// The system: a [system.NAME] of the policy
    pub(super) system: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "A case says what the clocks of one record hold, and what becomes of it on a day:\n\n  \
                    [[case]]\n  \
                    name = \"last order 14-03-2023\"\n  \
                    rule = \"inactive-customers\"\n  \
                    clocks = { last_login_at = \"01-02-2020\", \"orders.created_at\" = \"14-03-2023\" }\n  \
                    today = 2025-03-14\n  \
                    expect = \"stays\"              # or \"goes\"; by part: { contact = \"goes\", core = \"stays\" }\n  \
                    goes-on = 2025-03-15            # the first day on which it goes\n\n\
                  `bewaard generate cases` prints a whole file. Exit code 1: a case differs.\n\n\
                  Example: bewaard test cases.toml")]
pub(super) struct Test {
    /// Files with cases [default: tests.toml beside the policy]
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Show the reasoning of every case, not only of those that differ
    #[arg(long, short)]
    pub(super) verbose: bool,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Each plan has an id and a gate: where it stands and the command that helps. Nothing is erased by it.\n\n\
                  Examples:\n  \
                    bewaard plan                            every rule\n  \
                    bewaard plan inactive-customers --at 2027-06-01\n  \
                    bewaard plan inactive-customers --explain - < key.txt\n  \
                    bewaard plan --sql --why                is an index used, and which one is missing?\n  \
                    bewaard plan --against /etc/bewaard/bewaard.toml --config new.toml"
)]
pub(super) struct Plan {
    #[command(subcommand)]
    pub(super) show: Option<PlanCommand>,
    /// Only these rules (each a [rule.NAME]) instead of all
    #[arg(value_name = "RULE")]
    pub(super) rules: Vec<String>,
    /// What will be due on that day (2027-06-01); only a preview, which can't be approved
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(super) at: Option<chrono::NaiveDate>,
    /// Why one record goes or stays; its key comes from standard input, one part a line: `--explain -`
    #[arg(long, value_name = "-")]
    pub(super) explain: Option<String>,
    /// Show the keys of so many records that are due and so many that are not; on a terminal only
    #[arg(long, value_name = "N")]
    pub(super) sample: Option<usize>,
    /// Print read-only statements by which anybody can count the same without bewaard
    #[arg(long)]
    pub(super) sql: bool,
    /// With --sql: the statements by which bewaard finds candidates, and the server's own plan of each
    #[arg(long, requires = "sql")]
    pub(super) why: bool,
    /// Compare with an older policy: what comes in, what falls out
    #[arg(long, value_name = "OLD.toml")]
    pub(super) against: Option<PathBuf>,
}

#[cfg(feature = "systems")]
#[derive(Debug, Subcommand)]
pub(super) enum PlanCommand {
    /// Print a plan's text: what an approval signs
    Show {
        /// The plan's id, or its first digits
        plan: String,
        /// A limit that the approval is to go beyond; may be given more than once
        #[arg(long, value_enum, value_name = "LIMIT")]
        beyond: Vec<LimitWord>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LimitWord {
    /// More than this share of the table
    Share,
    /// More than this number
    Max,
    /// Too many compared with the plans before
    Change,
}

#[cfg(feature = "systems")]
impl From<LimitWord> for crate::domain::gate::Limit {
    fn from(word: LimitWord) -> Self {
        match word {
            LimitWord::Share => Self::Share,
            LimitWord::Max => Self::Max,
            LimitWord::Change => Self::Change,
        }
    }
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An approval opens the gate of the plan's rule: this plan, and later plans of a rule that decides the same, may then\n\
                  run as long as they stay within the rule's limits. A changed rule needs a new one. Nothing is erased by it.\n\n\
                  Examples:\n  \
                    bewaard approve 1b18e5d2f346 --reason \"looked at it with Jan\"\n  \
                    bewaard plan show 1b18e5d2f346 > plan.txt && ssh-keygen -Y sign -n bewaard -f KEY plan.txt\n  \
                    bewaard approve 1b18e5d2f346 --signature plan.txt.sig"
)]
pub(super) struct Approve {
    /// The plan's id, or its first digits, as `bewaard plan` prints it
    #[arg(required = true, value_name = "PLAN")]
    pub(super) plans: Vec<String>,
    /// Why; kept beside the log, not in it, so that it can be removed
    #[arg(long, value_name = "TEXT", required_unless_present = "signature")]
    pub(super) reason: Option<String>,
    /// An SSH signature over `plan show PLAN` (ssh-keygen -Y sign -n bewaard)
    #[arg(long, value_name = "FILE")]
    pub(super) signature: Option<PathBuf>,
    /// For this plan alone, go beyond a limit that refuses it; may be given more than once
    #[arg(long, value_enum, value_name = "LIMIT")]
    pub(super) beyond: Vec<LimitWord>,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It erases what an approved rule finds due, in small batches, each in one transaction and with entries in the log.\n\
                  Ctrl-C ends it between two batches (exit code 0); the next run goes on where it was.\n\n\
                  Example: bewaard run inactive-customers"
)]
pub(super) struct Run {
    /// Only these rules (each a [rule.NAME]) instead of all
    #[arg(value_name = "RULE")]
    pub(super) rules: Vec<String>,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Records, children and cleared references come back as they were, each record wholly or not at all. What is newer is\n\
                  never overwritten. Triggers of the database fire as for any new row. A hold is placed on the records first, so\n\
                  that no run takes them again before a person has looked: `bewaard hold list`. `bewaard pause` stops other runs.\n\n\
                  Examples:\n  \
                    bewaard undo run-5b7c1f2a9d3e4f60 --reason \"wrong rule\"\n  \
                    bewaard undo run-5b7c1f2a9d3e4f60 --record - --reason \"complaint\" < key.txt"
)]
pub(super) struct Undo {
    /// The run, as `bewaard status` prints it
    pub(super) run: String,
    /// Only one record; its key comes from standard input, one part a line: `--record -`
    #[arg(long, value_name = "-")]
    pub(super) record: Option<String>,
    /// Why; kept beside the log, not in it
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It reads the log and the policy, asks no system and prints no value. What only a person can say is left open and\n\
                  marked so. Nothing is sent to anybody.\n\n\
                  Example: bewaard incident run-5b7c1f2a9d3e4f60 --known-since 2026-11-27T09:30:00+01:00"
)]
pub(super) struct Incident {
    /// The run, as `bewaard status` and `bewaard log show --kind run-started` print it
    pub(super) run: String,
    /// Since when it is known (with its offset), from which 72 hours count; now where it is left out
    #[arg(long, value_name = "DATETIME")]
    pub(super) known_since: Option<String>,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
pub(super) struct Hold {
    #[command(subcommand)]
    pub(super) command: HoldCommand,
}

#[cfg(feature = "systems")]
#[derive(Debug, Subcommand)]
pub(super) enum HoldCommand {
    /// Place a hold; whom it is about comes from standard input
    #[command(
        after_help = "Whom it is about comes from standard input, one a line: `email: jan@example.nl`, `phone: ...`,\n\
                            `customer-number: ...`, `login: ...`, or `key: ...` for one record (with --rule). Never as an\n\
                            argument: those stand in the shell's history and in the list of processes.\n\n\
                            Example: bewaard hold add --reason \"complaint of 3 May\" --review 2027-01-01 < who.txt"
    )]
    Add {
        /// Why; kept beside the log, not in it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When somebody must look at it again (2027-01-01); `bewaard status` then says so
        #[arg(long, value_name = "DATE", value_parser = day)]
        review: chrono::NaiveDate,
        /// Who answers for it: an [actor.NAME]
        #[arg(long, value_name = "ACTOR")]
        owner: Option<String>,
        /// Only in this system
        #[arg(long, value_name = "NAME")]
        system: Option<String>,
        /// Only under this rule; needed for `key:` lines
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
    },
    /// Release a hold
    Release {
        /// Its id, as `bewaard hold list` prints it
        hold: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// An SSH signature of the controller over `hold show HOLD`
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
    },
    /// Print the text that the controller signs to release a hold
    Show {
        /// Its id
        hold: String,
    },
    /// List the holds in force
    List,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Only for a batch that `bewaard status` or `bewaard run` names: a crash left it in doubt, and looking at the system\n\
                  did not tell. Find out from the system's own backups or logs first.\n\n\
                  Example: bewaard settle batch-5b7c1f2a9d3e4f60 --as gone --reason \"the backup of 3 May lacks them\""
)]
pub(super) struct Settle {
    /// The batch, as `bewaard status` prints it
    pub(super) batch: String,
    /// What became of its records
    #[arg(long = "as", value_enum)]
    pub(super) verdict: VerdictWord,
    /// How you know
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

#[cfg(feature = "systems")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum VerdictWord {
    /// They were erased or anonymised
    Gone,
    /// They are still as they were
    Kept,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A run that is going on stops between two batches, within a second or with the batch that is in the database; every\n\
                  later run refuses (exit code 3) until a person resumes. When the log can't be written the same is done by\n\
                  an empty file `pause` in the state folder, and a single process is paused by the signal SIGUSR1.\n\n\
                  Example: bewaard pause --reason \"the import of 3 May goes wrong\""
)]
pub(super) struct Pause {
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(after_help = "Without a name it ends the pause of `bewaard pause`.\n\
                  A rule or system is frozen when bewaard met something that a person must look at: `bewaard status --why RULE`\n\
                  says what. Mend that first.\n\n\
                  Examples:\n  \
                    bewaard resume --reason \"the import is right again\"\n  \
                    bewaard resume invoices --reason \"column is back\"")]
pub(super) struct Resume {
    /// A rule: a [rule.NAME] of the policy
    #[arg(value_name = "RULE")]
    pub(super) rule: Option<String>,
    /// A system instead: a [system.NAME] of the policy
    #[arg(long, value_name = "NAME")]
    pub(super) system: Option<String>,
    /// Every rule and system, and an end to a pause
    #[arg(long)]
    pub(super) all: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

#[cfg(feature = "systems")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first line is the answer: how long the oldest record past its term has been waiting, or what is unknown.\n\
                  It ends with 0 whatever it tells.\n\nExample: bewaard status --why inactive-customers"
)]
pub(super) struct Status {
    /// Why this rule does not run, and the command that helps
    #[arg(long, value_name = "RULE")]
    pub(super) why: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bewaard generate config > bewaard.toml\n  bewaard generate schema > bewaard.schema.json"
)]
pub(super) struct Generate {
    /// What to print
    #[arg(value_enum)]
    pub(super) what: Generated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Generated {
    /// The reference configuration, every key explained
    Config,
    /// The JSON schema for editors
    Schema,
    /// The catalogue of Dutch grounds to keep
    Grounds,
    /// A file of cases for `bewaard test`
    Cases,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bewaard explain B207")]
pub(super) struct Explain {
    /// A code such as B112; without one, all of them
    pub(super) code: Option<String>,
}
