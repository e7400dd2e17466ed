//! The shipped, dated catalogue of grounds to keep (`config/grounds/nl.toml`).

use std::sync::LazyLock;

use chrono::{Days, NaiveDate};
use serde::Deserialize;

use super::diagnostic::Diagnostic;
use super::shape;
use super::source::Place;
use super::v1::PERIODS;
use crate::codes;
use crate::domain::rule::Ground;
use crate::domain::term::{Alignment, FinancialYear, Term, due_day};

/// The catalogue's own text.
pub const NL: &str = include_str!("../../config/grounds/nl.toml");

/// A ground of the catalogue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id, such as `nl.awr-52`.
    pub id: String,
    /// What it is, in English.
    pub title: String,
    /// What it is, in Dutch.
    pub title_nl: String,
    /// The law or guideline.
    pub law: String,
    /// Its article.
    pub article: String,
    /// How long.
    pub term: Term,
    /// From the end of which period of the clock.
    pub start: Alignment,
    /// What the clock is, in words.
    pub clock: String,
    /// Whether it is a shortest or a longest term.
    pub bound: Bound,
    /// Where to read it.
    pub source: String,
    /// What to mind.
    pub note: String,
}

/// Which way a ground binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// To be kept at least so long.
    AtLeast,
    /// To be kept so long at most.
    AtMost,
    /// A term that is often chosen; no law fixes it.
    Usual,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(rename = "as-of")]
    as_of: String,
    ground: Vec<Line>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Line {
    id: String,
    title: String,
    title_nl: String,
    law: String,
    article: String,
    term: String,
    start: String,
    clock: String,
    bound: Bound,
    source: String,
    #[serde(default)]
    note: String,
}

static CATALOGUE: LazyLock<(String, Vec<Entry>)> = LazyLock::new(|| {
    let Ok(file) = toml::from_str::<File>(NL) else { return (String::new(), Vec::new()) };
    (file.as_of, file.ground.into_iter().filter_map(entry).collect())
});

fn entry(line: Line) -> Option<Entry> {
    Some(Entry {
        term: Term::parse(&line.term).ok()?,
        start: alignment(&line.start)?,
        id: line.id,
        title: line.title,
        title_nl: line.title_nl,
        law: line.law,
        article: line.article,
        clock: line.clock,
        bound: line.bound,
        source: line.source,
        note: line.note,
    })
}

/// Every ground, in the order of the catalogue.
pub fn all() -> &'static [Entry] {
    &CATALOGUE.1
}

/// The day as of which the catalogue states the law.
pub fn as_of() -> &'static str {
    &CATALOGUE.0
}

/// A ground by its id.
pub fn find(id: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.id == id)
}

/// Whether a text can only be meant as an id: `nl.` and no space.
pub(super) fn looks_like_id(text: &str) -> bool {
    text.strip_prefix("nl.").is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

pub(super) fn nearest(id: &str) -> Option<&'static Entry> {
    shape::nearest(id, all().iter().map(|entry| entry.id.as_str())).and_then(find)
}

pub(super) fn ids() -> String {
    all().iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// A period by its words in TOML.
pub(super) fn alignment(text: &str) -> Option<Alignment> {
    let periods = [Alignment::Day, Alignment::EndOfMonth, Alignment::EndOfCalendarYear, Alignment::EndOfFinancialYear];
    PERIODS.iter().zip(periods).find(|(word, _)| **word == text).map(|(_, period)| period)
}

/// The first clock day of four years on which two terms give days that are as asked, and those days.
pub(super) fn example(
    (a, a_from): (Term, Alignment),
    (b, b_from): (Term, Alignment),
    year: FinancialYear,
    asked: impl Fn(NaiveDate, NaiveDate) -> bool,
) -> Option<(NaiveDate, NaiveDate, NaiveDate)> {
    let first = NaiveDate::from_ymd_opt(2024, 1, 1)?;
    (0..4 * 366).find_map(|days| {
        let clock = first.checked_add_days(Days::new(days))?;
        let (a, b) = (due_day(clock, a, a_from, year)?, due_day(clock, b, b_from, year)?);
        asked(a, b).then_some((clock, a, b))
    })
}

/// What is to be said about a rule whose own term differs from the ground that it names.
pub(super) fn compare(
    known: &Entry,
    own: &Ground,
    year: FinancialYear,
    at: &Place,
    because: &Place,
) -> Option<Diagnostic> {
    let mine = (own.keep, own.from);
    let theirs = (known.term, known.start);
    if mine == theirs {
        return None;
    }
    let shown = |(clock, mine, theirs): (NaiveDate, NaiveDate, NaiveDate)| {
        let day = |day: NaiveDate| day.format("%d-%m-%Y").to_string();
        format!("a clock of {} goes on {}; by {} it stays until {}", day(clock), day(mine), known.id, day(theirs))
    };
    let remedy = "leave out `keep` and `from` to take them from the catalogue, or state the reason in your own words";
    match known.bound {
        Bound::AtLeast => {
            let example = example(mine, theirs, year, |mine, theirs| mine < theirs)?;
            let text = format!("{} asks for {} at least", known.id, span(known));
            let fault = Diagnostic::fault(codes::AGAINST_GROUND, text, at).label("shorter than the law that is named");
            Some(fault.also(because, &known.title).help(shown(example)).help(remedy))
        }
        Bound::AtMost => {
            example(mine, theirs, year, |mine, theirs| mine > theirs)?;
            let text = format!("{} allows {} at most", known.id, span(known));
            let warning = Diagnostic::warning(codes::AGAINST_GROUND, text, at).label("longer than that");
            Some(warning.also(because, &known.title).help(remedy))
        }
        Bound::Usual => None,
    }
}

fn span(known: &Entry) -> String {
    match PERIODS.iter().find(|word| alignment(word) == Some(known.start)) {
        Some(period) if known.start != Alignment::Day => {
            format!("{} from the {}", known.term, period.replacen("end of", "end of the", 1))
        }
        _ => known.term.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_catalogue_is_read_and_cited() {
        let file: File = toml::from_str(NL).unwrap();
        assert_eq!(file.ground.len(), all().len(), "a line could not be read");
        assert!(as_of().parse::<NaiveDate>().is_ok());
        for entry in all() {
            assert!(looks_like_id(&entry.id), "{}", entry.id);
            assert!(all().iter().filter(|other| other.id == entry.id).count() == 1, "{} twice", entry.id);
            assert!(entry.source.starts_with("https://"), "{}", entry.id);
            assert!(!entry.title.is_empty() && !entry.title_nl.is_empty() && !entry.law.is_empty(), "{}", entry.id);
        }
    }
}
