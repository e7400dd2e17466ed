//! What is MariaDB's own.

use std::sync::Arc;

use bewaard::connect::sql::catalogue::{OnDelete, TableKind, TypeClass};
use bewaard::connect::sql::engine::{FaultKind, Statement};
use bewaard::domain::selection::TableName;
use bewaard::domain::value::Scalar;

use crate::support::servers::{Database, Kind, Via};
use crate::wait::wait_until;
use crate::{engine, engine_for, explain, found_again, need, rows, session, table, text};

const EVERY_TYPE: &str = "CREATE TABLE every (
    id int PRIMARY KEY, tiny tinyint(1), small smallint unsigned, big bigint unsigned, year1 year,
    dec4 decimal(30,4), flt double,
    lat varchar(20) CHARACTER SET latin1, ci varchar(20) COLLATE utf8mb4_unicode_ci, bin1 varchar(20) COLLATE utf8mb4_bin,
    fixed char(8), bin16 binary(16), vbin varbinary(20), bits bit(12), uid uuid, ip inet6,
    day date, dt6 datetime(6), ts3 timestamp(3) NULL, tm time(3), en enum('x y','z''q','é1','e4','e5'),
    KEY k_tiny (tiny), KEY k_small (small), KEY k_big (big), KEY k_year1 (year1), KEY k_dec4 (dec4), KEY k_lat (lat),
    KEY k_ci (ci), KEY k_bin1 (bin1), KEY k_fixed (fixed), KEY k_bin16 (bin16), KEY k_vbin (vbin), KEY k_bits (bits),
    KEY k_uid (uid), KEY k_ip (ip), KEY k_day (day), KEY k_dt6 (dt6), KEY k_ts3 (ts3), KEY k_tm (tm));
    SET time_zone = '+00:00';
    INSERT INTO every SELECT seq, cast(seq AS signed) - 60, seq * 500, 18446744073709551615 - seq, 1970 + seq,
    12345678901234567890123456.0001 + seq / 10000, seq / 7,
    concat('é', seq), concat('K\u{1F600}', seq), concat('k''\\\\', seq), concat('f', seq), unhex(md5(seq)),
    concat(char(0, 255, 128), seq), seq, uuid(), concat('2001:db8::', hex(seq)),
    '2000-01-01' + INTERVAL seq DAY, '2000-01-01 10:00:00.000001' + INTERVAL seq HOUR,
    '2010-01-01 10:00:00.5' + INTERVAL seq HOUR, sec_to_time(seq * 100), NULL FROM seq_1_to_120;
    ANALYZE TABLE every;";

#[tokio::test]
async fn every_type_is_read_and_found_again_from_its_index() {
    let database = Database::new(Kind::Mariadb);
    database.admin(EVERY_TYPE);
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let every = table(&*engine, &mut *one, "every").await;
    let shown = |value: &Scalar| (value.show(), matches!(value, Scalar::Text(_)));
    for (name, class, first, is_text) in [
        ("tiny", TypeClass::Integer, "-59", false),
        ("small", TypeClass::Integer, "500", false),
        ("big", TypeClass::Integer, "18446744073709551495", false),
        ("year1", TypeClass::Integer, "1971", false),
        ("dec4", TypeClass::Decimal, "12345678901234567890123456.0002", true),
        ("lat", TypeClass::Text, "é1", true),
        ("ci", TypeClass::Text, "K😀1", true),
        ("bin1", TypeClass::Text, "k'\\1", true),
        ("fixed", TypeClass::Text, "f1", true),
        ("vbin", TypeClass::Binary, "0x00ff8031", false),
        ("bits", TypeClass::Binary, "0x0001", false),
        ("ip", TypeClass::Other, "2001:db8::1", true),
        ("day", TypeClass::Date, "2000-01-02", true),
        ("dt6", TypeClass::DateTime, "2000-01-01 11:00:00.000001", true),
        ("ts3", TypeClass::Moment, "2010-01-01 11:00:00.500000+00:00", true),
        ("tm", TypeClass::Time, "00:01:40", true),
    ] {
        let column = every.column(name).unwrap();
        assert_eq!(column.class, class, "{name}");
        let read = found_again(&*engine, &mut *one, &every, column, Some(&format!("k_{name}"))).await;
        assert_eq!(read.len(), 120, "{name}");
        assert_eq!(shown(&read[0]), (first.to_string(), is_text), "{name}");
    }
    for name in ["uid", "bin16"] {
        let read =
            found_again(&*engine, &mut *one, &every, every.column(name).unwrap(), Some(&format!("k_{name}"))).await;
        assert_eq!(matches!(read[0], Scalar::Bytes(_)), name == "bin16");
    }
    found_again(&*engine, &mut *one, &every, every.column("flt").unwrap(), None).await;
    assert_eq!(every.column("lat").unwrap().collation.as_deref(), Some("latin1_swedish_ci"));
    assert_eq!(every.column("ci").unwrap().max_chars, Some(20));
}

#[tokio::test]
async fn an_enum_is_its_text() {
    let database = Database::new(Kind::Mariadb);
    database.admin(
        "CREATE TABLE e (en enum('x y','z''q','é1') PRIMARY KEY, st set('a','b')); \
         INSERT INTO e VALUES ('x y', 'a,b'), ('z''q', ''), ('é1', 'b')",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let every = table(&*engine, &mut *one, "e").await;
    let read = found_again(&*engine, &mut *one, &every, every.column("en").unwrap(), None).await;
    assert_eq!(read, [text("x y"), text("z'q"), text("é1")]);
    found_again(&*engine, &mut *one, &every, every.column("st").unwrap(), None).await;
}

#[tokio::test]
async fn zero_and_partial_dates_are_read_as_they_are() {
    let database = Database::new(Kind::Mariadb);
    database.admin(
        "SET sql_mode = ''; SET time_zone = '+00:00'; \
         CREATE TABLE z (id int PRIMARY KEY, d date, dt datetime, ts timestamp NULL, KEY d (d)); \
         INSERT INTO z VALUES (1, '0000-00-00', '0000-00-00', '0000-00-00'), (2, '2020-00-00', '2020-05-00', NULL)",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let z = table(&*engine, &mut *one, "z").await;
    let read = rows(&mut *one, "SELECT d, dt, ts FROM z ORDER BY id").await.unwrap();
    assert_eq!(read[0], [text("0000-00-00"), text("0000-00-00 00:00:00"), text("0000-00-00 00:00:00")]);
    assert_eq!(read[1], [text("2020-00-00"), text("2020-05-00 00:00:00"), Scalar::Null]);
    found_again(&*engine, &mut *one, &z, z.column("d").unwrap(), None).await;
    found_again(&*engine, &mut *one, &z, z.column("dt").unwrap(), None).await;
    let update = Statement::plain("UPDATE z SET dt = NULL WHERE id = 1");
    assert_eq!(one.execute(&update).await, Ok(1), "a zero date beside it does not hinder");
}

#[tokio::test]
async fn composite_keys_are_served_from_the_index() {
    let database = Database::new(Kind::Mariadb);
    database.admin(
        "CREATE TABLE p (u int, v varchar(20) CHARACTER SET latin1, w decimal(10,2), x int, PRIMARY KEY (u, v, w)); \
         INSERT INTO p SELECT seq % 100, concat('v', seq), seq, seq FROM seq_1_to_5000; ANALYZE TABLE p;",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let p = table(&*engine, &mut *one, "p").await;
    let dialect = engine.dialect();
    let columns: Vec<_> = ["u", "v", "w"].iter().map(|n| (dialect.name(n), p.column(n).unwrap())).collect();
    let keys: Vec<Scalar> =
        (1..=1500).flat_map(|n| [Scalar::Int(n % 100), text(&format!("v{n}")), text(&format!("{n}.00"))]).collect();
    // More than in_predicate_conversion_threshold, where MariaDB would make a join of it.
    let picked = format!("SELECT x FROM p WHERE {} {}", dialect.key_in(&columns, 1500, 1), dialect.lock());
    let statement = Statement { text: picked.clone(), values: keys.clone() };
    assert_eq!(one.rows(&statement).await.unwrap().len(), 1500);
    let plan = explain(&mut *one, &picked, keys).await;
    assert!(plan.contains("SIMPLE") && plan.contains("range") && plan.contains("PRIMARY"), "{plan}");
    let after = format!("SELECT u, v, w FROM p WHERE {} ORDER BY u, v, w LIMIT 10", dialect.key_after(&columns, 1));
    let from = vec![Scalar::Int(50), text("v150"), text("150.00")];
    one.execute(&Statement::plain("FLUSH STATUS")).await.ok();
    let next = one.rows(&Statement { text: after.clone(), values: from.clone() }).await.unwrap();
    assert_eq!(next.len(), 10);
    assert_eq!(next[0][0], Scalar::Int(50));
    let plan = explain(&mut *one, &after, from).await;
    assert!(plan.contains("range"), "{plan}");
}

#[tokio::test]
async fn a_value_is_never_compared_as_another_type() {
    let database = Database::new(Kind::Mariadb);
    database.admin(
        "CREATE TABLE n (id int PRIMARY KEY, d decimal(10,2), s varchar(20)); \
         INSERT INTO n VALUES (0, 1.00, '5abc'), (5, 1.01, '5')",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let n = table(&*engine, &mut *one, "n").await;
    let count = async |session: &mut dyn bewaard::connect::sql::engine::Session, name: &str, value: Scalar| {
        let bound = engine.dialect().bound(1, n.column(name).unwrap());
        let text = format!("SELECT count(*) FROM n WHERE {name} = {bound}");
        session.rows(&Statement { text, values: vec![value] }).await
    };
    // The server alone would find '5abc' = 5, 'x' = 0 and 1.005 = 1.01.
    assert_eq!(count(&mut *one, "s", Scalar::Int(5)).await.unwrap(), [[Scalar::Int(1)]]);
    assert_eq!(count(&mut *one, "id", text("5abc")).await.unwrap_err().kind, FaultKind::Other);
    assert_eq!(count(&mut *one, "id", text("x")).await.unwrap_err().kind, FaultKind::Other);
    assert_eq!(count(&mut *one, "id", text("5")).await.unwrap(), [[Scalar::Int(1)]]);
    assert_eq!(count(&mut *one, "d", text("1.005")).await.unwrap(), [[Scalar::Int(0)]]);
}

#[tokio::test]
async fn the_catalogue_tells_keys_triggers_partitions_and_engines() {
    let database = Database::new(Kind::Mariadb);
    database.admin(
        "CREATE TABLE p (id int PRIMARY KEY, mail varchar(50) NOT NULL, opt varchar(9), note text, \
           low varchar(50) AS (lower(mail)) STORED, UNIQUE (mail), UNIQUE (opt), UNIQUE pre (note(10)), KEY two (opt, mail)); \
         CREATE TABLE c (id int PRIMARY KEY, p int, q int, s int, self int, \
           CONSTRAINT f1 FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE, \
           CONSTRAINT f2 FOREIGN KEY (q) REFERENCES p (id) ON DELETE SET NULL, \
           CONSTRAINT f3 FOREIGN KEY (s) REFERENCES p (id), \
           CONSTRAINT f4 FOREIGN KEY (self) REFERENCES c (id)); \
         CREATE TRIGGER t_del BEFORE DELETE ON p FOR EACH ROW SET @a = 1; \
         CREATE TRIGGER t_ins BEFORE INSERT ON p FOR EACH ROW SET @a = 1; \
         CREATE TABLE old (id int) ENGINE = MyISAM; CREATE VIEW v AS SELECT id FROM p; \
         CREATE TABLE part (id int PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3; \
         CREATE TABLE ver (id int PRIMARY KEY) WITH SYSTEM VERSIONING;",
    );
    let engine = engine(&database);
    let mut one = session(&*engine).await;
    let p = table(&*engine, &mut *one, "p").await;
    assert_eq!(p.primary_key, ["id"]);
    assert!(p.unique.contains(&vec!["mail".to_string()]) && p.is_key(&["mail".to_string()]));
    assert!(!p.is_key(&["opt".to_string()]) && !p.unique.contains(&vec!["note".to_string()]));
    assert!(p.indexes.contains(&vec!["opt".to_string(), "mail".to_string()]));
    assert!(p.column("low").unwrap().generated && !p.column("mail").unwrap().generated);
    assert!(p.column("opt").unwrap().nullable && !p.column("mail").unwrap().nullable);
    assert_eq!(p.triggers, ["t_del"]);
    let keys: Vec<_> = p.referenced_by.iter().map(|k| (k.name.as_str(), k.columns.concat(), k.on_delete)).collect();
    let expected = [
        ("f1", "p".to_string(), OnDelete::Cascade),
        ("f2", "q".to_string(), OnDelete::Clear),
        ("f3", "s".to_string(), OnDelete::Refuse),
    ];
    assert_eq!(keys, expected);
    let c = table(&*engine, &mut *one, "c").await;
    assert_eq!(c.references.len(), 4);
    assert_eq!(c.referenced_by.len(), 1, "itself");
    assert_eq!(c.references[0].target, TableName { schema: Some(database.name.clone()), name: "p".into() });
    assert!(p.transactional && !table(&*engine, &mut *one, "old").await.transactional);
    assert_eq!(table(&*engine, &mut *one, "v").await.kind, TableKind::Other);
    assert!(table(&*engine, &mut *one, "part").await.partitioned && !p.partitioned);
    let versioned = table(&*engine, &mut *one, "ver").await;
    assert!(versioned.versioned && versioned.kind == TableKind::Table && !p.versioned);
}

#[tokio::test]
async fn a_foreign_key_that_comes_or_goes_is_seen_at_once() {
    let database = Database::new(Kind::Mariadb);
    database.admin("CREATE TABLE p (id int PRIMARY KEY)");
    let engine = engine_for(Kind::Mariadb, &database.access(Via::Socket));
    let mut one = session(&*engine).await;
    let steps = [
        ("CREATE TABLE c (p int, CONSTRAINT f1 FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)", vec!["f1"]),
        ("ALTER TABLE c ADD q int, ADD CONSTRAINT f2 FOREIGN KEY (q) REFERENCES p (id)", vec!["f1", "f2"]),
        ("ALTER TABLE c DROP FOREIGN KEY f1", vec!["f2"]),
        ("RENAME TABLE c TO d", vec!["f2"]),
        ("DROP TABLE d", vec![]),
    ];
    assert!(table(&*engine, &mut *one, "p").await.referenced_by.is_empty());
    for (change, expected) in steps {
        database.admin(change);
        let keys = table(&*engine, &mut *one, "p").await.referenced_by;
        assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), expected, "{change}");
        assert!(keys.iter().all(|key| key.table.name == if change.starts_with("RENAME") { "d" } else { "c" }));
    }
}

/// The tables are asked within the erasing transaction: a key that waited for the one before it is there by then.
#[tokio::test]
async fn a_foreign_key_waits_for_a_transaction_on_its_target_and_is_seen_by_the_next() {
    let database = Arc::new(Database::new(Kind::Mariadb));
    database.admin("CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1); CREATE TABLE c (p int)");
    let engine = engine_for(Kind::Mariadb, &database.access(Via::Socket));
    let mut one = session(&*engine).await;
    let select = Statement::plain("SELECT id FROM p WHERE id = 1 FOR UPDATE");
    one.begin().await.unwrap();
    one.rows(&select).await.unwrap();
    let other = Arc::clone(&database);
    let altering = std::thread::spawn(move || {
        other.admin("ALTER TABLE c ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE");
    });
    let waiting = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
         WHERE STATE LIKE 'Waiting for table metadata%' AND DB = '{}'",
        database.name
    );
    wait_until("the key waits", || database.admin(&waiting).trim() == "1");
    assert!(table(&*engine, &mut *one, "p").await.referenced_by.is_empty());
    one.commit().await.unwrap();
    altering.join().unwrap();
    one.begin().await.unwrap();
    one.rows(&select).await.unwrap();
    assert_eq!(table(&*engine, &mut *one, "p").await.referenced_by.len(), 1);
    one.rollback().await.unwrap();
}

#[tokio::test]
async fn an_account_that_cannot_see_the_schema_is_told_so() {
    let database = Database::new(Kind::Mariadb);
    database.admin(
        "CREATE TABLE p (id int PRIMARY KEY); \
         CREATE TABLE c (p int, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
         CREATE TRIGGER t_del BEFORE DELETE ON p FOR EACH ROW SET @a = 1;",
    );
    let mut access = database.access(Via::Socket);
    access.user = database.account("blind");
    database.admin(&format!("GRANT SELECT, DELETE ON p TO '{}'@'%'", access.user));
    let engine = engine_for(Kind::Mariadb, &access);
    let mut one = session(&*engine).await;
    let blind = table(&*engine, &mut *one, "p").await;
    assert!(blind.referenced_by.is_empty(), "else the finding is not needed");
    let needs = [need("p", true, &[])];
    let found = engine.rights(&mut *one, &needs).await.unwrap();
    assert_eq!(found.iter().map(|one| one.code.id).collect::<Vec<_>>(), ["B262", "B262"]);
    for one in &found {
        database.admin(&one.remedy);
    }
    let mut again = session(&*engine).await;
    let seeing = table(&*engine, &mut *again, "p").await;
    assert_eq!((seeing.referenced_by.len(), seeing.triggers.len()), (1, 1));
    assert_eq!(engine.rights(&mut *again, &needs).await.unwrap(), []);
}
