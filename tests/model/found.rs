//! What the model found, each in its smallest form.

use crate::bench::Bench;
use crate::engines::over;
use crate::support::servers::{Database, Kind};

fn rule(more: &str) -> String {
    format!(
        "[rule.old]\nsystem = \"shop\"\nsince.column = \"seen\"\nbecause = \"test\"\n\
         limits = {{ share = \"100 %\", first-bite = 0 }}\n{more}"
    )
}

#[test]
fn fields_of_a_record_that_one_below_keeps_are_anonymised_in_time() {
    let parts = "records = \"members\"\nchildren = [{ table = \"members\", on = \"above\" }]\n\
                 [rule.old.part.contact]\nkeep = \"1 year\"\nthen.anonymise = { phone = \"null\" }\n\
                 [rule.old.part.whole]\nkeep = \"2 years\"\nthen.delete = true\n";
    let schema = "create table members (id integer primary key, seen text, phone text, above integer);
                  create index members_above on members(above);
                  insert into members values (1, '2015-01-01', '06', null), (2, '2090-01-01', '07', 1);";
    let bench = Bench::new(&rule(parts), schema);
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    let told = &run["runs"][0];
    assert_eq!((&told["due"], &told["anonymised"], &told["changed"]), (&1.into(), &1.into(), &0.into()), "{told}");
    assert_eq!(bench.number("select count(*) from members where phone is null"), 1);
    bench.verified();
}

#[test]
fn a_record_that_goes_is_not_counted_as_a_row_that_changes_with_another() {
    for key in ["id", "no"] {
        let keys = format!(
            "records = {{ table = \"members\", key = [\"{key}\"] }}\n\
             children = [{{ table = \"members\", on = \"above\", then = \"clear\" }}]\n\
             keep = \"2 years\"\nthen.delete = true\n"
        );
        let schema = "create table members (id integer primary key, no integer not null unique, seen text, above integer);
                      create index members_above on members(above);
                      insert into members values (1, 1, '2015-01-01', null), (2, 2, '2015-01-01', 1), (3, 3, '2090-01-01', 1);";
        let bench = Bench::new(&rule(&keys), schema);
        bench.bewaard(&["init"]).ends(0);
        let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
        assert_eq!(plan["plans"][0]["due"], 2);
        assert_eq!(
            plan["plans"][0]["children"],
            serde_json::json!({ "members": 1 }),
            "only the third stays and changes"
        );
    }
}

#[test]
fn an_empty_address_that_others_have_too_is_nothing_that_is_left() {
    let keys = "records = { table = \"members\", where = \"kind = 'a'\" }\nperson = { email = \"email\" }\n\
                keep = \"2 years\"\nthen.delete = true\n";
    let schema = "create table members (id integer primary key, seen text, kind text, email text);
                  insert into members values (1, '2015-01-01', 'a', ''), (2, '2015-01-01', 'a', ' '),
                    (3, '2015-01-01', 'a', 'x@x.nl'), (4, '2015-01-01', 'b', ''), (5, '2015-01-01', 'b', ' ');";
    let bench = Bench::new(&rule(keys), schema);
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["left_behind"], serde_json::json!({}));
    assert_eq!(bench.number("select count(*) from members"), 2);
}

#[test]
fn a_date_without_a_month_among_others_keeps_its_record_on_mariadb() {
    let keys = "records = \"members\"\nsince.newest = [{ table = \"orders\", column = \"day\", on = \"member\" }]\n\
                keep = \"2 years\"\nthen.delete = true\n";
    let policy = rule(keys).replace("since.column = \"seen\"\n", "");
    let database = Database::new(Kind::Mariadb);
    database.admin(
        "create table members (id bigint primary key);
         create table orders (id bigint primary key, member bigint, day date, key (member));
         insert into members values (1), (2), (3), (4);
         insert into orders values (1, 1, '2020-06-01'), (2, 1, '2020-00-00'), (3, 2, '2020-06-01'), (4, 2, '0000-00-00'),
           (5, 3, '2020-06-01'), (6, 3, '1969-05-05'), (7, 3, '0000-00-00'), (8, 4, '2020-00-00'), (9, 4, '0000-00-00');",
    );
    let bench = Bench::over(&over(&database), &policy);
    bench.bewaard(&["init"]).ends(0);
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    let plan = &plan["plans"][0];
    assert_eq!(plan["due"], 1, "only the second: {plan}");
    assert_eq!((&plan["kept"]["partial-date"], &plan["kept"]["implausible-date"]), (&2.into(), &1.into()), "{plan}");
}

#[test]
fn a_record_above_another_that_the_database_refuses_is_told_and_not_called_changed() {
    let parts = "records = \"members\"\nkeep = \"2 years\"\nthen.delete = true\n\
                 children = [{ table = \"members\", on = \"above\" }]\n";
    let schema = "create table members (id integer primary key, seen text, above integer references members(id));
                  create index members_above on members(above);
                  create table letters (id integer primary key, member integer);
                  create index letters_member on letters(member);
                  create trigger keeps before delete on members when exists (select 1 from letters where member = old.id)
                    begin select raise(abort, 'no'); end;
                  insert into members values (1, '2015-01-01', null), (2, '2016-01-01', 1), (3, '2017-01-01', null);
                  insert into letters values (1, 1);";
    let bench = Bench::new(&rule(parts), schema);
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(1).json();
    let told = &run["runs"][0];
    assert_eq!((&told["erased"], &told["failed"], &told["changed"]), (&2.into(), &1.into(), &0.into()), "{told}");
    assert_eq!(bench.number("select count(*) from members where id = 1"), 1);
    bench.verified();
}
