//! From `init` to `log verify`: what is due, found and kept agrees with plain SQL, and so does what is left.

use crate::bench::Bench;
use crate::firm::{Firm, by_kind, numbers, system};
use crate::support::servers::{Kind, Via};

on_both!(
    the_whole_way_over_the_socket_with_the_least_rights,
    the_whole_way_over_tls_with_an_authority_of_ones_own,
    every_recipe_is_applied_once_and_recognised,
    another_authoritys_certificate_is_refused_and_nothing_is_known,
);

const RULE: &str = r#"[rule.old]
system = "shop"
records = { table = "customers", where = "role = 'customer'" }
person.email = "email"
since.newest = [{ column = "last_login" }, { table = "orders", column = "created", on = "customer_id" }]
keep = "2 years"
because = "test"
protect = [{ where = "vip = 1" }, { table = "disputes", on = "customer_id" }]
children = [
  { table = "orders", on = "customer_id", children = [{ table = "order_lines", on = "order_id" }] },
  { table = "comments", on = "customer_id", children = [{ table = "comments", on = "reply_to" }] },
  { table = "customers", on = "referred_by", then = "clear" },
  { table = "reviews", on = "customer_id", then = { anonymise = { author = "null" } } },
]
then.delete = true
limits.share = "100 %"
"#;

/// Due: role customer, no vip, no dispute, last login and newest order before 2020, which the plain SQL below says again.
fn schema(kind: Kind) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    let numbers = numbers(kind, 60);
    format!(
        "create table customers (id int primary key, email varchar(200), role varchar(20), vip int not null, \
           last_login {moment}, referred_by int, foreign key (referred_by) references customers(id));
         create index c_login on customers(last_login);
         create index c_ref on customers(referred_by);
         create table orders (id int primary key, customer_id int not null, created {moment}, \
           foreign key (customer_id) references customers(id));
         create index o_customer on orders(customer_id);
         create table order_lines (id int primary key, order_id int not null, what text, \
           foreign key (order_id) references orders(id));
         create index l_order on order_lines(order_id);
         create table comments (id int primary key, customer_id int, reply_to int, body text, \
           foreign key (customer_id) references customers(id), foreign key (reply_to) references comments(id));
         create index m_customer on comments(customer_id);
         create index m_reply on comments(reply_to);
         create table reviews (id int primary key, customer_id int, author varchar(50), stars int);
         create index r_customer on reviews(customer_id);
         create table disputes (id int primary key, customer_id int);
         create index d_customer on disputes(customer_id);
         insert into customers select i, concat('k', i, '@canary.example'), \
           case when i % 10 = 0 then 'admin' else 'customer' end, case when i % 12 = 3 then 1 else 0 end, \
           case when i % 15 = 4 then null when i % 3 = 0 then timestamp '2019-05-06 10:00:00' \
           else timestamp '2026-10-01 10:00:00' end, null from {numbers};
         update customers set referred_by = id - 1 where id % 4 = 1 and id > 1;
         insert into orders select i, i, case when i % 9 = 0 then timestamp '2026-09-01 00:00:00' \
           else timestamp '2018-01-02 00:00:00' end from {numbers};
         insert into order_lines select i, i, 'a line' from {numbers};
         insert into order_lines select 1000 + i, i, 'another' from {numbers};
         insert into comments select i, i, null, 'a word' from {numbers};
         insert into comments select 1000 + i, null, i, 'an answer' from {numbers};
         insert into comments select 2000 + i, null, 1000 + i, 'an answer to it' from {numbers};
         insert into reviews select i, i, concat('k', i), 5 from {numbers};
         insert into disputes values (1, 6);
         delete from order_lines where order_id = 4; delete from orders where id = 4;"
    )
}

/// Whom the rule is to take, in plain SQL of somebody who never saw bewaard.
const DUE: &str = "role = 'customer' and vip <> 1 and id not in (select customer_id from disputes) \
    and (last_login < '2024-11-01' or (last_login is null and id in (select customer_id from orders))) \
    and id not in (select customer_id from orders where created > '2024-11-01')";

fn the_whole_way_over_the_socket_with_the_least_rights(kind: Kind) {
    the_whole_way(kind, Via::Socket);
}

fn the_whole_way_over_tls_with_an_authority_of_ones_own(kind: Kind) {
    the_whole_way(kind, Via::Tls);
}

/// Gives an account exactly what `bewaard grants` prints, and a policy that uses it.
fn with_least_rights(firm: &Firm, via: Via) -> Bench {
    let database = &firm.database;
    let account = database.account("least");
    let bench = Bench::over(&system(database, via, &account, None), RULE);
    let printed = bench.bewaard(&["grants", "shop"]).ends(0);
    assert!(printed.out.contains("GRANT") && printed.out.contains("DELETE"), "{}", printed.out);
    firm.admin(&printed.out);
    // MariaDB shows an account without rights nothing, so the first answer is from the policy alone, and says so.
    assert_eq!(
        printed.out.contains("again: it will see more"),
        database.server.kind == Kind::Mariadb,
        "{}",
        printed.out
    );
    let exact = bench.bewaard(&["grants", "shop"]).ends(0);
    assert!(!exact.out.contains("again"), "{}", exact.out);
    firm.admin(&exact.out);
    bench
}

fn the_whole_way(kind: Kind, via: Via) {
    let firm = Firm::via(kind, via, RULE, &schema(kind));
    let bench = with_least_rights(&firm, via);
    let due = firm.count(&format!("select count(*) from customers where {DUE}"));
    let lines = firm.count(&format!(
        "select count(*) from order_lines where order_id in (select id from orders where customer_id in (select id from customers where {DUE}))"
    ));
    let referred = firm.count(&format!(
        "select count(*) from customers where referred_by in (select id from customers where {DUE}) and not ({DUE})"
    ));
    assert!(due > 5 && referred > 0, "the firm is too small: {due} due, {referred} referred");

    bench.bewaard(&["init"]).ends(0);
    let check = bench.bewaard(&["check", "--json"]).ends(0).json();
    assert_eq!(check["ok"], true, "{check}");
    let more = check["findings"].as_array().unwrap().iter().filter(|one| one["code"] == "B261").count();
    assert_eq!(more, 0, "the account has no more than it needs: {check}");

    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json()["plans"][0].clone();
    assert_eq!(plan["due"], due);
    assert_eq!(plan["of"], firm.count("select count(*) from customers"));
    assert_eq!(plan["found"], firm.count("select count(*) from customers where role = 'customer'"));
    let protected = "role = 'customer' and (vip = 1 or id in (select customer_id from disputes))";
    assert_eq!(plan["kept"]["protected"], firm.count(&format!("select count(*) from customers where {protected}")));
    assert_eq!(plan["kept"]["no-clock"], 1, "neither a login nor an order");
    assert_eq!(plan["children"]["order_lines"], lines);
    assert_eq!(plan["children"]["comments"], due * 3, "with the answers to any depth");
    let kept: u64 = plan["kept"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(plan["found"], due + kept, "everybody who is found is due or kept: {plan}");

    let customers = firm.count("select count(*) from customers");
    let orders = firm.count("select count(*) from orders");
    bench.bewaard(&["approve", plan["id"].as_str().unwrap(), "--reason", "looked"]).ends(0);
    let run = bench.bewaard(&["run", "--json"]).ends(0).json()["runs"][0].clone();
    assert_eq!((&run["erased"], &run["how"]), (&due.into(), &"done".into()), "{run}");
    assert_eq!(firm.count("select count(*) from customers"), customers - due);
    assert_eq!(firm.count(&format!("select count(*) from customers where {DUE}")), 0);
    assert_eq!(firm.count("select count(*) from orders"), orders - due);
    assert_eq!(firm.count("select count(*) from order_lines"), orders * 2 - lines);
    assert_eq!(firm.count("select count(*) from comments"), (customers - due) * 3);
    assert_eq!(firm.count("select count(*) from reviews where author is null"), due, "the review stays without author");
    assert_eq!(firm.count("select count(*) from reviews"), customers);
    let left = "select count(*) from customers where referred_by not in (select id from customers)";
    assert_eq!(firm.count(left), 0, "who was referred by them has that cleared");

    let again = bench.bewaard(&["run", "--json"]).ends(0).json()["runs"][0].clone();
    assert_eq!((&again["erased"], &again["due"]), (&0.into(), &0.into()));
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["oldest_days"], 0, "{status}");
    assert_eq!(crate::firm::outcomes(&bench), [("erased".to_string(), due)].into());
    bench.verified();
    let told = format!("{check}{plan}{run}{status}");
    assert!(!told.contains("canary"), "no value reaches an output");
}

fn another_authoritys_certificate_is_refused_and_nothing_is_known(kind: Kind) {
    let firm = Firm::via(kind, Via::WrongTls, RULE, &schema(kind));
    firm.bewaard(&["init"]).ends(0);
    let said = firm.bewaard(&["run", "--json"]);
    assert_ne!(said.code, 0, "{}", said.out);
    let status = firm.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["state"], "unknown", "{status}");
    assert_eq!(firm.count("select count(*) from customers"), 60);
}

const RECIPES: &str = r#"[rule.fields]
system = "shop"
records.table = "people"
since.column = "seen"
keep = "2 years"
because = "test"
limits.share = "100 %"
[rule.fields.then.anonymise]
phone = "null"
name = { fixed = "[verwijderd]" }
email = { template = "weg-{key}@example.invalid" }
ip = { truncate = "ip" }
postcode = { truncate = "postcode" }
born = { truncate = "year" }
login = { pseudonym = { length = 20 } }
doc = { json = { "a.phone" = "null", "a.name" = { fixed = "x" } } }
meta = { php = { phone = { fixed = "0" } } }
"#;

fn every_recipe_is_applied_once_and_recognised(kind: Kind) {
    let (moment, json) = by_kind(kind, ("datetime", "json"), ("timestamptz", "jsonb"));
    let schema = format!(
        "create table people (id int primary key, seen {moment}, phone varchar(20), name varchar(50) not null, \
           email varchar(100) unique, ip varchar(50), postcode varchar(10), born date, login varchar(40) unique, \
           doc {json}, meta text);
         create index p_seen on people(seen);
         insert into people select i, case when i % 2 = 0 then timestamp '2019-05-06 10:00:00' else timestamp '2026-10-01 10:00:00' end, \
           '0612345678', 'Jan Canary', concat('k', i, '@canary.example'), \
           case when i = 4 then '2001:db8:1234:5678::9' else '192.0.2.77' end, '1234 AB', date '1980-07-09', concat('login', i), \
           '{{\"a\": {{\"phone\": \"06\", \"name\": \"Canary\", \"n\": 1}}, \"keep\": [1, 2]}}', \
           'a:2:{{s:5:\"phone\";s:6:\"canary\";s:4:\"keep\";i:7;}}' from {};",
        numbers(kind, 20)
    );
    let firm = Firm::new(kind, RECIPES, &schema).approved();
    let run = firm.run_one(0);
    assert_eq!(run["anonymised"], 10, "{run}");
    let done = "phone is null and name = '[verwijderd]' and email = concat('weg-', id, '@example.invalid') \
        and ip in ('192.0.2.0', '2001:db8:1234::') and postcode = '1234' and born = '1980-01-01' \
        and login not like 'login%' and length(login) = 20 \
        and meta = 'a:2:{s:5:\"phone\";s:1:\"0\";s:4:\"keep\";i:7;}'";
    let line = firm.admin("select * from people where id = 2");
    assert_eq!(firm.count(&format!("select count(*) from people where {done}")), 10, "{line}");
    assert_eq!(firm.count("select count(distinct login) from people"), 20);
    let json = by_kind(
        kind,
        "json_value(doc, '$.a.name') = 'x' and json_extract(doc, '$.a.phone') = 'null' and json_extract(doc, '$.keep[1]') = 2",
        "doc #>> '{a,name}' = 'x' and doc #> '{a,phone}' = 'null' and doc #>> '{keep,1}' = '2'",
    );
    assert_eq!(firm.count(&format!("select count(*) from people where {json}")), 10, "{line}");
    assert_eq!(firm.count("select count(*) from people where name = 'Jan Canary' and phone = '0612345678'"), 10);
    let again = firm.run_one(0);
    assert_eq!((&again["anonymised"], &again["due"]), (&0.into(), &0.into()), "what is anonymised is not found again");
    assert_eq!(firm.outcomes(), [("anonymised".to_string(), 10)].into());
    firm.verified();
}
