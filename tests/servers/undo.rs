//! What a run took comes back to the byte on real servers: every type that untidy databases have, lost answers, rights.

use crate::firm::{Firm, by_kind};
use crate::proxy::{Cut, Proxy};
use crate::support::servers::Kind;

on_both!(
    rows_of_every_type_come_back_to_the_byte,
    children_references_and_fields_come_back_to_the_byte,
    an_undo_whose_answer_was_lost_is_settled_and_told_truly,
    a_kill_at_any_point_of_an_undo_ends_in_one_answer_that_is_true,
    the_account_gets_the_right_to_put_back_only_where_a_rule_has_a_window,
);

fn rule(name: &str, records: &str, rest: &str) -> String {
    format!(
        "[rule.{name}]\nsystem = \"shop\"\nrecords.table = \"{records}\"\nsince.column = \"seen\"\nkeep = \"2 years\"\n\
         because = \"test\"\nundo = \"7 days\"\nlimits = {{ share = \"100 %\", first-bite = 0 }}\n{rest}\n"
    )
}

/// A table with every type, and two old rows: one full of odd values, one of NULL.
fn every_type(kind: Kind) -> &'static str {
    by_kind(
        kind,
        r#"create table kinds (id bigint unsigned auto_increment primary key, seen datetime not null, i tinyint, u bigint unsigned,
            d decimal(30,10), f float, g double, c char(5), v varchar(40), l varchar(20) character set latin1, t text,
            b varbinary(20), bl blob, bi bit(10), y year, da date, dt datetime(6), ts timestamp(6) null, ti time(6),
            e enum('a','b'), s set('x','y','z'), j json, uu uuid, ip inet6, po point, twice bigint generated always as (i * 2) stored,
            moved timestamp not null default '2020-01-01 00:00:00' on update current_timestamp, index (seen));
          set sql_mode = '';
          insert into kinds (id, seen, i, u, d, f, g, c, v, l, t, b, bl, bi, y, da, dt, ts, ti, e, s, j, uu, ip, po)
          values (18446744073709551610, '2019-01-01', -128, 18446744073709551615, -12345678901234567890.0123456789, 0.1, 1.7976931348623157e308,
            'a ', 'Canary 🦊 ''\\', 'é', '', x'00ff', x'', b'1000000001', 1901, '0000-00-00', '2020-00-00 00:00:00',
            '2038-01-19 03:14:07.000001', '-838:59:58.999999', 'b', 'x,z', '{"a": 1}', '0188e4f0-0000-7000-8000-0000000000aa', '::1',
            ST_GeomFromText('POINT(1 2)', 4326)),
          (7, '2019-01-02', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
            null, null, null, null, null);"#,
        r#"create type mood as enum ('sad', 'glad'); create domain short as varchar(5); create type pair as (a int, b text);
          create table kinds (id bigint generated always as identity primary key, seen timestamp not null, i smallint, d numeric(30,10), f real,
            g double precision, c char(5), v varchar(40), t text, b bytea, bi bit(10), vb bit varying(20), da date, dt timestamp, ts timestamptz, ti time,
            tz timetz, iv interval, bo boolean, m mood, sh short, p pair, j json, jb jsonb, uu uuid, ip inet, ci cidr, mac macaddr, a int[], ta text[],
            r int4range, mo money, x xml, tv tsvector, po point, na name, twice int generated always as (i * 2) stored);
          create index on kinds (seen);
          insert into kinds (id, seen, i, d, f, g, c, v, t, b, bi, vb, da, dt, ts, ti, tz, iv, bo, m, sh, p, j, jb, uu, ip, ci, mac, a, ta, r, mo, x, tv, po, na)
          overriding system value values (99, '2019-01-01', -32768, 12345678901234567890.0123456789, 0.1, 'NaN', 'a ', 'Canary 🦊 ''\', '',
            '\x00ff', B'1000000001', B'101', '4713-01-01 BC', 'infinity', '2020-06-01 12:00:00.000001+02', '24:00:00', '12:00+05:30',
            '1 year 2 days 03:04:05.678', true, 'glad', 'abcde', row(1, 'x,"y'), '{"b":1,  "a": [2]}', '{"b": 1}', '0188e4f0-0000-7000-8000-0000000000aa',
            '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '{{1,2},{3,null}}', '{"a,b",null,"\"q\""}', '[1,5)', '-12.34', '<a>b</a>', 'fat:1A cat:2',
            '(1.5,-2)', 'naam'), (7, '2019-01-02', null, null, '-Infinity', '-0', null, null, null, null, null, null, null, null, null, null, null, null, null,
            null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);"#,
    )
}

fn dump(firm: &Firm, tables: &[&str]) -> String {
    let mut out = String::new();
    for table in tables {
        out += &match firm.kind() {
            Kind::Mariadb => {
                let ask = format!(
                    "select group_concat(concat('coalesce(hex(`', column_name, '`), ''null'')') order by ordinal_position separator ', '' '', ') \
                     from information_schema.columns where table_schema = database() and table_name = '{table}'"
                );
                let columns = firm.admin(&format!("set session group_concat_max_len = 100000; {ask}"));
                firm.admin(&format!("select concat({columns}) from {table} order by 1"))
            }
            Kind::Postgres => firm.admin(&format!("select whole::text from {table} whole order by 1")),
        };
        out.push('\n');
    }
    assert!(!out.trim().is_empty());
    out
}

fn last_run(firm: &Firm) -> String {
    firm.entries("run-started").last().unwrap()["run"].as_str().unwrap().to_string()
}

fn rows_of_every_type_come_back_to_the_byte(kind: Kind) {
    let firm = Firm::new(kind, &rule("kinds", "kinds", "then.delete = true"), every_type(kind)).approved();
    let before = dump(&firm, &["kinds"]);
    firm.run_one(0);
    assert_eq!(firm.count("select count(*) from kinds"), 0);
    let done = firm.bewaard(&["undo", &last_run(&firm), "--json", "--reason", "x"]).ends(0).json();
    assert_eq!(done["restored"], 2, "{done}");
    assert_eq!(dump(&firm, &["kinds"]), before);
    let next = by_kind(kind, "select 1", "insert into kinds (seen) values ('2026-10-01')");
    firm.admin(next);
    firm.verified();
}

const TREE: &str = r#"children = [
  { table = "orders", on = "customer_id", children = [{ table = "order_lines", on = "order_id", children = [{ table = "serials", on = "line_id" }] }] },
  { table = "people", on = "parent" },
  { table = "notes", on = "customer_id", then = "clear" },
  { table = "people", on = "favourite", then = "clear" },
]
then.delete = true
[rule.fields]
system = "shop"
records.table = "contacts"
since.column = "seen"
because = "test"
undo = "1 week"
limits = { share = "100 %", first-bite = 0 }
[rule.fields.part.phone]
keep = "2 years"
then.anonymise = { phone = "null", doc = { json = { "a.b" = "null" } } }
[rule.fields.part.meta]
keep = "3 years"
then.anonymise = { meta = { php = { phone = "null" } }, name = { fixed = "[removed]" } }"#;

fn tree(kind: Kind) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    let moved =
        by_kind(kind, ", moved timestamp not null default '2020-01-01 00:00:00' on update current_timestamp", "");
    format!(
        "create table people (id int primary key, seen {moment}, parent int references people(id), favourite int, foreign key (parent) references people(id));
         create index p_seen on people(seen); create index p_parent on people(parent); create index p_fav on people(favourite);
         create table orders (id int primary key, customer_id int not null, foreign key (customer_id) references people(id));
         create index o_c on orders(customer_id);
         create table order_lines (id int primary key, order_id int not null, foreign key (order_id) references orders(id));
         create index l_o on order_lines(order_id);
         create table serials (line_id int not null, code varchar(20), foreign key (line_id) references order_lines(id));
         create index s_l on serials(line_id);
         create table notes (id int primary key, customer_id int, words varchar(40){moved}, foreign key (customer_id) references people(id));
         create index n_c on notes(customer_id);
         create table contacts (id int primary key, seen {moment}, phone varchar(20), doc text, meta text, name varchar(20){moved});
         create index c_seen on contacts(seen);
         insert into people values (1, '2019-01-01', null, null), (2, '2019-01-01', 1, null), (3, '2019-01-01', 2, null), (4, '2019-01-01', 4, null), (5, '2026-10-01', null, null);
         update people set favourite = 3 where id in (1, 5);
         insert into orders values (1, 1), (2, 3), (3, 5); insert into order_lines values (1, 1), (2, 1), (3, 2), (4, 3);
         insert into serials values (1, 'A'), (1, 'A'), (2, null), (3, 'B'), (4, 'C');
         insert into notes (id, customer_id, words) values (1, 1, 'Canary'), (2, 5, 'x'), (3, null, 'y');
         insert into contacts (id, seen, phone, doc, meta, name) values
           (1, '2019-01-01', '06', '{{\"a\": {{\"b\": \"06\",  \"c\": 1}}}}', 'a:2:{{s:5:\"phone\";s:2:\"06\";s:4:\"naam\";s:3:\"Jan\";}}', 'Jan'),
           (2, '2024-01-01', '07', null, 'a:0:{{}}', 'Piet'), (3, '2026-10-01', '08', null, null, 'Stays');"
    )
}

const TABLES: [&str; 6] = ["people", "orders", "order_lines", "serials", "notes", "contacts"];

fn children_references_and_fields_come_back_to_the_byte(kind: Kind) {
    let firm = Firm::new(kind, &rule("people", "people", TREE), &tree(kind)).approved();
    let before = dump(&firm, &TABLES);
    firm.bewaard(&["run"]).ends(0);
    assert_eq!(firm.count("select count(*) from people"), 1);
    assert_eq!(firm.count("select count(*) from contacts where phone is null"), 2);
    let runs = firm.entries("run-started");
    assert_eq!(runs.len(), 2);
    for run in &runs {
        firm.bewaard(&["undo", run["run"].as_str().unwrap(), "--json", "--reason", "x"]).ends(0);
    }
    assert_eq!(dump(&firm, &TABLES), before);
    firm.verified();
}

fn an_undo_whose_answer_was_lost_is_settled_and_told_truly(kind: Kind) {
    for cut in [Cut::BeforeCommit, Cut::BeforeAnswer] {
        let proxy = Proxy::before(kind.shared().port);
        let firm = Firm::behind(kind, proxy.port, &rule("people", "people", TREE), &tree(kind)).approved();
        let before = dump(&firm, &TABLES[..5]);
        firm.bewaard(&["run", "people"]).ends(0);
        let run = last_run(&firm);
        proxy.cut(cut, false);
        let said = firm.bewaard(&["undo", &run, "--json", "--reason", "x"]);
        assert_eq!(proxy.cuts(), 1, "{cut:?}: {}{}", said.out, said.err);
        let happened = cut == Cut::BeforeAnswer;
        let word = if happened { "restored" } else { "failed" };
        assert_eq!(said.json()[word], 4, "{cut:?}: {}{}", said.out, said.err);
        assert_eq!(dump(&firm, &TABLES[..5]) == before, happened, "{cut:?}");
        firm.bewaard(&["undo", &run, "--json", "--reason", "x"]).ends(0);
        assert_eq!(dump(&firm, &TABLES[..5]), before, "{cut:?}");
        firm.verified();
    }
}

fn a_kill_at_any_point_of_an_undo_ends_in_one_answer_that_is_true(kind: Kind) {
    for point in ["undo-intended", "undo-statements", "undo-before-commit", "undo-after-commit", "undo-recorded"] {
        let firm = Firm::new(kind, &rule("people", "people", TREE), &tree(kind)).approved();
        let before = dump(&firm, &TABLES[..5]);
        firm.bewaard(&["run", "people"]).ends(0);
        let run = last_run(&firm);
        let args = ["undo", &run, "--reason", "x"];
        let killed = firm.command(&args).env("BEWAARD_CRASH_AT", point).output().unwrap();
        assert!(!killed.status.success(), "{point}");
        firm.bewaard(&["run", "people"]).ends(0);
        let happened = ["undo-after-commit", "undo-recorded"].contains(&point);
        assert_eq!(dump(&firm, &TABLES[..5]) == before, happened, "{point}");
        let answers = firm.entries("restored");
        assert_eq!(answers.len(), 4, "{point}");
        let word = if happened { "restored" } else { "failed" };
        assert!(answers.iter().all(|answer| answer["result"] == word), "{point}");
        firm.bewaard(&["undo", &run, "--json", "--reason", "x"]).ends(0);
        assert_eq!(dump(&firm, &TABLES[..5]), before, "{point}");
        firm.verified();
    }
}

fn the_account_gets_the_right_to_put_back_only_where_a_rule_has_a_window(kind: Kind) {
    let policy = rule("people", "people", TREE);
    let firm = Firm::new(kind, &policy, &tree(kind));
    let grants = |firm: &Firm| firm.bewaard(&["grants", "shop"]).ends(0).out;
    let of = |text: &str, table: &str| {
        text.lines()
            .find(|line| line.contains(table) && line.contains("DELETE"))
            .is_some_and(|line| line.contains("INSERT"))
    };
    let with = grants(&firm);
    for table in ["people", "orders", "order_lines", "serials"] {
        assert!(of(&with, table), "{table}: {with}");
    }
    assert!(!with.lines().any(|line| line.contains("contacts") && line.contains("INSERT")), "{with}");
    firm.change_policy("undo = \"7 days\"\n", "");
    assert!(!grants(&firm).contains("INSERT"));
}
