//! The released binary on the same data.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::data::DATABASE;
use crate::machine::watched;
use crate::support::servers::{Kind, Server};

/// How one run went.
pub(crate) struct Ran {
    pub(crate) took: Duration,
    /// The most memory that it had, in KiB.
    pub(crate) memory: u64,
    /// Its folder, with the log.
    pub(crate) bench: Bench,
}

/// What `[system.shop]` says: at the pace of a maintenance window, as the peers go.
pub(crate) fn system(server: &Server) -> String {
    let folder = server.folder.display();
    let place = match server.kind {
        Kind::Mariadb => {
            format!("mariadb = {{ socket = \"{folder}/sock\", database = \"{DATABASE}\", user = \"root\" }}")
        }
        Kind::Postgres => {
            format!(
                "postgres = {{ socket = \"{folder}\", port = {}, database = \"{DATABASE}\", user = \"postgres\" }}",
                server.port
            )
        }
    };
    format!("{place}\nbrakes.pace = \"fast\"")
}

/// A rule over this table; `more` is what becomes of its records.
pub(crate) fn rule(table: &str, more: &str) -> String {
    format!(
        "[rule.old]\nsystem = \"shop\"\nrecords.table = \"{table}\"\nsince.column = \"last_seen\"\nkeep = \"2 years\"\n\
         because = \"benchmark\"\nallow-scan = true\nlimits = {{ per-run = 100_000_000, share = \"100 %\", first-bite = 0 }}\n{more}\n"
    )
}

/// Approves, then times `bewaard run`, which must purge so many.
pub(crate) fn run(system: &str, rule: &str, prepare: &dyn Fn(&Bench)) -> Ran {
    let bench = Bench::over(system, rule);
    prepare(&bench);
    bench.approve_all();
    let begun = Instant::now();
    let mut command = bench.command(&["run", "--json"]);
    let out = std::fs::File::create(bench.file("run.json")).unwrap();
    let child = command.stdout(out).stderr(Stdio::inherit()).spawn().unwrap();
    let (took, memory) = watched(child, begun);
    Ran { took, memory, bench }
}

impl Ran {
    /// How many pairs it says that it purged.
    pub(crate) fn purged(&self) -> u64 {
        let text = std::fs::read_to_string(self.bench.file("run.json")).unwrap();
        let said: serde_json::Value = serde_json::from_str(&text).unwrap();
        let count = |word: &str| said["runs"][0][word].as_u64().unwrap_or(0);
        count("erased") + count("anonymised")
    }
}
