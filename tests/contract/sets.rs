//! Anonymising in sets: random rows, recipes and keys. Every row then holds what the recipes give, worked out here from the
//! values before; the others are as they were, and what was final is not written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bewaard::domain::outcome::Outcome;
use bewaard::domain::recipe::Recipe;
use bewaard::domain::rule::Rule;
use bewaard::domain::selection::{Child, ChildAction};
use bewaard::domain::value::{Key, Scalar};

use super::dice::by_tier;
use super::harness::{Harness, clock, due, erase, no_holds, open, outcomes, part, relation, rule, sql};
use super::sets_case::{Case, Engine, OWNERS, engine};

/// Rows as they are and as they should be: the first that differs is told.
fn same(now: &[Vec<String>], expected: &[Vec<String>], named: &str) {
    assert_eq!(now.len(), expected.len(), "{named}");
    for (n, (now, expected)) in now.iter().zip(expected).enumerate() {
        assert_eq!(now, expected, "row {n} of {named}");
    }
}

fn parts(case: &Case<'_>) -> Rule {
    let mut rule = rule("t", vec![clock("seen", None)]);
    rule.parts = (0..case.parts).map(|at| part(&rule, &format!("p{at}"), case.recipes(at))).collect();
    rule
}

fn tried() -> u64 {
    by_tier(10, 84, 600)
}

pub(crate) async fn rows_become_to_the_byte_what_the_recipes_give(harness: &dyn Harness) {
    let caseless = harness.caseless().await;
    let (mut written, mut failed) = (0, 0);
    for number in 0..tried() {
        let case = Case::draw(harness, caseless, number);
        case.fill().await;
        let named = format!("case {number}: {:?}, {:?}", case.named, case.fields);
        same(&case.rows().await, &case.told_rows(case.rows.iter().map(|row| (row, row.values.clone()))), &named);
        let (connector, rule) = (open(&harness.system()), parts(&case));
        let items = due(connector.as_ref(), &rule, &no_holds()).await;
        let becomes: Vec<_> = case.rows.iter().map(|row| case.becomes("t", row)).collect();
        let mut expected: Vec<(Key, Vec<usize>)> = becomes
            .iter()
            .zip(&case.rows)
            .filter(|((_, outcomes), _)| !outcomes.is_empty())
            .map(|((_, outcomes), row)| (Key(row.key.clone()), outcomes.keys().copied().collect()))
            .collect();
        let mut found: Vec<(Key, Vec<usize>)> =
            items.iter().map(|item| (item.key.clone(), item.parts.clone())).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{named}");
        let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
        connector.release().await.unwrap();
        let outcome_of: BTreeMap<&Key, &BTreeMap<usize, Outcome>> =
            items.iter().map(|item| &item.key).map(|key| (key, outcomes_of(&case, &becomes, key))).collect();
        for receipt in &receipts {
            let outcome = outcome_of[&items[receipt.item].key][&receipt.part];
            assert_eq!(receipt.outcome, outcome, "{named}");
            written += u64::from(outcome == Outcome::Anonymised);
            failed += u64::from(outcome == Outcome::Failed);
        }
        let now = case.told_rows(case.rows.iter().zip(&becomes).map(|(row, (values, _))| (row, values.clone())));
        same(&case.rows().await, &now, &named);
        let changed = |at: &usize| becomes[*at].0 != case.rows[*at].values;
        let touched: Vec<usize> = (0..case.rows.len()).filter(changed).collect();
        assert_eq!(case.touched().await, touched, "{named}: each row once, and no other");
        case.drop(&["t", "touched"]).await;
    }
    assert!(written > 10 * tried() && failed > 0, "{written} parts were written, {failed} could not be");
}

fn outcomes_of<'b>(
    case: &Case<'_>,
    becomes: &'b [(Vec<Scalar>, BTreeMap<usize, Outcome>)],
    key: &Key,
) -> &'b BTreeMap<usize, Outcome> {
    let place = case.rows.iter().position(|row| row.key == key.0).unwrap();
    &becomes[place].1
}

pub(crate) async fn child_rows_become_to_the_byte_what_the_recipes_give(harness: &dyn Harness) {
    let caseless = harness.caseless().await;
    let mut gone = 0;
    for number in 1_200..1_200 + tried() {
        let mut case = Case::draw(harness, caseless, number);
        case.parts = 1;
        case.fields.iter_mut().for_each(|field| field.part = 0);
        case.rows.iter_mut().for_each(|row| row.old = true);
        case.fill().await;
        let named = format!("case {number}: {:?}, {:?}", case.named, case.fields);
        let mut all = "CREATE TABLE owners (id INTEGER NOT NULL PRIMARY KEY, seen DATE);".to_string();
        for owner in 0..OWNERS {
            // The last one stays, with all below it.
            let seen = if owner + 1 == OWNERS { "2026-05-01" } else { "2020-01-01" };
            write!(all, "INSERT INTO owners VALUES ({owner}, '{seen}');").unwrap();
        }
        harness.sql(&all).await;
        let connector = open(&harness.system());
        let mut rule = rule("owners", vec![clock("seen", None)]);
        let then = ChildAction::Anonymise(case.recipes(0));
        sql(&mut rule).children = vec![Child { relation: relation("t", "owner"), then, children: vec![] }];
        let items = due(connector.as_ref(), &rule, &no_holds()).await;
        let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
        connector.release().await.unwrap();
        let collection = child_collection(harness).await;
        let becomes: Vec<_> = case.rows.iter().map(|row| case.becomes(&collection, row)).collect();
        let fails = |owner: usize| {
            becomes.iter().skip(owner).step_by(OWNERS).any(|(_, outcomes)| outcomes.get(&0) == Some(&Outcome::Failed))
        };
        let stays: BTreeSet<usize> = (0..OWNERS).filter(|owner| owner + 1 == OWNERS || fails(*owner)).collect();
        let expected: Vec<Outcome> = (0..OWNERS - 1)
            .map(|owner| if stays.contains(&owner) { Outcome::Failed } else { Outcome::Erased })
            .collect();
        assert_eq!(outcomes(&receipts), expected, "{named}");
        gone += OWNERS - stays.len();
        let now = case.rows.iter().zip(&becomes).enumerate().map(|(n, (row, (values, _)))| {
            (row, if stays.contains(&(n % OWNERS)) { row.values.clone() } else { values.clone() })
        });
        same(&case.rows().await, &case.told_rows(now), &named);
        let changed = |at: &usize| !stays.contains(&(at % OWNERS)) && becomes[*at].0 != case.rows[*at].values;
        let touched: Vec<usize> = (0..case.rows.len()).filter(changed).collect();
        assert_eq!(case.touched().await, touched, "{named}: each row once, and no other");
        case.drop(&["t", "touched", "owners"]).await;
    }
    assert!(gone > 0, "some of them went");
}

/// The name by which the pseudonyms of child rows are made: with the schema that the table was found in.
async fn child_collection(harness: &dyn Harness) -> String {
    match engine(harness) {
        Engine::Sqlite => "main.t".into(),
        Engine::Mariadb => format!("{}.t", harness.rows("SELECT DATABASE()").await[0][0]),
        Engine::Postgres => "public.t".into(),
    }
}

/// What a trigger of the engine does to a row that becomes something: it puts the old value back.
fn stubborn(harness: &dyn Harness, table: &str) -> String {
    match engine(harness) {
        Engine::Sqlite => format!(
            "CREATE TRIGGER stubborn AFTER UPDATE ON {table} WHEN new.id = 7 BEGIN UPDATE {table} SET v = old.v WHERE id = 7; END;"
        ),
        Engine::Mariadb => format!(
            "CREATE TRIGGER stubborn BEFORE UPDATE ON {table} FOR EACH ROW SET NEW.v = IF(NEW.id = 7, OLD.v, NEW.v);"
        ),
        Engine::Postgres => format!(
            "CREATE FUNCTION stubborn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.id = 7 THEN new.v := old.v; END IF; RETURN new; END $$; \
             CREATE TRIGGER stubborn BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION stubborn();"
        ),
    }
}

pub(crate) async fn a_row_that_a_trigger_turns_back_fails_alone(harness: &dyn Harness) {
    // Close keys go by a range, others by a list; one value for all, and one for each.
    for (step, recipe) in [
        (1, Recipe::Fixed("-".into())),
        (1, Recipe::Pseudonym { length: 12 }),
        (1000, Recipe::Fixed("-".into())),
        (1000, Recipe::Template("k{key}".into())),
    ] {
        let mut all = "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v VARCHAR(40), seen DATE);\n".to_string();
        for n in 0..40 {
            let id = 7 + (n - 7) * step;
            writeln!(all, "INSERT INTO t VALUES ({id}, 'v{id}', '2020-01-01');").unwrap();
        }
        harness.sql(&all).await;
        harness.sql(&stubborn(harness, "t")).await;
        let connector = open(&harness.system());
        let mut rule = rule("t", vec![clock("seen", None)]);
        rule.parts = vec![part(&rule, "v", [("v".to_string(), recipe.clone())].into())];
        let items = due(connector.as_ref(), &rule, &no_holds()).await;
        let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
        connector.release().await.unwrap();
        let failed: Vec<Key> = receipts
            .iter()
            .filter(|receipt| receipt.outcome != Outcome::Anonymised)
            .map(|receipt| items[receipt.item].key.clone())
            .collect();
        assert_eq!((receipts.len(), failed), (40, vec![Key(vec![Scalar::Int(7)])]), "{recipe:?}");
        let left = harness.rows("SELECT id, v FROM t WHERE v LIKE 'v%'").await;
        assert_eq!(left, [["7", "v7"]], "{recipe:?}");
        harness.sql("DROP TABLE t;").await;
        if engine(harness) == Engine::Postgres {
            harness.sql("DROP FUNCTION stubborn();").await;
        }
        harness.sql("DROP TABLE IF EXISTS bewaard_batch;").await;
    }
}
