//! What a server sees: the text of statements carries no value, and what it refuses with a value in its words.

use std::fs;

use crate::canaries::Canaries;
use crate::search::{Watch, none};
use crate::shop::Place;
use crate::support::servers::{Kind, Server};

/// A server that writes every statement into its log, which is in its own folder.
pub(crate) fn server(place: Place) -> Option<&'static Server> {
    let Place::Server(kind) = place else { return None };
    let settings: &[&str] = match kind {
        Kind::Mariadb => &["--general-log=1", "--general-log-file=statements"],
        Kind::Postgres => &["log_statement=all", "log_line_prefix=[%u] "],
    };
    Some(Box::leak(Box::new(Server::start_with(kind, settings))))
}

/// Values are bound: no statement that bewaard sent has one in its text. The server itself writes bound values beside
/// the text where it is told to log statements, which is its owner's choice and is told by `check`.
pub(crate) fn carry_no_value(server: &Server, canaries: &Canaries) {
    let mut texts = 0;
    let (log, ours): (_, fn(&str) -> bool) = match server.kind {
        Kind::Mariadb => (server.folder.join("data/statements"), |line| line.contains(" Prepare\t")),
        Kind::Postgres => {
            (server.folder.join("log"), |line| line.starts_with("[user_") && line.contains("LOG:  execute "))
        }
    };
    let log = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    for line in log.lines().filter(|line| ours(line)) {
        texts += 1;
        none(canaries.find(line.as_bytes()), "the text of a statement");
    }
    assert!(texts > 100, "the server logged what it was sent: {texts}");
    let bound = match server.kind {
        Kind::Mariadb => log.lines().filter(|line| line.contains(" Execute\t")).count(),
        Kind::Postgres => log.lines().filter(|line| line.contains("parameters: $1")).count(),
    };
    assert!(bound > 50, "values were bound: {bound}");
}

/// Rules over tables that refuse, each in words of the database that quote the record.
pub(crate) fn refusing(watch: &Watch<'_>) {
    let shop = watch.shop;
    let [duplicate, checked, trigger] = [12, 13, 14].map(|place| shop.members[place].clone());
    let moment = shop.moment();
    let table = |name: &str, login: &str, last: &str| {
        format!(
            "create table {name} (mail varchar(100) not null primary key, login varchar(100){login}, seen {moment}{last}); \
             create index {name}_seen on {name}(seen);"
        )
    };
    let old = "'2019-05-06 10:00:00'";
    let mut sql = table("refused_duplicate", " unique", "") + &table("refused_trigger", "", "");
    // Over two columns: what a column takes by itself is asked before, and would be a fault of the policy.
    sql += &table("refused_check", "", ", check (login <> '[weg]' or mail = 'nobody')");
    sql += &format!(
        "insert into refused_duplicate values ('{duplicate}', 'a', {old}), ('other', 'x-{duplicate}', '2026-10-01 10:00:00');
         insert into refused_check values ('{checked}', '{checked}', {old});
         insert into refused_trigger values ('{trigger}', 'a', {old});\n"
    );
    sql += &match shop.place {
        Place::Sqlite => format!(
            "create trigger refuses before delete on refused_trigger begin select raise(abort, 'not {trigger}'); end;"
        ),
        Place::Server(Kind::Mariadb) => "delimiter //\ncreate trigger refuses before delete on refused_trigger for each row begin \
            declare words varchar(128) default concat('not ', old.mail); signal sqlstate '45000' set message_text = words; end//\n"
            .into(),
        Place::Server(Kind::Postgres) => "create function refuse() returns trigger language plpgsql as $$ begin \
            raise exception 'not %', old.mail using detail = old.login; end $$; \
            create trigger refuses before delete on refused_trigger for each row execute function refuse();"
            .into(),
    };
    shop.sql(&sql);
    let mut policy = fs::read_to_string(shop.bench.file("bewaard.toml")).unwrap();
    for (name, then) in [
        ("duplicate", "then.anonymise = { login = { template = \"x-{key}\" } }"),
        ("check", "then.anonymise = { login = { fixed = \"[weg]\" } }"),
        ("trigger", "then.delete = true"),
    ] {
        policy += &format!(
            "\n[rule.refused-{name}]\nsystem = \"shop\"\nrecords.table = \"refused_{name}\"\nsince.column = \"seen\"\n\
             keep = \"2 years\"\nbecause = \"test\"\nlimits = {{ share = \"100 %\" }}\n{then}\n"
        );
    }
    shop.bench.write("bewaard.toml", &policy);
}
