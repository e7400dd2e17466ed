//! Any text as a term, and the days that follow from it: nothing is due too early, and a later clock is never due before
//! an earlier one.

use bewaard::domain::term::{
    Alignment, FinancialYear, Term, due_day, last_clock_that_is_due, newest_clock_that_may_be_due,
};
use chrono::{Days, NaiveDate};

use super::input::Input;

const ALIGNMENTS: [Alignment; 4] =
    [Alignment::Day, Alignment::EndOfMonth, Alignment::EndOfCalendarYear, Alignment::EndOfFinancialYear];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let from = *input.one_of(&ALIGNMENTS);
    let year = FinancialYear { month: 1 + u32::from(input.byte() % 12), day: 1 + u32::from(input.byte() % 28) };
    let (day, gap) = (day(&mut input), u64::from(input.byte()));
    let Ok(term) = Term::parse(&input.text()) else { return };
    assert_eq!(Term::parse(&term.to_string()), Ok(term), "{term} does not read back");
    assert_eq!(term.is_shorter_than(term), Some(false));

    let Some(due) = due_day(day, term, from, year) else { return };
    assert!(due > day, "due on the clock's own day");
    let plain = term.after(day).expect("what is due has a day");
    assert!(due > plain, "before the clock's own moment plus the term");
    if let Some(later) = day.checked_add_days(Days::new(gap)) {
        let later = due_day(later, term, from, year);
        assert!(later.is_none_or(|later| later >= due), "a later clock is due earlier");
    }
    // An aligned period is a year at most.
    let most = term.after(day.checked_add_days(Days::new(367)).expect("far from the calendar's end"));
    assert!(most.is_none_or(|most| due <= most.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX)), "too late");
    cut_off(day, due, term, from, year);
}

/// The day that a server selects by lets through all that is due, and the day for people is exact.
fn cut_off(clock: NaiveDate, today: NaiveDate, term: Term, from: Alignment, year: FinancialYear) {
    assert!(clock <= newest_clock_that_may_be_due(today, term), "what is due is not selected");
    let last = last_clock_that_is_due(today, term, from, year).expect("something is due");
    assert!(last >= clock);
    assert!(due_day(last, term, from, year).is_some_and(|due| due <= today));
    let next = last.succ_opt().and_then(|next| due_day(next, term, from, year));
    assert!(next.is_none_or(|next| next > today), "a newer clock is due as well");
}

/// A day of the years 1 to 9999.
fn day(input: &mut Input<'_>) -> NaiveDate {
    let days = input.number() % 3_652_058;
    NaiveDate::from_num_days_from_ce_opt(1 + days.cast_signed()).expect("a day of these years")
}
