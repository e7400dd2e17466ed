//! A value that its column keeps in another form is told at its line by `check` and `plan`, before anything is written.

use crate::bench::Bench;

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
limits.share = "100 %"
children = [{ table = "bills", on = "customer_id", then = { anonymise = { total = { fixed = "1e2" } } } }]
then.delete = true

[rule.fields]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "1 year"
because = "test"
limits = { share = "100 %", first-bite = 0 }
then.anonymise = { credit = { fixed = "1e2" } }
"#;

const SCHEMA: &str = "
create table customers (id integer primary key, last_login text, credit decimal(10,2));
create index customers_login on customers(last_login);
create table bills (id integer primary key, customer_id integer, total decimal(10,2));
create index bills_customer on bills(customer_id);
insert into customers values (1, '2025-01-01', 7.25);
insert into bills values (1, 1, 7.25);
";

#[test]
fn a_value_that_its_column_keeps_in_another_form_is_told_at_its_line_before_anything_is_written() {
    let bench = Bench::new(RULE, SCHEMA);
    let check = bench.bewaard(&["check"]).ends(78);
    let text = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains("1e2"));
    let lines: Vec<usize> = lines.map(|(number, _)| number + 1).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert!(check.err.contains(&format!("bewaard.toml:{line}:")), "{line}: {}", check.err);
    }
    assert_eq!(check.err.matches("error[B234]").count(), 2, "{}", check.err);
    assert_eq!(check.err.matches("write \"100\"").count(), 2, "{}", check.err);
    let told = bench.bewaard(&["plan", "--json"]);
    assert!(told.out.contains("B234") || told.err.contains("B234"), "{}{}", told.out, told.err);
    assert_eq!(bench.number("select count(*) from customers join bills on credit = 7.25 and total = 7.25"), 1);
    // in the form that is named all is well, and done once
    bench.write("bewaard.toml", &text.replace("1e2", "100"));
    bench.bewaard(&["check"]).ends(0);
    bench.approve_all();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers where credit = 100"), 1);
    let plans = bench.bewaard(&["plan", "--json"]).ends(0).json()["plans"].clone();
    assert!(plans.as_array().unwrap().iter().all(|plan| plan["due"] == 0), "{plans}");
    bench.verified();
}
