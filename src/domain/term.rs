//! Terms: calendar spans, never seconds; and the day on which something is due.

use std::fmt;

use chrono::{Datelike, Days, Months, NaiveDate};
use serde::{Deserialize, Serialize};

/// How long something is kept: years and months first, then weeks and days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Term {
    months: u32,
    days: u32,
}

/// Why a text is no term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTerm {
    /// Nothing, or nothing but zeros: it would make everything due at once.
    #[error("a term of zero would make every record due at once")]
    Zero,
    /// Not a number followed by a unit.
    #[error(
        "write a term as numbers and units, such as \"2 years\", \"18 months\", \"1 year 6 months\" or \"90 days\""
    )]
    Shape,
    /// A unit that is no calendar unit of a day or longer.
    #[error("`{0}` is no unit of a term: use years, months, weeks or days")]
    Unit(String),
    /// More than 200 years.
    #[error("a term is at most 200 years")]
    TooLong,
}

impl Term {
    const MAX_MONTHS: u32 = 200 * 12;
    const MAX_DAYS: u32 = 200 * 366;

    /// A term of calendar months and days; refuses zero and more than 200 years.
    pub fn new(months: u32, days: u32) -> Result<Self, BadTerm> {
        match (months, days) {
            (0, 0) => Err(BadTerm::Zero),
            (m, d) if m > Self::MAX_MONTHS || d > Self::MAX_DAYS => Err(BadTerm::TooLong),
            (months, days) => Ok(Self { months, days }),
        }
    }

    /// Reads "2 years", "1 year 6 months", "90 days", Dutch units ("2 jaar"), and ISO 8601 ("P2Y6M").
    pub fn parse(text: &str) -> Result<Self, BadTerm> {
        if let Some(rest) = text.strip_prefix('P') {
            return Self::parse_iso(rest);
        }
        let words: Vec<&str> = text.split_ascii_whitespace().filter(|w| !matches!(*w, "and" | "en")).collect();
        if words.is_empty() || !words.len().is_multiple_of(2) {
            return Err(BadTerm::Shape);
        }
        let (mut months, mut days) = (0u32, 0u32);
        for pair in words.chunks_exact(2) {
            let [number, unit] = pair else { return Err(BadTerm::Shape) };
            add_units(&mut months, &mut days, number, unit)?;
        }
        Self::new(months, days)
    }

    fn parse_iso(text: &str) -> Result<Self, BadTerm> {
        let (mut months, mut days, mut number) = (0u32, 0u32, String::new());
        for c in text.chars() {
            if c.is_ascii_digit() {
                number.push(c);
            } else {
                let unit = match c {
                    'Y' => "years",
                    'M' => "months",
                    'W' => "weeks",
                    'D' => "days",
                    other => return Err(BadTerm::Unit(other.to_string())),
                };
                add_units(&mut months, &mut days, &number, unit)?;
                number.clear();
            }
        }
        if number.is_empty() { Self::new(months, days) } else { Err(BadTerm::Shape) }
    }

    /// The day plus this term; a day that the month does not have becomes its last day. `None` beyond the calendar.
    pub fn after(self, day: NaiveDate) -> Option<NaiveDate> {
        day.checked_add_months(Months::new(self.months))?.checked_add_days(Days::new(self.days.into()))
    }

    /// The day less this term. `None` before the calendar.
    pub fn before(self, day: NaiveDate) -> Option<NaiveDate> {
        day.checked_sub_days(Days::new(self.days.into()))?.checked_sub_months(Months::new(self.months))
    }

    /// Whether this term is never longer than the other, whatever the day it counts from; `None` where it depends.
    pub fn is_shorter_than(self, other: Self) -> Option<bool> {
        match (self.months.cmp(&other.months), self.days.cmp(&other.days)) {
            (std::cmp::Ordering::Equal, days) => Some(days.is_lt()),
            (months, std::cmp::Ordering::Equal) => Some(months.is_lt()),
            (months, days) if months == days => Some(months.is_lt()),
            _ => None,
        }
    }
}

fn add_units(months: &mut u32, days: &mut u32, number: &str, unit: &str) -> Result<(), BadTerm> {
    let number: u32 = number.parse().map_err(|_| BadTerm::Shape)?;
    let (to, factor) = match unit.to_lowercase().as_str() {
        "year" | "years" | "jaar" | "jaren" => (months, 12),
        "month" | "months" | "maand" | "maanden" => (months, 1),
        "week" | "weeks" | "weken" => (days, 7),
        "day" | "days" | "dag" | "dagen" => (days, 1),
        other => return Err(BadTerm::Unit(other.to_string())),
    };
    let more = number.checked_mul(factor).and_then(|n| to.checked_add(n));
    *to = more.ok_or(BadTerm::TooLong)?;
    Ok(())
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (years, months) = (self.months / 12, self.months % 12);
        let mut words = Vec::new();
        for (n, one, many) in [(years, "year", "years"), (months, "month", "months"), (self.days, "day", "days")] {
            if n > 0 {
                words.push(format!("{n} {}", if n == 1 { one } else { many }));
            }
        }
        f.pad(&words.join(" "))
    }
}

/// The period at whose end a term starts to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alignment {
    /// The day of the clock itself.
    #[default]
    Day,
    /// The last day of the clock's month.
    EndOfMonth,
    /// 31 December of the clock's year.
    EndOfCalendarYear,
    /// The last day of the clock's financial year.
    EndOfFinancialYear,
}

/// The first day of the firm's financial year. 1 January unless the policy says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FinancialYear {
    /// 1 to 12.
    pub month: u32,
    /// 1 to 28, so that each year has that day.
    pub day: u32,
}

impl Default for FinancialYear {
    fn default() -> Self {
        Self { month: 1, day: 1 }
    }
}

impl Alignment {
    /// The first day after the aligned period that the day lies in.
    fn day_after_period(self, day: NaiveDate, year: FinancialYear) -> Option<NaiveDate> {
        match self {
            Self::Day => day.succ_opt(),
            Self::EndOfMonth => day.with_day(1)?.checked_add_months(Months::new(1)),
            Self::EndOfCalendarYear => NaiveDate::from_ymd_opt(day.year() + 1, 1, 1),
            Self::EndOfFinancialYear => {
                let start = NaiveDate::from_ymd_opt(day.year(), year.month, year.day)?;
                if day < start { Some(start) } else { NaiveDate::from_ymd_opt(day.year() + 1, year.month, year.day) }
            }
        }
    }
}

/// The day from whose start a record with this clock day is due.
///
/// The later of (first day after the aligned period, plus the term) and (last day of the aligned period plus the term,
/// then the next day), so that it is never before the clock's own moment plus the term: 28-02-2024 + 1 year is due on
/// 01-03-2025. `None` when that lies beyond the calendar, which means never.
pub fn due_day(clock: NaiveDate, term: Term, from: Alignment, year: FinancialYear) -> Option<NaiveDate> {
    let after = from.day_after_period(clock, year)?;
    let last = after.pred_opt()?;
    Some(term.after(after)?.max(term.after(last)?.succ_opt()?))
}

/// The newest clock day that can possibly be due on `today`: generous by some days, for a server to preselect by.
/// Whatever it lets through is decided again by [`due_day`].
pub fn newest_clock_that_may_be_due(today: NaiveDate, term: Term) -> NaiveDate {
    term.before(today).and_then(|day| day.checked_add_days(Days::new(4))).unwrap_or(NaiveDate::MIN)
}

/// The newest clock day that is due on `today`, so that anybody can count with a plain comparison.
pub fn last_clock_that_is_due(today: NaiveDate, term: Term, from: Alignment, year: FinancialYear) -> Option<NaiveDate> {
    let mut day = newest_clock_that_may_be_due(today, term);
    // An aligned period is a year at most, so what lies further back than that and the term is due.
    for _ in 0..800 {
        if due_day(day, term, from, year).is_some_and(|due| due <= today) {
            return Some(day);
        }
        day = day.pred_opt()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_clock_that_is_due_is_the_last() {
        let year = FinancialYear { month: 7, day: 1 };
        for today in ["2024-02-29", "2025-03-01", "2026-07-01", "2026-11-27"] {
            for from in
                [Alignment::Day, Alignment::EndOfMonth, Alignment::EndOfCalendarYear, Alignment::EndOfFinancialYear]
            {
                for term in ["2 years", "7 years", "18 months", "90 days"] {
                    let (today, term) = (day(today), Term::parse(term).unwrap());
                    let last = last_clock_that_is_due(today, term, from, year).unwrap();
                    assert!(due_day(last, term, from, year).unwrap() <= today);
                    assert!(due_day(last.succ_opt().unwrap(), term, from, year).unwrap() > today);
                }
            }
        }
    }

    #[test]
    fn due_days_of_the_calendar() {
        let year = FinancialYear::default();
        let broken = FinancialYear { month: 7, day: 1 };
        for (clock, term, from, year, due) in [
            ("2024-02-28", "1 year", Alignment::Day, year, "2025-03-01"),
            ("2024-02-29", "1 year", Alignment::Day, year, "2025-03-01"),
            ("2023-02-28", "1 year", Alignment::Day, year, "2024-03-01"),
            ("2023-03-14", "2 years", Alignment::Day, year, "2025-03-15"),
            ("2024-01-31", "1 month", Alignment::Day, year, "2024-03-01"),
            ("2024-01-30", "1 month", Alignment::Day, year, "2024-03-01"),
            ("2024-12-31", "90 days", Alignment::Day, year, "2025-04-01"),
            ("2024-05-06", "1 month", Alignment::EndOfMonth, year, "2024-07-01"),
            ("2024-03-14", "7 years", Alignment::EndOfCalendarYear, year, "2032-01-01"),
            ("2024-03-14", "7 years", Alignment::EndOfFinancialYear, broken, "2031-07-01"),
            ("2024-07-01", "7 years", Alignment::EndOfFinancialYear, broken, "2032-07-01"),
        ] {
            let found = due_day(day(clock), Term::parse(term).unwrap(), from, year);
            assert_eq!(found, Some(day(due)), "{clock} + {term} {from:?}");
        }
    }

    #[test]
    fn terms_are_read() {
        for (text, months, days) in [
            ("2 years", 24, 0),
            ("1 year 6 months", 18, 0),
            ("2 jaar", 24, 0),
            ("1 jaar en 2 weken", 12, 14),
            ("P2Y6M", 30, 0),
            ("P1W", 0, 7),
            ("90 days", 0, 90),
        ] {
            assert_eq!(Term::parse(text), Term::new(months, days), "{text}");
        }
        assert_eq!(Term::parse("0 days"), Err(BadTerm::Zero));
        assert_eq!(Term::parse("P"), Err(BadTerm::Zero));
        assert_eq!(Term::parse("2 hours"), Err(BadTerm::Unit("hours".into())));
        assert_eq!(Term::parse("-2 years"), Err(BadTerm::Shape));
        assert_eq!(Term::parse("2.5 years"), Err(BadTerm::Shape));
        assert_eq!(Term::parse("years 2"), Err(BadTerm::Shape));
        assert_eq!(Term::parse(""), Err(BadTerm::Shape));
        assert_eq!(Term::parse("4000000000 years"), Err(BadTerm::TooLong));
        assert_eq!(Term::parse("1 year 6 months").unwrap().to_string(), "1 year 6 months");
    }

    fn any_day() -> impl Strategy<Value = NaiveDate> {
        (0u64..40_000).prop_map(|n| day("1990-01-01").checked_add_days(Days::new(n)).unwrap())
    }
    fn any_term() -> impl Strategy<Value = Term> {
        (0u32..240, 0u32..800).prop_filter_map("zero", |(m, d)| Term::new(m, d).ok())
    }
    fn any_alignment() -> impl Strategy<Value = Alignment> {
        prop_oneof![
            Just(Alignment::Day),
            Just(Alignment::EndOfMonth),
            Just(Alignment::EndOfCalendarYear),
            Just(Alignment::EndOfFinancialYear)
        ]
    }

    proptest! {
        #[test]
        fn never_before_the_clock_plus_the_term(
            clock in any_day(), term in any_term(), from in any_alignment(), month in 1u32..=12, d in 1u32..=28,
        ) {
            let due = due_day(clock, term, from, FinancialYear { month, day: d }).unwrap();
            // Any moment of the clock's day plus the term lies on `term.after(clock)`; due starts on a later day.
            prop_assert!(due > term.after(clock).unwrap());
        }

        #[test]
        fn alignment_and_longer_terms_only_lengthen(clock in any_day(), term in any_term(), from in any_alignment()) {
            let year = FinancialYear::default();
            let due = due_day(clock, term, from, year).unwrap();
            prop_assert!(due >= due_day(clock, term, Alignment::Day, year).unwrap());
            let longer = Term::new(term.months + 1, term.days + 1).unwrap();
            prop_assert!(due_day(clock, longer, from, year).unwrap() >= due);
        }

        #[test]
        fn the_preselection_loses_nothing(clock in any_day(), term in any_term(), from in any_alignment(), late in 0u64..900) {
            let due = due_day(clock, term, from, FinancialYear::default()).unwrap();
            let today = due.checked_add_days(Days::new(late)).unwrap();
            prop_assert!(clock <= newest_clock_that_may_be_due(today, term));
        }

        #[test]
        fn printing_a_term_reads_back(term in any_term()) {
            prop_assert_eq!(Term::parse(&term.to_string()), Ok(term));
        }
    }
}
