//! The generic connector over both servers: enough to see that engine and connector mean the same.

use std::sync::Mutex;

use bewaard::connect::open::open;
use bewaard::connect::{Batch, CommitWatch, FieldKeys, Item, Judge, Presence, Query, Severity};
use bewaard::domain::clock::ClockFormat;
use bewaard::domain::decide::{Found, Moment};
use bewaard::domain::digest::MacKey;
use bewaard::domain::id::{BatchId, GroundId, PartId, RuleId, SystemId};
use bewaard::domain::identity::IdentityKind;
use bewaard::domain::outcome::Outcome;
use bewaard::domain::rule::{Action, Because, Ground, Limits, Mode, Part, Rule};
use bewaard::domain::selection::{Child, ChildAction, ClockSource, Relation, Selection, SqlSelection, TableName};
use bewaard::domain::term::{Alignment, FinancialYear, Term};
use bewaard::domain::value::Key;

use crate::support::servers::{Database, Kind};
use crate::{BOTH, named};

struct LetAll;

impl Judge for LetAll {
    fn judge(&self, _: usize, _: &Found) -> Vec<(usize, Result<(), Outcome>)> {
        vec![(0, Ok(()))]
    }
    fn wants_identities(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct Tickets(Mutex<Vec<Option<String>>>);

impl CommitWatch for Tickets {
    fn before_commit(&self, ticket: Option<&str>) -> std::io::Result<()> {
        self.0.lock().unwrap().push(ticket.map(String::from));
        Ok(())
    }
    fn point(&self, _: &'static str) {}
}

fn relation(table: &str, on: &str) -> Relation {
    Relation { table: named(table), on: vec![on.into()], to: Vec::new(), filter: None }
}

fn source(column: &str, relation: Option<Relation>) -> ClockSource {
    ClockSource::Sql { column: column.into(), relation, format: ClockFormat::Iso, zone: None }
}

fn rule() -> Rule {
    Rule {
        id: RuleId::new("old").unwrap(),
        system: SystemId::new("shop").unwrap(),
        selection: Selection::Sql(SqlSelection {
            table: TableName { schema: None, name: "customers".into() },
            key: Vec::new(),
            filter: None,
            protect: Vec::new(),
            children: vec![Child {
                relation: relation("addresses", "customer"),
                then: ChildAction::Delete,
                children: Vec::new(),
            }],
            follow_foreign_keys: false,
            allow_no_transactions: false,
            allow_scan: true,
        }),
        person: [(IdentityKind::Email, "email".to_string())].into(),
        sources: vec![source("last_seen", None), source("made", Some(relation("orders", "customer")))],
        parts: vec![Part {
            id: PartId::record(),
            action: Action::Delete,
            grounds: vec![Ground {
                id: GroundId::new("term").unwrap(),
                clock: vec![0, 1],
                keep: Term::parse("2 years").unwrap(),
                from: Alignment::Day,
                because: Because::Text("test".into()),
                optional: false,
            }],
        }],
        limits: Limits::default(),
        schedule: None,
        mode: Mode::Enforce,
        undo: None,
        drop_partitions: false,
        copies: vec![],
    }
}

fn database(kind: Kind) -> Database {
    let database = Database::new(kind);
    database.admin(
        "CREATE TABLE customers (id decimal(12,2), tag varchar(20), email varchar(60), last_seen timestamp NULL, \
           PRIMARY KEY (id, tag), UNIQUE (id)); \
         CREATE TABLE addresses (id int PRIMARY KEY, customer decimal(12,2)); \
         CREATE TABLE orders (id int PRIMARY KEY, customer decimal(12,2), made date); \
         CREATE INDEX a_c ON addresses (customer); CREATE INDEX o_c ON orders (customer); \
         INSERT INTO customers VALUES (9, 'é-a', 'a@example.nl', '2015-01-01 10:00:00'), \
           (10, 'b', 'b@example.nl', '2015-01-02 10:00:00'), (11, 'c', NULL, NULL), (100, 'd', 'd@example.nl', NULL); \
         INSERT INTO addresses VALUES (1, 9), (2, 9), (3, 10); \
         INSERT INTO orders VALUES (1, 10, '2014-01-01'), (2, 10, '2016-01-01'), (3, 100, '2017-05-05');",
    );
    database
}

#[tokio::test]
async fn the_connector_finds_erases_and_locates_on_both_servers() {
    for kind in BOTH {
        let database = database(kind);
        let keys = FieldKeys { fingerprint: MacKey::new(&[1; 32]), pseudonym: MacKey::new(&[2; 32]) };
        let connector = open(&database.system("shop"), chrono_tz::Europe::Amsterdam, keys).unwrap();
        let mut rule = rule();
        let Selection::Sql(selection) = &mut rule.selection;
        // The key has two columns; what hangs below refers to the first.
        let to_first = |relation: &mut Relation| relation.to = vec!["id".into()];
        selection.children.iter_mut().for_each(|child| to_first(&mut child.relation));
        if let Some(ClockSource::Sql { relation: Some(relation), .. }) = rule.sources.get_mut(1) {
            to_first(relation);
        }
        let probe = connector.probe(&rule).await.unwrap();
        let faults: Vec<_> = probe.findings.iter().filter(|one| one.severity == Severity::Fault).collect();
        assert!(faults.is_empty(), "{kind:?} {faults:#?}");
        assert_eq!(connector.count(&rule, None).await.unwrap().all, 4);
        let rights = connector.probe_rights(&[&rule]).await.unwrap();
        assert!(rights.iter().all(|one| one.severity != Severity::Fault), "{kind:?} {rights:#?}");

        let (mut found, mut after): (Vec<Found>, Option<Key>) = (Vec::new(), None);
        loop {
            let query = Query { rule: &rule, due_by: None, identities: true, limit: 1 };
            let page = connector.find(&query, after.as_ref()).await.unwrap();
            found.extend(page.found);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // In the order of numbers, not of text: 9, 10, 11, 100.
        let shown: Vec<String> = found.iter().map(|one| one.key.show()).collect();
        assert_eq!(shown, ["9.00, é-a", "10.00, b", "11.00, c", "100.00, d"], "{kind:?}");
        let moment = Moment { today: "2020-01-01".parse().unwrap(), year: FinancialYear::default() };
        for statement in connector.statements(&rule, moment).await.unwrap() {
            database.admin(&statement.text);
        }

        let item = |one: &Found| Item { key: one.key.clone(), fingerprint: one.fingerprint, parts: vec![0] };
        let items: Vec<Item> = found.iter().take(2).map(item).collect();
        // An order that came after the find: this one stays, with its address.
        database.admin("INSERT INTO orders VALUES (9, 10, '2024-01-01')");
        assert!(connector.claim().await.unwrap());
        let (id, watch) = (BatchId::from_random([7; 8]), Tickets::default());
        let batch = Batch { id: &id, rule: &rule, items: &items, now: bewaard::now::now(), due_by: moment };
        let receipts = connector.erase(&batch, &LetAll, &watch).await.unwrap();
        let outcomes: Vec<Outcome> = receipts.iter().map(|one| one.outcome).collect();
        assert_eq!(outcomes, [Outcome::Erased, Outcome::Changed], "{kind:?}");
        assert_eq!(database.admin("SELECT id FROM addresses"), "3");
        assert_eq!(database.admin("SELECT count(*) FROM customers"), "3");
        let tickets = watch.0.into_inner().unwrap();
        assert_eq!(tickets.iter().flatten().count(), usize::from(kind == Kind::Postgres));
        let presence = connector.locate(&rule, &items).await.unwrap();
        assert_eq!(presence[0], Presence::Gone);
        assert!(matches!(presence[1], Presence::Here { same: false, .. }), "{kind:?}");
        let typed = connector.parse_key(&rule, &["100".into(), "d".into()]).await.unwrap();
        assert_eq!(typed, found[3].key, "{kind:?}");
        connector.release().await.unwrap();
    }
}
