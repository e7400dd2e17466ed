use proptest::prelude::*;

use super::*;
use crate::domain::predicate::{Comparison, Literal};

const ALL: [Dialect; 3] = [Dialect::Mariadb, Dialect::Postgres, Dialect::Sqlite];

fn relations() -> Relations {
    Relations::new(vec!["orders".into(), "Order Lines".into()])
}

fn read(text: &str, dialect: Dialect) -> Predicate {
    parse(text, dialect, &relations()).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

fn compare(column: &str, op: Comparison, with: Literal) -> Predicate {
    Predicate::Compare { column: column.into(), op, with }
}

fn text(value: &str) -> Literal {
    Literal::Text(value.into())
}

#[test]
fn what_is_allowed_means_what_it_says() {
    for dialect in ALL {
        let printed = |text: &str| print(&read(text, dialect), dialect);
        for (text, meaning) in [
            ("a = 1", "a = 1"),
            ("'x' < a", "a > 'x'"),
            ("a != -1.50", "a <> -1.50"),
            ("a = 1 or b = 2 and c = 3", "(a = 1) OR ((b = 2) AND (c = 3))"),
            ("not a = 1 and b = 2", "(NOT (a = 1)) AND (b = 2)"),
            ("a between 1 and 3 and b is not null", "((a >= 1) AND (a <= 3)) AND (b IS NOT NULL)"),
            ("a NOT IN ('it''s', 'b') OR a IS NULL", "(NOT (a IN ('it''s', 'b'))) OR (a IS NULL)"),
            ("(a LIKE 'x%' OR a NOT LIKE '_y')", "(a LIKE 'x%') OR (NOT (a LIKE '_y'))"),
            ("active = TRUE AND gone = false", "(active = TRUE) AND (gone = FALSE)"),
            ("related(orders) AND a=1", "(related(orders)) AND (a = 1)"),
            (
                "not related(orders, status = 'open' or total > 5)",
                "NOT (related(orders, (status = 'open') OR (total > 5)))",
            ),
            ("related(orders, 'status = ''open''')", "related(orders, status = 'open')"),
            ("related(orders, \"status = 'open'\")", "related(orders, status = 'open')"),
            ("naam = 'é -- ; ? /* */'", "naam = 'é -- ; ? /* */'"),
        ] {
            assert_eq!(printed(text), meaning, "{text} in {dialect:?}");
        }
    }
}

#[test]
fn names_are_the_catalogues() {
    assert_eq!(read("Role = 'x'", Dialect::Postgres), compare("role", Comparison::Equal, text("x")));
    assert_eq!(read("\"Role\" = 'x'", Dialect::Postgres), compare("Role", Comparison::Equal, text("x")));
    assert_eq!(read("`Role x` = 'x'", Dialect::Mariadb), compare("Role x", Comparison::Equal, text("x")));
    assert_eq!(read("Role = 'x'", Dialect::Sqlite), compare("Role", Comparison::Equal, text("x")));
}

#[test]
fn everything_else_is_refused_with_its_place() {
    for (text, part) in [
        ("a = 1; DROP TABLE b", "; DROP TABLE b"),
        ("a = 1 -- x", "-- x"),
        ("a = 1 /*! OR 1 = 1 */", "/*! OR 1 = 1 */"),
        ("a = ? AND b = 2", "?"),
        ("a = b", "a = b"),
        ("a = NULL", "NULL"),
        ("a IN (1, NULL)", "NULL"),
        ("a IN (SELECT 1)", "a IN (SELECT 1"),
        ("lower(a) = 'x'", "lower(a)"),
        ("a + 1 = 2", "a + 1"),
        ("a = 1 + 1", "1 + 1"),
        ("t.a = 1", "t.a"),
        ("a", "a"),
        ("TRUE", "TRUE"),
        ("1 = 1", "1 = 1"),
        ("a = 1 OR 'x' = 'x'", "'x' = 'x'"),
        ("CAST(a AS INT) = 1", "a"),
        ("related(ordres)", "ordres"),
        ("a = 1 b = 2", "b = 2"),
        ("a LIKE 1", "1"),
        ("a LIKE 'x' ESCAPE '!'", "a LIKE 'x'"),
        ("a IS TRUE", "a"),
        ("\"\" = 'x'", "\"\""),
        ("5 > \"\"", "\"\""),
        ("a = 1 AND", "AND"),
        ("", ""),
    ] {
        for dialect in ALL {
            let faults = parse(text, dialect, &relations()).expect_err(text);
            let Some(fault) = faults.first() else { panic!("{text}: no fault") };
            let shown = text.get(fault.span.clone()).unwrap();
            assert!(shown.starts_with(part) || shown == text, "{text} in {dialect:?}: {shown}, {}", fault.text);
            assert!(!fault.help.is_empty() && !fault.text.is_empty());
        }
    }
    for (text, dialect) in [
        (r"a = 'x\' OR 1 = 1 -- '", Dialect::Mariadb),
        (r"a LIKE 'x\_%'", Dialect::Postgres),
        ("a = \"x\"", Dialect::Mariadb),
        ("a <=> 1", Dialect::Mariadb),
        ("a ILIKE 'x'", Dialect::Postgres),
        ("a = '1'::int", Dialect::Postgres),
        ("a ~ 'x'", Dialect::Postgres),
        ("a = E'x'", Dialect::Postgres),
        ("a = X'00'", Dialect::Mariadb),
        ("a = 1e3", Dialect::Sqlite),
        ("a GLOB 'x'", Dialect::Sqlite),
        ("a = DATE '2020-01-01'", Dialect::Postgres),
        ("EXISTS (SELECT 1)", Dialect::Sqlite),
        ("a COLLATE nocase = 'x'", Dialect::Sqlite),
        ("(a, b) = (1, 2)", Dialect::Mariadb),
        ("related(orders, related(orders))", Dialect::Sqlite),
        ("related(orders, a = 1, b = 2)", Dialect::Sqlite),
    ] {
        assert!(parse(text, dialect, &relations()).is_err(), "{text}");
    }
}

#[test]
fn very_long_text_is_refused_without_a_crash() {
    let wide = vec!["a = 1"; 700].join(" AND ");
    assert!(parse(&wide, Dialect::Sqlite, &relations()).is_ok());
    let wider = vec!["a = 1"; 3000].join(" AND ");
    assert!(parse(&wider, Dialect::Sqlite, &relations()).is_err());
    let wide = vec!["a"; 1500].join(" OR ");
    assert!(parse(&wide, Dialect::Sqlite, &relations()).is_err());
}

#[test]
fn any_space_may_stand_before_what_is_unfinished() {
    for space in [" ", "\u{a0}", "\u{3000}"] {
        let text = format!("a = 1 AND b{space}>");
        let faults = parse(&text, Dialect::Sqlite, &relations()).unwrap_err();
        assert_eq!(text.get(faults[0].span.clone()), Some(">"), "{text}");
    }
}

#[test]
fn many_brackets_are_refused_without_a_crash() {
    assert!(parse(&format!("{}a = 1{}", "(".repeat(3000), ")".repeat(3000)), Dialect::Postgres, &relations()).is_err());
    assert!(parse(&format!("{}a = 1{}", "(".repeat(8), ")".repeat(8)), Dialect::Postgres, &relations()).is_ok());
}

#[test]
fn many_nots_are_refused_without_a_crash() {
    assert!(parse(&format!("{}a = 1", "NOT ".repeat(1900)), Dialect::Postgres, &relations()).is_err());
}

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        "[ -~éü%_']{0,8}".prop_map(|text| Literal::Text(text.replace('\\', "/"))),
        (-9999i64..9999).prop_map(|number| Literal::Number(number.to_string())),
        (0u32..99, 0u32..99).prop_map(|(a, b)| Literal::Number(format!("{a}.{b:02}"))),
        any::<bool>().prop_map(Literal::Bool),
    ]
}

fn any_column() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("status".to_string()),
        Just("order".to_string()),
        Just("Naam".to_string()),
        Just("select".to_string()),
        Just("not".to_string()),
        Just("e mail".to_string()),
        "[a-z_][a-z0-9_]{0,5}",
        "[a-zA-Z`\" é]{1,5}",
    ]
}

fn any_op() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual)
    ]
}

fn any_predicate() -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![
        (any_column(), any_op(), any_literal()).prop_map(|(column, op, with)| Predicate::Compare { column, op, with }),
        (any_column(), prop::collection::vec(any_literal(), 1..4))
            .prop_map(|(column, values)| Predicate::In { column, values }),
        (any_column(), "[a-z%_']{0,6}").prop_map(|(column, pattern)| Predicate::Like { column, pattern }),
        any_column().prop_map(Predicate::IsNull),
        Just(Predicate::Related { relation: "orders".into(), matching: None }),
        (any_column(), any_literal()).prop_map(|(column, with)| Predicate::Related {
            relation: "Order Lines".into(),
            matching: Some(Box::new(Predicate::Compare { column, op: Comparison::Equal, with })),
        }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Predicate::Or),
            inner.prop_map(|one| Predicate::Not(Box::new(one))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(predicate in any_predicate()) {
        for dialect in ALL {
            let printed = print(&predicate, dialect);
            prop_assert_eq!(parse(&printed, dialect, &relations()), Ok(predicate.clone()), "{} in {:?}", printed, dialect);
        }
    }

    #[test]
    fn no_text_makes_it_crash(text in "[ -~é\\n'\"`();]{0,60}") {
        for dialect in ALL {
            if let Err(faults) = parse(&text, dialect, &relations()) {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(text.get(fault.span).is_some());
                }
            }
        }
    }
}
