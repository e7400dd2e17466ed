//! What is PostgreSQL's own.

use bewaard::connect::sql::catalogue::{OnDelete, TableKind, TypeClass};
use bewaard::connect::sql::engine::{FaultKind, Statement};
use bewaard::domain::selection::TableName;
use bewaard::domain::value::Scalar;

use crate::support::servers::{Database, Kind, Via};
use crate::{engine, engine_for, explain, found_again, need, rows, session, table, text};

#[tokio::test]
async fn every_type_is_read_and_found_again_from_its_index() {
    let database = Database::new(Kind::Postgres);
    database.admin(
        "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad', 'ok', 'so so'); CREATE DOMAIN short AS varchar(9); \
         CREATE TABLE every (id int PRIMARY KEY, sm int2, big int8, num numeric(30,4), free numeric, flt float8, \
           flag bool, txt text, vc varchar(20), ch char(8), dom short, ct citext, by bytea, uid uuid, ip inet, \
           day date, ts timestamp, tz timestamptz, tm time, iv interval, en mood, bits bit(12), doc jsonb, arr int[]); \
         INSERT INTO every SELECT n, n, 9223372036854775807 - n, 12345678901234567890123456.0001 + n, n / 8.0, n / 7.0::float8, \
           NULL, 'é''\\😀' || n, 'v' || n, 'c' || n, 'd' || n, 'C' || n, decode('00ff80', 'hex') || int4send(n), gen_random_uuid(), \
           ('10.0.0.' || n)::inet, date '2000-01-01' + n, timestamp '2000-01-01 10:00:00.000001' + n * interval '1 hour', \
           timestamptz '2010-01-01 10:00:00.5+00' + n * interval '1 hour', time '00:00' + n * interval '100 seconds', \
           n * interval '1 hour', NULL, n::bit(12), jsonb_build_object('a', n), ARRAY[n, 2] FROM generate_series(1, 120) n; \
         UPDATE every SET flag = true, en = 'so so' WHERE id = 7; UPDATE every SET flag = false, en = 'ok' WHERE id = 8; \
         DO $$ DECLARE c text; BEGIN FOREACH c IN ARRAY ARRAY['sm','big','num','free','txt','vc','ch','dom','ct','by','uid','ip', \
           'day','ts','tz','tm','iv','bits','doc','arr'] LOOP EXECUTE format('CREATE INDEX k_%s ON every (%s)', c, c); END LOOP; END $$; \
         ANALYZE every;",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    one.execute(&Statement::plain("SET enable_seqscan = off")).await.unwrap();
    let every = table(&*engine, &mut *one, "every").await;
    for (name, class, first) in [
        ("sm", TypeClass::Integer, "1"),
        ("big", TypeClass::Integer, "9223372036854775687"),
        ("num", TypeClass::Decimal, "12345678901234567890123457.0001"),
        ("free", TypeClass::Decimal, "0.12500000000000000000"),
        ("txt", TypeClass::Text, "é'\\😀1"),
        ("vc", TypeClass::Text, "v1"),
        ("ch", TypeClass::Text, "c1"),
        ("dom", TypeClass::Text, "d1"),
        ("ct", TypeClass::Text, "C1"),
        ("by", TypeClass::Binary, "0x00ff8000000001"),
        ("ip", TypeClass::Other, "10.0.0.1/32"),
        ("day", TypeClass::Date, "2000-01-02"),
        ("ts", TypeClass::DateTime, "2000-01-01 11:00:00.000001"),
        ("tz", TypeClass::Moment, "2010-01-01 11:00:00.5+00"),
        ("tm", TypeClass::Time, "00:01:40"),
        ("iv", TypeClass::Other, "PT1H"),
        ("bits", TypeClass::Other, "000000000001"),
        ("doc", TypeClass::Json, "{\"a\": 1}"),
        ("arr", TypeClass::Other, "{1,2}"),
    ] {
        let column = every.column(name).unwrap();
        assert_eq!(column.class, class, "{name}");
        let read = found_again(&*engine, &mut *one, &every, column, Some(&format!("k_{name}"))).await;
        assert_eq!((read.len(), read[0].show().as_str()), (120, first), "{name}");
    }
    found_again(&*engine, &mut *one, &every, every.column("uid").unwrap(), Some("k_uid")).await;
    found_again(&*engine, &mut *one, &every, every.column("flt").unwrap(), None).await;
    let length = |name: &str| every.column(name).unwrap().max_chars;
    assert_eq!((length("vc"), length("ch"), length("dom"), length("txt")), (Some(20), Some(8), Some(9), None));
    database.admin("DELETE FROM every WHERE id NOT IN (7, 8)");
    let flags = found_again(&*engine, &mut *one, &every, every.column("flag").unwrap(), None).await;
    assert_eq!(flags, [Scalar::Int(0), Scalar::Int(1)]);
    let moods = found_again(&*engine, &mut *one, &every, every.column("en").unwrap(), None).await;
    assert_eq!(moods, [text("ok"), text("so so")]);
}

#[tokio::test]
async fn infinite_and_ancient_moments_are_read_as_they_are() {
    let database = Database::new(Kind::Postgres);
    database.admin(
        "CREATE TABLE z (id int, ts timestamptz); \
         INSERT INTO z VALUES (1, 'infinity'), (2, '-infinity'), (3, '0044-03-15 12:00:00+00 BC')",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let z = table(&*engine, &mut *one, "z").await;
    let read = found_again(&*engine, &mut *one, &z, z.column("ts").unwrap(), None).await;
    assert_eq!(read, [text("-infinity"), text("0044-03-15 12:00:00+00 BC"), text("infinity")]);
}

#[tokio::test]
async fn a_value_is_never_cut_to_another_rows() {
    let database = Database::new(Kind::Postgres);
    database.admin(
        "CREATE TABLE n (v varchar(3), c char(3), d numeric(10,2), day date, i int); \
         INSERT INTO n VALUES ('abc', 'abc', 1.01, '2024-01-01', 5)",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let n = table(&*engine, &mut *one, "n").await;
    for (name, longer, exact) in [
        ("v", "abcdef", "abc"),
        ("c", "abcdef", "abc"),
        ("d", "1.009", "1.01"),
        ("day", "2024-01-01 10:00", "2024-01-01"),
        ("i", "4294967301", "5"),
    ] {
        let statement =
            format!("SELECT count(*) FROM n WHERE {name} = {}", engine.dialect().bound(1, n.column(name).unwrap()));
        for (value, expected) in [(longer, 0), (exact, 1)] {
            let values = vec![text(value)];
            let count = one.rows(&Statement { text: statement.clone(), values }).await.unwrap();
            assert_eq!(count, [[Scalar::Int(expected)]], "{name} {value}");
        }
    }
    let bound = engine.dialect().bound(1, n.column("i").unwrap());
    let odd = Statement { text: format!("SELECT 1 FROM n WHERE i = {bound}"), values: vec![text("5abc")] };
    assert_eq!(one.rows(&odd).await.unwrap_err().kind, FaultKind::Constraint);
}

#[tokio::test]
async fn composite_keys_are_served_from_the_index() {
    let database = Database::new(Kind::Postgres);
    database.admin(
        "CREATE TABLE p (u int, v varchar(20), w numeric(10,2), x int, PRIMARY KEY (u, v, w)); \
         INSERT INTO p SELECT n % 100, 'v' || n, n, n FROM generate_series(1, 20000) n; ANALYZE p;",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let p = table(&*engine, &mut *one, "p").await;
    let dialect = engine.dialect();
    let columns: Vec<_> = ["u", "v", "w"].iter().map(|n| (dialect.name(n), p.column(n).unwrap())).collect();
    let keys: Vec<Scalar> =
        (1..=500).flat_map(|n| [Scalar::Int(n % 100), text(&format!("v{n}")), text(&format!("{n}.00"))]).collect();
    let picked = format!("SELECT x FROM p WHERE {} {}", dialect.key_in(&columns, 500, 1), dialect.lock());
    let found = one.rows(&Statement { text: picked.clone(), values: keys.clone() }).await.unwrap();
    assert_eq!(found.len(), 500);
    let plan = explain(&mut *one, &picked, keys).await;
    assert!(plan.contains("p_pkey") && !plan.contains("Seq Scan"), "{}", &plan[..plan.len().min(300)]);
    let after = format!("SELECT u FROM p WHERE {} ORDER BY u, v, w LIMIT 10", dialect.key_after(&columns, 1));
    let from = vec![Scalar::Int(50), text("v150"), text("150.00")];
    assert_eq!(one.rows(&Statement { text: after.clone(), values: from.clone() }).await.unwrap().len(), 10);
    let plan = explain(&mut *one, &after, from).await;
    assert!(plan.contains("Index Cond: (ROW("), "{plan}");
}

#[tokio::test]
async fn the_catalogue_tells_keys_triggers_partitions_and_row_security() {
    let database = Database::new(Kind::Postgres);
    database.admin(
        "CREATE TABLE p (id int PRIMARY KEY, mail varchar(50) NOT NULL UNIQUE, opt text UNIQUE, a int, b int, \
           low text GENERATED ALWAYS AS (lower(mail)) STORED); \
         CREATE UNIQUE INDEX partial ON p (a) WHERE b > 1; CREATE UNIQUE INDEX expr ON p (lower(opt)); \
         CREATE INDEX mixed ON p (b, lower(opt)); CREATE INDEX covering ON p (a) INCLUDE (b); \
         CREATE TABLE c (id int PRIMARY KEY, p int, q int, s int, self int, \
           CONSTRAINT f1 FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE, \
           CONSTRAINT f2 FOREIGN KEY (q) REFERENCES p (id) ON DELETE SET NULL, \
           CONSTRAINT f3 FOREIGN KEY (s) REFERENCES p (id), CONSTRAINT f4 FOREIGN KEY (self) REFERENCES c (id)); \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'; \
         CREATE TRIGGER t_del BEFORE DELETE ON p FOR EACH ROW EXECUTE FUNCTION f(); \
         CREATE TRIGGER t_ins BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION f(); \
         CREATE RULE r_upd AS ON UPDATE TO p DO ALSO NOTIFY x; CREATE VIEW v AS SELECT id FROM p; \
         CREATE TABLE part (id int PRIMARY KEY) PARTITION BY HASH (id); \
         CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 1, REMAINDER 0); \
         CREATE TABLE sec (id int PRIMARY KEY, who text); INSERT INTO sec VALUES (1, 'x'); \
         ALTER TABLE sec ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON sec USING (who = current_user);",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let p = table(&*engine, &mut *one, "p").await;
    assert_eq!(p.primary_key, ["id"]);
    assert!(p.is_key(&["mail".to_string()]) && !p.is_key(&["opt".to_string()]) && !p.is_key(&["a".to_string()]));
    assert_eq!(p.unique.len(), 3);
    assert!(p.has_index_on(&["b".to_string()]) && p.has_index_on(&["a".to_string()]));
    assert!(!p.has_index_on(&["a".to_string(), "b".to_string()]), "an included column serves no search");
    assert!(p.column("low").unwrap().generated && !p.column("mail").unwrap().generated);
    assert_eq!(p.triggers, ["rule r_upd", "t_del"]);
    let keys: Vec<_> = p.referenced_by.iter().map(|k| (k.name.as_str(), k.columns.concat(), k.on_delete)).collect();
    let expected = [
        ("f1", "p".to_string(), OnDelete::Cascade),
        ("f2", "q".to_string(), OnDelete::Clear),
        ("f3", "s".to_string(), OnDelete::Refuse),
    ];
    assert_eq!(keys, expected);
    let c = table(&*engine, &mut *one, "c").await;
    assert_eq!((c.references.len(), c.referenced_by.len()), (4, 1));
    assert_eq!(c.references[0].target, TableName { schema: Some("public".into()), name: "p".into() });
    assert_eq!(table(&*engine, &mut *one, "v").await.kind, TableKind::Other);
    let part = table(&*engine, &mut *one, "part").await;
    assert!(part.partitioned && part.kind == TableKind::Table);
    // Hidden rows are an error, never an empty answer.
    assert!(table(&*engine, &mut *one, "sec").await.row_security && !p.row_security);
    let hidden = rows(&mut *one, "SELECT id FROM sec").await;
    assert_eq!(hidden.unwrap_err().kind, FaultKind::NoRight);
}

#[tokio::test]
async fn another_schema_and_a_mighty_account_are_told() {
    let database = Database::new(Kind::Postgres);
    database.admin(&format!(
        "CREATE SCHEMA \"Sho p\"; CREATE TABLE \"Sho p\".t (id int PRIMARY KEY); GRANT USAGE ON SCHEMA \"Sho p\" TO {0}; \
         GRANT SELECT, DELETE, TRUNCATE ON \"Sho p\".t TO {0}; CREATE TABLE other (id int); ALTER ROLE {0} CREATEDB",
        database.user
    ));
    let mut access = database.access(Via::Tls);
    access.schema = Some("Sho p".into());
    let engine = engine_for(Kind::Postgres, &access);
    let mut one = session(&*engine).await;
    assert_eq!(table(&*engine, &mut *one, "t").await.name.schema.as_deref(), Some("Sho p"));
    assert_eq!(rows(&mut *one, "SELECT count(*) FROM t").await.unwrap(), [[Scalar::Int(0)]]);
    let found = engine.rights(&mut *one, &[need("t", true, &[])]).await.unwrap();
    let told: Vec<String> = found.iter().map(|one| format!("{} {}", one.code.id, one.text)).collect();
    assert_eq!(
        told,
        [
            "B260 the account may not UPDATE on \"Sho p\".\"t\" (to lock rows; one column is enough)",
            "B261 the account may TRUNCATE on \"Sho p\".\"t\", which no rule needs",
            "B261 the account has CREATEDB, which no rule needs",
            "B261 the account may read or change 1 tables that no rule needs: \"public\".\"other\"",
        ]
    );
    database.admin(&format!("ALTER ROLE {} SUPERUSER", database.user));
    let found = engine.rights(&mut *one, &[need("t", true, &[])]).await.unwrap();
    assert!(found.len() == 1 && found[0].text.contains("superuser"), "{found:?}");
}
