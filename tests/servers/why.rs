//! `plan --sql --why`: the server's own plan of the statements that find candidates, and the index that would serve.

use crate::firm::{Firm, numbers};
use crate::settled::rule;
use crate::support::servers::Kind;

on_both!(the_servers_own_plan_is_told_and_the_missing_index_can_be_pasted);

fn the_servers_own_plan_is_told_and_the_missing_index_can_be_pasted(kind: Kind) {
    let moment = if kind == Kind::Mariadb { "datetime" } else { "timestamp" };
    let numbers = numbers(kind, 500);
    let firm = Firm::new(
        kind,
        &rule("since.newest = [{ column = \"last_login\" }, { table = \"visits\", column = \"at\", on = \"customer_id\" }]")
            .replace("since.column = \"last_login\"\n", ""),
        &format!(
            "create table customers (id int primary key, last_login {moment}, email varchar(80));
             create table orders (id int primary key, customer_id int);
             create table visits (id int primary key, customer_id int, at {moment});
             insert into customers select i, timestamp '2019-05-06 10:00:00', 'k@canary.example' from {numbers};
             insert into orders select i, i from {numbers};
             insert into visits select i, i, timestamp '2019-06-07 10:00:00' from {numbers};"
        ),
    );
    let told = firm.bewaard(&["plan", "--sql", "--why"]).ends(0).out;
    assert!(!told.contains("canary"), "{told}");
    // As it stands it runs: plans and words are comments.
    firm.admin(&told);
    let json = firm.bewaard(&["plan", "--sql", "--why", "--json"]).ends(0).json();
    let why = json["statements"].as_array().unwrap().iter().find(|one| one["plan"].is_array()).unwrap().clone();
    assert_eq!(why["reached"], "whole", "{why}");
    let plan = why["plan"].to_string();
    assert!(plan.contains(if kind == Kind::Mariadb { "table r: type" } else { "Scan" }), "{plan}");
    let missing: Vec<&str> = why["missing"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(told.contains("the table is read whole, from first to last; these indexes would serve:"), "{told}");
    for index in missing {
        firm.admin(index);
    }
    let json = firm.bewaard(&["plan", "--sql", "--why", "--json"]).ends(0).json();
    let why = json["statements"].as_array().unwrap().iter().find(|one| one["plan"].is_array()).unwrap().clone();
    assert_eq!(why["missing"], serde_json::json!([]), "{why}");
}
