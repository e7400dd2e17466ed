//! Times of the day in which purging may happen.

use super::Pace;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// From one minute of the day to another, over midnight where the end is the earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: u32,
    to: u32,
    /// The pace within it; the system's where it says none.
    pub pace: Option<Pace>,
}

impl Window {
    /// Reads "22:00-06:00". The end is no part of it; "00:00-24:00" is the whole day.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minute(from.trim())?, minute(to.trim())?);
        (from < DAY && from != to).then_some(Self { from, to, pace: None })
    }

    /// The same window at a pace of its own.
    #[must_use]
    pub fn at(self, pace: Option<Pace>) -> Self {
        Self { pace, ..self }
    }

    /// Whether a minute of the day is in it.
    pub fn has(&self, minute: u32) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }

    /// Minutes until it opens again.
    pub(super) fn opens_in(&self, minute: u32) -> u32 {
        if self.has(minute) { 0 } else { (self.from + DAY - minute.min(DAY)) % DAY }
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two =
        |text: &str| (text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit())).then(|| text.parse::<u32>().ok());
    let (hour, minute) = (two(hour)??, two(minute)??);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}
