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
    CONFIG_MISSING = "B102", "the configuration file is not there",
        "bewaard reads one file, /etc/bewaard/bewaard.toml or the one named with --config, and `conf.d/*.toml` beside it. `bewaard generate config` prints a file with every key explained, to start from.";
    CONFIG_UNREADABLE = "B103", "the configuration file can't be read",
        "The system refused to open or read the file, or it is no regular file, or it is far too large to be a policy. Check its owner and mode, and as which user bewaard runs.";
    CONFIG_NOT_UTF8 = "B104", "the file is not UTF-8",
        "TOML is UTF-8. A file saved as Latin-1 or UTF-16 reads differently than it looks, so nothing of it is used. Save it as UTF-8 in the editor, or convert it: iconv -f WINDOWS-1252 -t UTF-8 old.toml.";
    CONFIG_EMPTY = "B105", "the configuration file is empty",
        "An empty policy would purge nothing and report that all is well, so it is taken for a mistake: a failed copy, a full disk, a redirection. `bewaard generate config` prints a file to start from.";
    CONFIG_OPEN = "B106", "others may write the configuration",
        "Whoever can write the policy decides what is erased. A file or a conf.d that everybody may write is refused: chmod o-w on what is named.";
    VERSION = "B107", "the version of the file is missing or not known",
        "The first key says by which version of the file's form the rest is read. This program reads version = \"v1\"; a newer file needs a newer bewaard.";
    UNKNOWN_KEY = "B108", "a key that is not known",
        "A misspelt key would silently have no effect, and in a policy of erasure that is dangerous, so every key must be known at its place. In TOML every key after a [table] line belongs to that table: keys of the top level stand above the first one.";
    WRONG_KIND = "B109", "a value of the wrong kind",
        "The key takes another kind of value: text stands between double quotes; true, false and numbers stand without; a list stands between brackets and a table between braces.";
    MISSING_KEY = "B110", "a key that must be there is not",
        "Nothing is guessed where a guess could erase something. The line that lacks is shown with an example.";
    DUPLICATE = "B111", "the same name twice",
        "A name stands twice, in one file or in two. Files are put together and none overrules another, so that nobody must know an order to know what applies. Keep one.";
    BAD_NAME = "B112", "not a name",
        "Names of systems, rules, parts, grounds and actors enter the log for ever: 1 to 64 lower-case letters, digits and single hyphens inside.";
    BAD_VALUE = "B113", "a value that can't be used",
        "The value is of the right kind, but it is none of those that the key can mean. The remedy names them.";
    LITERAL_SECRET = "B114", "a secret written in the configuration",
        "A password in a configuration file ends up in backups, version control and screen shares. Name a systemd credential, { credential = \"NAME\" } with LoadCredential= in the unit, or a file of mode 0600, { file = \"PATH\" }. A password that stood here should be changed.";
    SYSTEM_KIND = "B115", "a system of no kind, or of several",
        "A system is exactly one thing: mariadb, postgres or sqlite. Two databases are two systems.";
    UNKNOWN_SYSTEM = "B116", "a rule about a system that is not declared",
        "Each rule names a [system.NAME] of the same policy. The nearest name is offered.";
    BAD_TERM = "B117", "not a term",
        "A term is a calendar span of at least a day: numbers and units such as \"2 years\", \"18 months\", \"1 year 6 months\", \"4 weeks\", \"90 days\". A term of zero would make everything due at once.";
    BAD_WHERE = "B118", "a condition that is not allowed",
        "A `where` is one condition over the columns of one table: comparisons of a column with a literal, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL, and related(table). Functions, subqueries, arithmetic and casts are refused, for what they select can't be shown, tested again under lock and proved. The text never reaches a server: it is read, and printed again with every bracket.";
    BAD_CLOCK = "B119", "a clock that can't be read",
        "The clock is a column, or the newest of several (`since.newest`). What is no date type of the database needs a declared format: \"epoch\", \"epoch-ms\" or patterns such as \"%d-%m-%Y\". Nothing is guessed, for 03-04-2020 has two meanings.";
    UNKNOWN_GROUND = "B120", "not in the catalogue of grounds",
        "What begins with `nl.` is looked up in the shipped catalogue, which gives law, article, term and start. `bewaard generate grounds` lists it; your own words are as good where it has none.";
    AGAINST_GROUND = "B121", "a term that differs from its ground",
        "The catalogue's ground sets a shortest or a longest term, and the rule's own keep or from goes beyond it: purged too early breaks the law that it names, kept too long breaks GDPR art. 5(1)(e). Leave out keep and from to take them from the catalogue, or state the reason in words.";
    CONTRADICTION = "B122", "two keys that contradict each other",
        "Two keys say different things about the same, and choosing one would be a guess about what to erase. Remove one of them.";
    BAD_RECIPE = "B123", "a recipe that can't be used",
        "Every recipe must leave its own result as it is, so that a finished record is never found again. The remedy names the recipes and what they need.";
    BAD_PART = "B124", "parts that don't fit together",
        "Each field is written by one part at most; key columns are never anonymised, for they name the record in the log; and one part at most deletes the whole record.";
    BAD_LIMIT = "B125", "not a limit",
        "Limits stop a mistake from becoming a mass deletion: per-run paces, while share, max and change refuse the whole plan.";
    BAD_SCHEDULE = "B126", "not a schedule",
        "Five fields as cron writes them: minute, hour, day of month, month, day of week, in the policy's time zone. It must name moments that come.";
    BAD_ACTOR = "B127", "an actor that can't sign",
        "An actor's key is one line of an OpenSSH public key file, as `cat ~/.ssh/id_ed25519.pub` prints it. Never the private key.";
    TWO_TERMS = "B128", "two rules purge one table with different terms",
        "Both rules can select the same record, and the shorter term then wins without anybody having decided so. Where the conditions exclude each other this is fine; else make it one rule with two grounds, where the longest wins.";
    NEVER_EARLIER = "B129", "a part that never goes before its record",
        "All terms of these fields are as long as the record's own or longer, so the part never does anything: the record goes first. Shorten the part's term or drop it.";
    BAD_RELATION = "B130", "a related table that can't be followed",
        "A child, clock or protection names the table, its columns that refer to the record (`on`) and, where that is not the key, the record's columns (`to`): as many as there are in `on`.";
    BAD_PATH = "B131", "a path that can't be used",
        "Paths of the policy are absolute, or relative to the folder of the file that names them. State and log are two folders, neither inside the other's files.";
    BAD_KEY = "B132", "not a public key of a log",
        "A key of the log is one line as `bewaard key show` prints it (C2SP signed note): name, hash and base64, with plus signs between. The hash is checked against the key.";
    NOTHING_TO_DO = "B133", "a policy without rules",
        "There is nothing to keep or to purge. Add a [system.NAME] and a [rule.NAME]; `bewaard generate config` shows both.";
    NO_CONTROLLER = "B134", "the firm is not named",
        "The report, the register and the log's notes name the controller (GDPR art. 30(1)(a)). Add controller = \"...\" at the top.";
    CLEAR_TEXT = "B135", "a connection without encryption over the network",
        "Whoever listens on the way reads the password and the personal data. Between hosts use TLS: tls = \"system\" checks the server against the system's authorities, tls = { authority = \"PATH\" } against your own.";
    BAD_BRAKE_QUERY = "B136", "a brake's query that is not allowed",
        "A brake's own query is one SELECT that gives one number. It is read, held against a list of what may stand in it, and printed again, so that no comment and no second statement reaches the server; it runs read-only, on a connection of its own, and for at most two seconds. It may count, sum and compare over tables and views that the account may read; functions are those of the list that the remedy prints.";
    BAD_CASE = "B140", "a case that can't be judged",
        "A case names a rule, a day and the clocks of one record, and what it expects. The names are those of the rule: \"orders.created_at\", or \"last_login_at\" for the record's own columns.";
    // --- B2xx: what a live system shows ---
    UNREACHABLE = "B201", "the system can't be reached",
        "The server did not answer, or refused the connection. Its rules are not judged and nothing in it is purged; the ledger counts the system as unread. Check host, port or socket, the service itself, and the account.";
    TABLE_MISSING = "B202", "a table is not there",
        "The rule names a table that the database does not have, or that the account may not see. Names are taken letter for letter, with upper and lower case. Nothing of the rule runs until it is mended.";
    NOT_A_TABLE = "B203", "this is no table",
        "Only rows of real tables are erased: a view, a virtual or a foreign table shows rows that live elsewhere, and deleting through it does not say what really goes. Name the table that holds the rows.";
    COLUMN_MISSING = "B204", "a column is not there",
        "The rule names a column that its table does not have. Perhaps an update of the program renamed it; then read what else it changed before you approve the rule again.";
    NO_KEY = "B205", "no key names a single row",
        "bewaard erases by key, and compares each record under lock with what was planned. For that it needs a primary key, or a unique index whose columns are never NULL.";
    FLOAT_KEY = "B206", "a floating-point key",
        "Floating-point numbers are rounded on their way, so a key of them can miss its row or meet another one. Use another unique index.";
    NO_CLOCK_INDEX = "B207", "no index serves the clock",
        "Without an index on the clock each run reads the whole table. For a small table that is nothing; for a big one it is felt, so it must be accepted with `allow-scan = true`.";
    NO_REFERENCE_INDEX = "B208", "no index serves a reference",
        "Rows that belong to a record are found by the column that refers to it. Without an index on that column the whole child table is read, and on some servers locked, for each batch. A declared copy is looked for after each batch, so on a big table its column and the one it repeats need an index too, or `allow-scan = true`.";
    FK_BLOCKS = "B209", "a foreign key blocks the erasing",
        "Rows of another table refer to the records, and the database refuses to leave them behind. Name that table in `children` with what becomes of its rows, or let bewaard follow every foreign key.";
    FK_CASCADES = "B210", "a foreign key takes other rows along",
        "With the records the database would silently delete or change rows of a table that the rule does not name: nobody would see it in the plan, and no log would tell. `bewaard plan` counts them and goes no further. Name the table in `children`.";
    UNIQUE_CONFLICT = "B211", "a unique column can't get one fixed value",
        "The same text in two records breaks the unique index, so the second record could never be anonymised. A template with {key} or a pseudonym gives each record its own.";
    NULL_CONFLICT = "B212", "the column may not be NULL",
        "The recipe, or clearing a reference, writes NULL where the table forbids it, so the database would refuse every record. Write a fixed text, or delete the rows.";
    TOO_LONG = "B213", "the recipe writes more than the column holds",
        "A database in a lenient mode would cut the text off, and the record would be found and written again every night; a strict one refuses it. Use a shorter text.";
    TRIGGERS = "B214", "triggers fire when rows go",
        "A trigger runs inside the erasing transaction and may copy the very data that is erased into a history table. Read it, and give the history a rule of its own.";
    NO_TRANSACTIONS = "B215", "a table without transactions",
        "What such a table has done can't be rolled back: a crash between a child row and its record leaves half a person. Convert it (InnoDB), or accept it; then records go one at a time.";
    PARTITIONED = "B216", "the table is partitioned",
        "Rows are found and erased in whichever partition they are. On PostgreSQL `then.drop-partitions = true` drops a partition of which every record goes, each with its entry in the log; what drops partitions without us leaves no entry.";
    ROW_SECURITY = "B217", "row-level security hides rows",
        "The account does not see every row, so a plan would call a table clean that is not, and a child row that nobody sees would be left behind. Let the account see all rows.";
    VERSIONED = "B218", "the table keeps its history",
        "In a system-versioned table a deleted row stays readable in the history. Limit the history (partitions by system time, or DELETE HISTORY), or it is not erased.";
    NULL_IN_WHERE = "B219", "what NULL does here",
        "In SQL a comparison with NULL is neither true nor false. `country <> 'NL'` and `NOT vip` do not select records where the column is NULL. Add `OR column IS NULL` where they are meant.";
    LITERAL_KIND = "B220", "a literal of another kind than its column",
        "Comparing text with a number makes the server convert one of them: 'abc' becomes 0, '12x' becomes 12, and a condition selects more than was meant. Write text in quotes and numbers without.";
    LIKE_ESCAPE = "B221", "a backslash in a pattern",
        "Some engines take a backslash in LIKE for an escape and others for itself, so the same rule would select different records. Patterns use % and _ only.";
    RELATION_UNKNOWN = "B222", "no such relation",
        "A condition on related rows names a table that the rule declares as a clock, a child or a protection. That declaration says by which columns the rows belong together. Where the table is declared several times, the condition is about all of its rows; declarations by different columns, or of which each takes other rows, leave open which are meant.";
    RELATION_COLUMNS = "B223", "how the rows belong together is not clear",
        "Without `on` the one foreign key between two tables says it. Where there is none, or more than one, the referring columns must be named, as many as the columns they refer to.";
    RELATION_TYPES = "B224", "related columns of different kinds",
        "Joining text with a number makes the server convert one of them, and '7 ' or '07' then belong to record 7. Relate columns of the same kind.";
    CLOCK_TYPE = "B225", "no moment stands in this column",
        "A clock is a date, a date and time, an epoch in whole numbers, or text in a declared format. Other types hold no moment from which a term can count.";
    FIELD_NOT_WRITABLE = "B226", "this column can't be anonymised",
        "A computed column follows the columns that it is made from, and a key column names the record in other tables and in the log. Anonymise what it is made from, or delete the record.";
    CHILD_WITHOUT_KEY = "B227", "a child table without a key",
        "Rows without a key can only be deleted all together by their reference. To choose among them, to rewrite them, or to go deeper, each must have a name: a primary key.";
    TABLE_CIRCLE = "B228", "the tables below form a circle",
        "A table can't stand above itself in the tree of children: no order of deleting would be right. Clear the reference that closes the circle, or name the children one by one.";
    RECIPE_TYPE = "B229", "the recipe does not fit the column's type",
        "A recipe that writes text can't fill a column of numbers, dates or uuids: the database would refuse it, or keep something else. Use \"null\" or a fixed value of that type.";
    RIGHT_MISSING = "B230", "the account lacks a right",
        "The rule needs a right that the account does not have, so a run would stop at its first batch. `bewaard grants SYSTEM` prints exactly the statements that give it.";
    RELATION_COLLATIONS = "B231", "two columns compare texts in different ways",
        "Where one column takes JAN for jan and the other does not, a join finds other rows from one side than from the other, and a foreign key follows a third way. Which rows belong together would then be a guess. Give both columns the same collation.";
    CHILD_SHARED = "B232", "child rows that may belong to several records",
        "A row that refers to something that is not unique (a name, an address) belongs to every record that has it. It would go with the first of them and be missed by the others. Relate child rows by a unique key; rows that only repeat such a value need a rule of their own.";
    CHILD_TWICE = "B233", "child rows that are named twice",
        "The same rows of the same table stand below one record twice. Where both entries say the same, one is enough; where one deletes and the other clears, only one can come true, and the log must not tell both. Two entries for one table are right when they refer by other columns, or when their conditions tell the rows apart.";
    VALUE_ALTERED = "B234", "a value that the column keeps in another form",
        "What is in final form is recognised by being exactly what the recipe writes. Here the database keeps it otherwise: \"0\" in a column of two decimals comes back as \"0.00\". The record would never count as done, and be found and written anew at each run. The remedy gives the form in which the database keeps the value.";
    VALUE_REFUSED = "B235", "a value that the column does not take",
        "What the recipe writes is no value of the column's type, is too long or too large for it, or breaks a condition of the table, so the database would refuse it for every record. Write a value that fits, or \"null\".";
    PARTITIONS_STAY = "B236", "partitions of this table can't be dropped",
        "A partition is dropped only where that does exactly what deleting each of its records would do: it is one of a PostgreSQL table that is partitioned by ranges of the rule's own clock, no foreign key refers to its rows, no trigger or rule fires on their deletion, no publication carries them to another server, and the account owns it. Where one of these is not so, take out `then.drop-partitions`: then rows are deleted in batches.";
    ACCOUNT_LACKS_RIGHT = "B260", "the account lacks a right that a rule needs",
        "The account in the policy may not do on this table what the rule asks. The rule does not run. `bewaard grants SYSTEM` prints the exact statements for an account that may do this and nothing else; an administrator of the database runs them.";
    ACCOUNT_HAS_MORE = "B261", "the account may do more than the rules need",
        "Who steals this account's password, or finds a fault in bewaard, can do all that the account may do. Give it an account of its own with the rights that `bewaard grants SYSTEM` prints, and take the rest away.";
    SCHEMA_HIDDEN = "B262", "the account can't see the whole schema",
        "MariaDB and MySQL show foreign keys and triggers only to who has some right on the tables concerned. What is hidden can't be checked: a delete may cascade into a table that nobody here knows of. SHOW VIEW on the database makes foreign keys visible and lets nobody read or change a record. Triggers are shown to who has TRIGGER on their table; a trigger that this account made could do no more than the account itself.";
    BINLOG_STATEMENT = "B263", "the server logs its changes as statements",
        "With binlog_format = STATEMENT the isolation level that a purge needs (READ COMMITTED) is refused by InnoDB, and a replica could delete other rows than the primary did. Set binlog_format = ROW, which is the default of MySQL, or MIXED, the default of MariaDB.";
    CLUSTER_LOCK = "B264", "a cluster knows no lock for all its nodes",
        "In a Galera cluster GET_LOCK holds on one node only, so two hosts on two nodes could run at the same time. The records are safe, for each is locked and decided again; limits per run are not. Let one host run bewaard for the cluster, always through the same node.";
    SERVER_KEEPS_LOG = "B265", "the server's own log keeps what is erased",
        "A binary log or a WAL archive holds the old rows until it is dropped, and so do backups. That is what they are for. Make their term part of your policy: what is erased is only gone from there when the last of them has gone.";
    SERVER_READ_ONLY = "B267", "the server takes no writes",
        "The server is a replica, or was set read-only. Rules can be previewed there and not run. Name the primary server in the policy.";
    SERVER_LOGS_VALUES = "B268", "the server writes values to its log",
        "The server's settings make it write statements with their values, or the values alone, to a log file: keys and other personal data of every program that uses it, ours included. Switch it off, or give that file a term of its own.";
    SERVER_TOO_OLD = "B269", "the server is older than those we test with",
        "bewaard is tested with MariaDB 10.11 and PostgreSQL 15 and written for MariaDB 10.5, MySQL 8.0 and PostgreSQL 13 and later. Older servers get no fixes from their makers either. Upgrade first.";
    TRACE_WITHOUT_END = "B270", "the server keeps a trace of what is erased without an end",
        "What is erased stays readable in a log, a history or a copy that the server keeps, and no setting ends it. Who may read the server's files reads it there. Give it an end that fits your policy; `bewaard check` names the setting.";
    TRACE_UNKNOWN = "B271", "how long the server keeps a trace is not known",
        "Something of the server keeps what is erased for a time that can't be told from here: because no setting bounds it in days, because another program decides, or because the account may not see it. The remedy says what bounds it, or what would show it. Nothing is assumed in your favour.";
    TRACE_COPIES = "B272", "other servers copy this one",
        "A replica erases a row when it repeats the change, and keeps logs of its own until their own end: a relay log, a binary log, an archive. Check each replica as a server of its own; its backups count too.";
    BYTES_IN_FILE = "B273", "deleted rows are still in the file",
        "A database file does not shrink when rows go, and unless deleted rows are written over, their bytes stay readable in free pages until new rows take the place. bewaard writes over the rows that it deletes from SQLite; what other programs deleted before, and old copies of rows that SQLite moved within the file, stay until PRAGMA secure_delete = ON; VACUUM (without the pragma VACUUM itself may leave copies).";
    TEXT_INDEX = "B274", "a full-text index repeats the text",
        "A full-text index of SQLite is a table of its own with the words of the records in it. A trigger of the program usually keeps it in step; where it does not, the erased text is still found there. Name the index's content table, or rebuild the index after a purge.";
    // --- B3xx: plan and gate ---
    BRAKE_HIDDEN = "B280", "the account may not see what a brake measures",
        "A brake measures how the server bears the purge: replicas, working threads, the history list, dead rows. The server does not show this account one of these figures, so that brake can't be on. The remedy names the grant that would show it; where you don't want to give it, set the key to \"off\" and this is not told again. Brakes that can be read work all the same.";
    BRAKE_FAILED = "B281", "a brake that was asked for can't be read",
        "A query of your own, or a replica that the policy names, gives no answer. Nobody knows then whether the server bears the purge, so this brake is on until it answers. Mend the query or the replica's account, or take the key out.";
    OVER_LIMITS = "B301", "a plan is over its limits",
        "More is due than the rule's `share`, `max` or `change` allows, so nothing of it goes. A wrong rule or a wrong date looks just like this: look at `bewaard plan RULE --sample 20` first. If it is right, `bewaard approve PLAN --beyond LIMIT --reason TEXT` releases this one plan.";
    EMPTY_INTERSECTION = "B302", "a plan's records were all gone or changed when it ran",
        "The plan had records, and not one of them was still due when the run looked again. Something else purges the same table, or its clocks were all moved. `bewaard plan RULE` shows what is due now.";
    WAITING = "B303", "a plan waits for a person",
        "A rule is closed: it is new, decides otherwise than before, has looser limits, or is over them. Nothing of it goes until somebody decides, and what is due only grows older. It is told after 1, 7 and 14 days. `bewaard status --why RULE` prints the commands; a rule that is no longer wanted is taken out of the policy.";
    LIMITS_RAISED = "B304", "a limit was raised since the approval",
        "The approval was given for stricter limits than the policy has now, and a limit is what stops a mistake from becoming a mass deletion. Put the limit back, or approve the plan again; where a controller is declared, with the controller's signature.";
    // --- B4xx: log and keys ---
    LOG_WRITE = "B401", "the log can't be written",
        "A write or sync of the log failed, so nobody knows what is on the disk. Nothing is purged without a log: after an erase the process ends, and at its next start recovery settles what was in flight. Look for a full or failing disk (df, dmesg), mend it, and start again.";
    LOG_MISSING = "B402", "there is no log",
        "The folder of `log path` holds no log. Only `bewaard init` makes one, so that a lost or mistyped path never begins a second history. If there was a log, put it back from a backup; it then continues with `bewaard log continue --lost-head`.";
    LOG_EXISTS = "B403", "there is a log already",
        "`bewaard init` never writes over a log or its last head. If this log is wanted, go on with it. If it is the rest of something else, move the folder and the last head away yourself and run `bewaard init` again.";
    LAST_HEAD_LOST = "B404", "the last head is lost or damaged",
        "The state folder keeps the newest signed head, so that a cut log is noticed. Without it nobody on this host knows whether entries are missing. Run `bewaard log verify --against` with a head kept elsewhere; then `bewaard log continue --lost-head` begins a successor log that names this one.";
    LOG_CUT = "B405", "the log was cut, or an older one was put back",
        "A head that was signed knows more entries than the folder holds. Either the tail was removed, or a restored backup brought back an older state. Find the newer files. If they are lost, `bewaard log continue --lost-head` begins a successor log that says so; two histories under one name are never written.";
    LOG_FORKED = "B406", "the log is not the one that was signed",
        "A signed head of the same log has another root for the same entries, or is of another log: there are two histories. One of them was made by somebody with the signing key or from a copy of this machine. Keep both, and find out which is right before anything is purged. Then put the right one back, or begin a successor log: `bewaard log continue --lost-head`.";
    LOG_ALTERED = "B407", "entries do not give the root that was signed",
        "The root that a signed head names is computed from every byte of the entries before it. It does not fit: at least one of them was altered, moved, added or removed after it was signed. Put the file back from a backup; if that is impossible, what is left is evidence: keep it.";
    ENTRY_DAMAGED = "B408", "a line of the journal is no entry",
        "Every line is one entry in canonical form with its index, time, segment and kind. This one was written or saved by something else; an editor that adds a newline is enough. Put the file back from a backup.";
    ENTRY_ORDER = "B409", "entries are out of order",
        "Entries are numbered from 0 without a gap, and each stands in the file of its segment. Here a line is missing, doubled or moved. Put the files back from a backup.";
    FOREIGN_FILE = "B410", "a file that does not belong in the log",
        "The folder of the log holds the journal, heads, tiles and the checkpoint, and nothing else, so that nothing can hide there and every byte counts. Move the file elsewhere; editors and file managers leave such files behind.";
    TILE_DAMAGED = "B411", "a tile is not what the journal gives",
        "Tiles and bundles of entries are made from the journal for those who check a proof. This one has other bytes. The journal is the truth: `bewaard init` makes every tile again from it. Find out who wrote to it.";
    TILE_MISSING = "B412", "a tile of the published checkpoint is missing",
        "A published checkpoint promises all tiles below it; without this one nobody can check a proof. `bewaard init` makes it again from the journal. Find out who removed it.";
    CHECKPOINT_DAMAGED = "B413", "the checkpoint is none of the log's heads",
        "The file `checkpoint` is a copy of a signed head. This one is not: it was altered, or belongs to another log. `bewaard init` makes it again from the signed heads. Find out who wrote to it.";
    HEADS_DAMAGED = "B414", "the file of signed heads is damaged",
        "`heads` holds one signed head a line, in growing order, each signed together with the line before it, and every byte counts. A line is missing, altered or added. Put the file back from a backup; if there is none, `bewaard log continue --lost-head` begins a successor log.";
    LOG_KEY = "B415", "the log is signed by another key",
        "The head is not signed by the key that is trusted for this log. Either the wrong public key was given, or somebody signed the log again with a key of their own. Compare the key with what `[log] key` in the policy and a paper copy say.";
    KEY_DAMAGED = "B416", "a public key can't be read",
        "A public key has the form NAME+HASH+BASE64, where HASH checks the rest. This one was mistyped, cut or altered. Copy it again from `bewaard key show` or from your own records.";
    KEY_CHANGE = "B417", "the signing key changed without a valid proof",
        "A new signing key needs an entry that names it, a head over that entry signed by both the old key and the new, and the new key's own signature in the entry. One of them is missing or does not fit, so heads by the new key prove nothing.";
    OUTSIDE_DIFFERS = "B418", "an outside head says otherwise",
        "A head of this log that lies on another path is larger than this log, or is no beginning of it. It is never written over, because it may be the only witness of a log that was cut or put back. Nothing is purged meanwhile. Compare both with `bewaard log verify --against FILE`: if an older log was put back, put the newest one back; if it is lost, `bewaard log continue --lost-head` begins a successor log that names this one, and keeps the outside head beside its place.";
    OUTSIDE_UNREACHABLE = "B419", "an outside head can't be written",
        "The newest head could not be written to a target on another path, or what stands there is no head and is not written over. The log itself is whole and purging can go on, but who only looks at that target does not see the newest entries. Mount it, or mend its rights; the next publication tries again.";
    BATCH_OUTCOMES = "B420", "outcomes do not fit their batch",
        "Each batch is announced with the number of its records before anything is erased, and each record and part gets one final outcome. Here an outcome belongs to no open batch, stands twice, or is one too many. The entries are signed, so bewaard itself or somebody with its key wrote them: report it.";
    LOG_LINE_TOO_LONG = "B421", "an entry is too long",
        "Bundles of entries, as transparency logs have them, hold entries of at most 65,535 bytes. This one would be longer, so nothing was written. A policy with many hundreds of rules, or a hold with very many marks, must be entered in parts.";
    PROOF_INVALID = "B422", "a proof does not verify",
        "The proof of one entry consists of its line, its place, hashes on the way to the root, and a signed checkpoint. They do not fit together: the line, the proof or the checkpoint was altered, or they belong to different logs. Ask for the proof again.";
    LOG_UNREADABLE = "B423", "a file of the log can't be read",
        "The operating system refused to read a file of the log, so nothing is known about it. Read as the user that owns the log, or as root; if the disk is failing, copy what can be read first.";
    ENTRY_FORGED = "B424", "an entry that no head has signed was not written by bewaard",
        "Entries are signed in groups, and until a group is signed each of its lines bears a mark that only the holder of the signing key can make. This line has none that fits, so somebody else wrote it, and nothing is built on it: nothing is purged, and it is never signed. Keep a copy of the file as evidence; then either take the foreign lines away, or begin a successor log with `bewaard log continue --lost-head`.";
    CHECKPOINT_MISSING = "B425", "the published checkpoint is missing",
        "Every log has a file `checkpoint` from its first entry on: the newest head that was published. It was removed. `bewaard init` makes it again from the signed heads. Find out who removed it.";
    OTHER_MACHINE = "B426", "this is not the machine that the log is bound to",
        "A log is bound to its machine (machine-id, host name, product UUID, file system of the state folder), so that a clone or a restored image does not purge beside the first one. Here something differs, so everything is a preview: nothing is written and nothing is purged. If the machine was moved, renamed or restored and only this one goes on: `bewaard adopt --moved --reason TEXT`. If it is a copy and the first one goes on: `bewaard adopt --copy --reason TEXT` begins a log of its own.";
    HOLDS_LOST = "B427", "the holds can't be carried over",
        "Holds are entries under a key of their own. That key is gone, or newer entries are missing, so nobody can tell whom they were about. Put keys/ or the log back from a backup. If that can't be done, `bewaard log continue --lost-head --without-holds --reason TEXT` begins the successor log with those holds that are still known; place the others again before you approve a plan.";
    KEYS_MISSING = "B430", "the folder of keys is missing or incomplete",
        "keys/ holds the signing key and the keys of the log's commitments, each wrapped. `bewaard init` makes them once. If they were lost, put them back from a backup: without them old references stay closed and nothing can be signed. If there is none, `bewaard log continue --lost-head` begins a successor log with new keys.";
    KEY_WRAPPED = "B431", "a key can't be unwrapped",
        "The keys are encrypted under a wrapping key: a credential, a file, or keys/wrap.key. The one that was found does not open this key: it is another one, or the file was altered. Put back the pair that belongs together.";
    KEY_GONE = "B432", "a key is not there",
        "An entry or file names a key that is not in keys/. If it was destroyed, that is what was wanted: what was committed under it can't be opened any more, by anybody. If not, put keys/ back from a backup.";
    WRAP_WEAK = "B433", "the wrapping secret is too short",
        "All keys are encrypted under this secret, so it must not be guessable: at least 32 characters from a random source. `openssl rand -base64 32` makes a good one.";
    KEYS_EXIST = "B434", "there are keys already",
        "keys/ is never written over: with the old keys every old reference would be lost. If these keys are wanted, go on with them; else move the folder away yourself.";
    KEYS_WRITE = "B435", "the folder of keys can't be read or written",
        "The operating system refused to read or write a file in keys/. It must belong to the user that runs bewaard, with mode 0700. Look for a full disk, a read-only mount, or files that root left there.";
    // --- B5xx: running ---
    BEYOND_SETTLING = "B501", "a batch can't be settled by looking",
        "A batch was announced in the log, and its in-flight file is missing, altered or can't be opened, so nobody knows which records it was about. The rule is frozen. Find out from the system's own backups or logs, then say so: `bewaard settle BATCH --as gone|kept --reason TEXT`.";
    UNKNOWN_OUTCOME = "B502", "what became of some records is not known",
        "After a crash or a lost answer these records were found altered, or the system could not tell. They are not counted as purged. Look at them, then close it with `bewaard settle BATCH --as gone|kept --reason TEXT`.";
    RECORDS_REFUSED = "B503", "the system refuses some records",
        "These records are due, and the database does not let them go: a foreign key from a table that the rule does not name, a constraint on an anonymised field, a trigger that objects. They are tried again at each run and do not count against `per-run`. `bewaard check` often names the cause; the server's own log has the constraint's name.";
    FIRST_BITE = "B504", "the first records were still there after they were erased",
        "The first run after an approval purges a few records and looks for them again. They were found: something puts them back (a trigger, a synchronisation, a replica), or what was erased is not where the program reads. The rule is frozen before anything else goes. Find the cause, then `bewaard resume RULE --reason TEXT`.";
    GONE_UNEXPLAINED = "B505", "records were found gone after a crash, and nobody knows by whom",
        "A batch was interrupted, and afterwards its records were gone. Most likely they went with it, but the database keeps no note of that, so they are not counted as purges and can't be proved as ours. With `batch-table = true` under the system a row in the table `bewaard_batch` settles such a case beyond doubt (PostgreSQL mostly knows by itself). `bewaard settle BATCH --as gone --reason TEXT` closes it by a person's word.";
    CAME_BACK = "B507", "records that were purged are there again",
        "Right after they were purged these records were found by their own key, or no longer in their final form: a trigger puts them back, a synchronisation or a replica brought them, or an application wrote them again. They are not gone, whatever the log says of the moment before. Find what writes them. It stays open until somebody has looked: `bewaard resume RULE --reason TEXT`.";
    LEFT_BEHIND = "B508", "something of purged records is left elsewhere",
        "After a purge their old values or references were still found in the place that is named: a child table that the rule does not name or that got a new row, a declared copy, another record that no rule selects or protects. Add the table to `children`, or give the copy a rule of its own, and clean what is there already by hand: the old values are not kept, so it can't be looked for twice. That a later purge leaves nothing in that place says nothing of this one: it stays open until somebody has looked and says so by `bewaard resume RULE --reason TEXT`.";
    NOT_LOOKED_FOR = "B509", "purged records were not looked for again",
        "After each batch what is left of its records is looked for by other paths than the one that erased them. For these records that failed (a right is missing on a table that `copies` or a clock names, the server took too long or was away), or their old values were no longer known (the answer to the erasing was lost, or the program was killed). They were purged: only what may be left of them elsewhere is not known. `bewaard check` tells what the account lacks. It stays open until somebody has looked and says so by `bewaard resume RULE --reason TEXT`.";
    UNDO_INCOMPLETE = "B510", "some records could not be put back",
        "An undo left records out: a parent that they need is gone, a table or column changed, a trigger changed what was put back, or something newer stands in their place. Nothing newer was touched. What is kept stays kept until its day: mend the cause, for instance put the parent back, and run `bewaard undo RUN` again.";
    BRAKED = "B511", "a brake holds a run, or ended it",
        "While a reading is beyond its limit (replicas that are behind, threads that work, a backup, a full disk, the time of the day and so on: see `[brakes]` in the policy) a run waits between two batches. Any of them holds it, and none overrules another. It goes on when the reading was at or below 80 % of the limit three times in a row; after `wait` it ends with exit code 75, and the next run goes on where it was. What was purged by then is purged and in the log. `bewaard status` names the brake.";
    // --- B6xx: the host and our own files ---
    TIME_DOUBT = "B601", "doubt about the time",
        "What is due is decided by the date, so a wrong clock purges too early or nothing at all. The host's clock and the database's must agree within an hour, the clock may not stand before the log's last entry, and after two months without any entry a person must say that the clock is right: `bewaard resume --all --reason TEXT`. Until then everything is only previewed. `timedatectl` shows whether the clock is synchronised.";
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
