//! The one rule of many tests, and the customers that it is about.

/// Deletes customers of an old login.
pub(crate) const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
person.email = "email"
since.column = "last_login"
keep = "2 years"
because = "test"
then.delete = true
limits.share = "100 %"
"#;

/// So many customers; those with an even id are old.
pub(crate) fn customers(count: u64) -> String {
    customers_where(count, "i % 2 = 0")
}

/// So many customers; those for whose id `i` this is true are old.
pub(crate) fn customers_where(count: u64, old: &str) -> String {
    format!(
        "create table customers (id integer primary key, email text, last_login text);
         create index customers_login on customers(last_login);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})
         insert into customers select i, 'k' || i || '@canary.example',
           case when {old} then '2019-05-06' else '2026-10-01' end from n;"
    )
}
