//! Random values: keys, texts, and days around the boundary of a term.

use chrono_tz::Tz;

use super::calendar::{DAY, Day, Term, after, civil, day_of, moment, show, show_time};
use super::engines::Engine;
use super::rules::Format;
use super::texts;
use super::value::{Kind, Value};
use crate::sweep::Dice;

/// The random choices of one case.
pub(crate) struct Draw {
    pub(crate) dice: Dice,
    pub(crate) engine: Engine,
    pub(crate) zone: Tz,
    pub(crate) today: Day,
    /// The terms of the case's rules: days are drawn around their boundaries.
    pub(crate) terms: Vec<Term>,
}

/// Texts that conditions ask for.
pub(crate) const SORTS: [&str; 12] =
    ["customer", "Customer", "staff", "VIP", "vip ", "", "o'clock", "100%", "a_b", "axb", "zoë", "ZOE"];

const NAMES: [&str; 8] =
    ["Jan Jansen", "d'Artagnan", "[removed]", "", "Zoë \"Z\" ☃", "a\\b", "tab\tline\nend", "🚲 Piet"];

impl Draw {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.dice.below(end)
    }

    pub(crate) fn chance(&mut self, per_cent: u64) -> bool {
        self.below(100) < per_cent
    }

    /// A number from one to the other, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(high.abs_diff(low) + 1)).unwrap()
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        let place = self.below(all.len() as u64);
        all[usize::try_from(place).unwrap()].clone()
    }

    /// A value of a key column, different for each number; some differ only in what an engine must tell apart.
    pub(crate) fn key(&mut self, kind: Kind, number: i64) -> Value {
        match kind {
            Kind::Int => {
                let odd = [0, -1, 9_007_199_254_740_993, i64::MAX - 100_000, i64::MIN + 100_000];
                let base = if self.chance(5) { self.pick(&odd) } else { 1_000 };
                // Downwards from -1, so that it never meets what counts from 0.
                Value::Int(if base == -1 { base - number } else { base + number })
            }
            Kind::Uuid => Value::Text(format!("{:08x}-0000-4000-8000-{number:012x}", self.below(1 << 32))),
            Kind::Binary => {
                let mut bytes = vec![u8::try_from(self.below(256)).unwrap(), 0, b'\''];
                bytes.extend(number.to_be_bytes().into_iter().skip(5));
                if self.chance(30) {
                    bytes.extend([0, 32]);
                }
                Value::Bytes(bytes)
            }
            _ => {
                let odd = ["k", "K", "é", "a b", "'", "\"", "%", "_", "\\", "☃", " ", "0", "-"];
                Value::Text(format!("{}{number}", self.pick(&odd)))
            }
        }
    }

    /// A moment as a clock on a wall shows it: mostly near the boundary of a term.
    pub(crate) fn wall(&mut self) -> i64 {
        let terms = self.terms.clone();
        let term = self.pick(&terms);
        let back = after(self.today, Term { months: -term.months, days: 0 }) - term.days;
        let (year, month, _) = civil(back);
        let day = match self.below(20) {
            0..=5 => back + self.between(-3, 2),
            6 => day_of(year, month, 1) + self.between(-1, 0),
            7 => day_of(year, 1, 1) + self.between(-1, 0),
            8 => {
                let leap = year - year.rem_euclid(4);
                self.pick(&[day_of(leap, 2, 28), day_of(leap, 2, 29), day_of(leap, 3, 1)])
            }
            9..=15 => back - self.between(30, 3_000),
            16 => self.today - self.between(2, 300),
            17 => self.today + self.between(-1, 1),
            18 => self.today + self.between(1, 400),
            // Where the clocks of Europe were set.
            _ => self.pick(&[day_of(2020, 3, 29), day_of(2020, 10, 25), day_of(2024, 3, 31), day_of(2024, 10, 27)]),
        };
        let time = match self.below(4) {
            0 => self.pick(&[0, 1, 86_399]),
            1 => self.pick(&[82_800, 79_200, 3_600, 3_599, 7_200, 9_000]),
            _ => self.between(0, 86_399),
        };
        day.max(day_of(1970, 1, 4)) * DAY + time
    }

    /// The value of a clock; `zone` is where its times are written.
    pub(crate) fn clock(&mut self, kind: Kind, zone: Tz, null: bool) -> Value {
        if null && self.chance(6) {
            return Value::Null;
        }
        if self.chance(5)
            && let Some(odd) = self.odd(kind)
        {
            return odd;
        }
        let wall = self.wall();
        let utc = moment(zone, wall);
        match kind {
            Kind::Date => Value::Text(show(wall.div_euclid(DAY))),
            Kind::DateTime => Value::Text(show_time(wall)),
            // MariaDB's moments end in January 2038.
            Kind::Moment => Value::Text(show_time(utc.clamp(1, day_of(2038, 1, 1) * DAY))),
            Kind::Epoch => Value::Int(utc),
            Kind::EpochMillis => Value::Int(utc * 1_000 + self.between(0, 999)),
            Kind::IsoText => Value::Text(self.iso(wall, utc)),
            Kind::DutchText => {
                let (year, month, day) = civil(wall.div_euclid(DAY));
                let time = if self.chance(50) { show_time(wall)[10..16].to_string() } else { String::new() };
                Value::Text(format!("{day:02}-{month:02}-{year:04}{time}"))
            }
            other => panic!("no clock: {other:?}"),
        }
    }

    fn iso(&mut self, wall: i64, utc: i64) -> String {
        let (wall_text, utc_text) = (show_time(wall), show_time(utc));
        match self.below(8) {
            0 => wall_text[..10].to_string(),
            1 => wall_text[..16].to_string(),
            2 => wall_text.replace(' ', "T"),
            3 => utc_text.replace(' ', "T") + "Z",
            4 => format!("{utc_text}.123456+00:00"),
            5 => show_time(utc + 7_200) + "+02:00",
            6 => show_time(utc - 16_200).replace(' ', "T") + "-04:30",
            _ => wall_text,
        }
    }

    /// A value that is no day, or hardly one.
    fn odd(&mut self, kind: Kind) -> Option<Value> {
        let text = |draw: &mut Self, all: &[&str]| Some(Value::text(draw.pick(all)));
        let sqlite = self.engine == Engine::Sqlite;
        match (kind, self.engine) {
            (Kind::Epoch, _) => Some(Value::Int(self.pick(&[0, -5, 1, 86_399, 200_000]))),
            (Kind::EpochMillis, _) => Some(Value::Int(self.pick(&[0, -1, 999, 86_399_999, 200_000_000]))),
            (Kind::DutchText, _) => {
                text(self, &["", "00-00-0000", "2023-03-14", "31-02-2023", "gisteren", "31-12-1969"])
            }
            _ if sqlite || kind == Kind::IsoText => {
                let all = [
                    "",
                    "  ",
                    "0000-00-00",
                    "0000-00-00 00:00:00",
                    "2020-00-00",
                    "2020-05-00 00:00:00",
                    "gisteren",
                    "14-03-2023",
                    "2023-02-30",
                    "1969-12-31",
                    "1970-01-01",
                    "1970-01-02",
                    "infinity",
                    "2020-01-01x",
                ];
                text(self, &all)
            }
            (Kind::Date, Engine::Mariadb) => text(
                self,
                &["0000-00-00", "2020-00-00", "2020-05-00", "1969-12-31", "1970-01-01", "1970-01-02", "1000-01-01"],
            ),
            (Kind::DateTime, Engine::Mariadb) => text(
                self,
                &["0000-00-00 00:00:00", "2020-05-00 00:00:00", "1969-12-31 23:59:59", "1970-01-03 00:00:00"],
            ),
            (Kind::Moment, Engine::Mariadb) => text(self, &["0000-00-00 00:00:00", "1970-01-01 00:00:01"]),
            (Kind::Date, _) => {
                text(self, &["infinity", "-infinity", "0044-03-15 BC", "1969-12-31", "1970-01-02", "0001-01-01"])
            }
            (Kind::DateTime | Kind::Moment, _) => text(
                self,
                &["infinity", "-infinity", "0044-03-15 12:00:00 BC", "1969-12-31 23:59:59", "1970-01-04 00:00:00"],
            ),
            _ => None,
        }
    }

    /// A format that reads columns of this kind.
    pub(crate) fn format(kind: Kind) -> Format {
        match kind {
            Kind::Epoch => Format::Epoch,
            Kind::EpochMillis => Format::EpochMillis,
            Kind::DutchText => Format::Dutch,
            _ => Format::Iso,
        }
    }

    /// A kind that a clock may have on this engine.
    pub(crate) fn clock_kind(&mut self) -> Kind {
        let all = [
            Kind::Date,
            Kind::Date,
            Kind::DateTime,
            Kind::DateTime,
            Kind::Moment,
            Kind::Epoch,
            Kind::EpochMillis,
            Kind::IsoText,
            Kind::DutchText,
        ];
        match self.pick(&all) {
            Kind::Moment if self.engine == Engine::Sqlite => Kind::DateTime,
            kind => kind,
        }
    }

    /// The value of a column of this name, as its use wants it.
    pub(crate) fn field(&mut self, name: &str, kind: Kind, null: bool) -> Value {
        if null && self.chance(if name == "cleaned" { 80 } else { 15 }) {
            return Value::Null;
        }
        let joined = |(before, member, rest): (&str, &str, &str)| Value::Text(format!("{before}{member}{rest}"));
        match name {
            "sort" => Value::text(self.pick(&SORTS)),
            "num" => Value::Int(self.between(-3, 12)),
            "flag" => Value::Int(self.between(0, 1)),
            "name" | "note" | "author" | "body" => Value::text(self.pick(&NAMES)),
            "email" => Value::text(self.pick(&texts::EMAILS).0),
            "postcode" => Value::text(self.pick(&texts::POSTCODES).0),
            "ip" => Value::text(self.pick(&texts::ADDRESSES).0),
            "born" if kind == Kind::Date => Value::text(self.pick(&texts::BIRTHS[..5]).0),
            "born" => Value::text(self.pick(&texts::BIRTHS).0),
            "meta" => joined(self.pick(&texts::JSON)),
            "php" => joined(self.pick(&texts::PHP)),
            "seen" | "cleaned" => {
                let wall = self.wall();
                Value::Text(if kind == Kind::Date { show(wall.div_euclid(DAY)) } else { show_time(wall) })
            }
            other => panic!("no field {other}"),
        }
    }
}
