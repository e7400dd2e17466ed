//! Any text as a `where`, in each dialect: it is refused with its place, or printed so that it reads back the same.

use bewaard::config::predicate::{Dialect, Relations, parse, print};
use bewaard::domain::predicate::{Literal, Predicate};

use super::input::Input;

const DIALECTS: [Dialect; 3] = [Dialect::Mariadb, Dialect::Postgres, Dialect::Sqlite];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let dialect = *input.one_of(&DIALECTS);
    let text = input.text();
    let relations = Relations::new(vec!["orders".into(), "Order Lines".into()]);
    match parse(&text, dialect, &relations) {
        Ok(predicate) => {
            let printed = print(&predicate, dialect);
            let again = parse(&printed, dialect, &relations);
            assert_eq!(again.as_ref(), Ok(&predicate), "{printed} does not read back");
            is_closed(&printed, dialect);
            is_of_this_table(&predicate);
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "what is refused has a fault");
            for fault in faults {
                assert!(text.get(fault.span.clone()).is_some(), "{:?} is no part of the text", fault.span);
                assert!(!fault.text.is_empty() && !fault.label.is_empty() && !fault.help.is_empty());
            }
        }
    }
}

/// Quotes and brackets close, and outside quotes stands nothing that ends a statement or begins a comment.
fn is_closed(printed: &str, dialect: Dialect) {
    let (mut quote, mut depth, mut before) = (None, 0_i32, ' ');
    for c in printed.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some('\'') => assert!(c != '\\' || dialect != Dialect::Mariadb, "a backslash in text: {printed}"),
            Some(_) => {}
            None => match c {
                '\'' | '"' | '`' => quote = Some(c),
                '(' => depth += 1,
                ')' => depth -= 1,
                ';' | '?' | '#' | '@' | '$' | '\\' | '\0' => panic!("{c:?} outside quotes: {printed}"),
                _ => {}
            },
        }
        let comment = quote.is_none() && matches!((before, c), ('-', '-') | ('/', '*'));
        assert!(!comment && depth >= 0, "{printed}");
        before = c;
    }
    assert!(quote.is_none() && depth == 0, "not closed: {printed}");
}

/// Every column has a name and is compared with something; numbers are numbers.
fn is_of_this_table(predicate: &Predicate) {
    predicate.visit_columns(&mut |column, literals| {
        assert!(!column.is_empty(), "a column without a name");
        for literal in literals {
            if let Literal::Number(number) = literal {
                assert!(number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)), "{number}");
            }
        }
    });
    predicate.visit_relations(&mut |relation, matching| {
        assert!(["orders", "Order Lines"].contains(&relation), "{relation}");
        matching.into_iter().for_each(is_of_this_table);
    });
}
