//! Invented people and the chance that rules their lives.

use chrono::{Days, NaiveDate};

/// A small generator (SplitMix64): the same seed gives the same firm on every machine.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// From a seed and a stream, so that one person's life does not depend on another's.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// True in so many of a thousand cases.
    pub(super) fn of_thousand(&mut self, cases: u64) -> bool {
        self.below(1000) < cases
    }

    /// One of these.
    pub(super) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let place = usize::try_from(self.below(of.len() as u64)).unwrap_or(0);
        of.get(place).copied().unwrap_or("")
    }

    /// So many days, fewer more often than many: a firm that grew.
    pub(super) fn days_ago(&mut self, most: u64) -> u64 {
        let part = self.below(10_000);
        most * part * part / 100_000_000
    }

    /// A uuid in text.
    pub(super) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let (high, middle, low) = (a >> 32, a >> 16 & 0xFFFF, a & 0x0FFF);
        format!("{high:08x}-{middle:04x}-4{low:03x}-{:04x}-{:012x}", b >> 48 & 0x3FFF | 0x8000, b & 0xFFFF_FFFF_FFFF)
    }
}

/// A day so long ago.
pub(super) fn days_before(today: NaiveDate, days: u64) -> NaiveDate {
    today.checked_sub_days(Days::new(days)).unwrap_or(today)
}

/// A day so far ahead.
pub(super) fn days_after(today: NaiveDate, days: u64) -> NaiveDate {
    today.checked_add_days(Days::new(days)).unwrap_or(today)
}

/// A moment of that day within opening hours, as MySQL once wrote it.
pub(super) fn moment(day: NaiveDate, chance: &mut Chance) -> String {
    format!("{day} {:02}:{:02}:{:02}", 8 + chance.below(12), chance.below(60), chance.below(60))
}

const FIRST: [&str; 40] = [
    "Jan", "Maria", "Pieter", "Anna", "Kees", "Johanna", "Sanne", "Daan", "Sem", "Emma", "Lotte", "Bram", "Fatima",
    "Mohammed", "Yusuf", "Aylin", "Noor", "Thijs", "Femke", "Joost", "Zoë", "Renée", "Björn", "Chloé", "Ruben", "Iris",
    "Willem", "Hendrik", "Marieke", "Eva", "Lars", "Julia", "Niels", "Roos", "Sjoerd", "Tjitske", "Wietske", "Gijs",
    "Mila", "Levi",
];
const LAST: [&str; 40] = [
    "de Jong",
    "Jansen",
    "de Vries",
    "van den Berg",
    "van Dijk",
    "Bakker",
    "Janssen",
    "Visser",
    "Smit",
    "Meijer",
    "de Boer",
    "Mulder",
    "de Groot",
    "Bos",
    "Vos",
    "Peters",
    "Hendriks",
    "van Leeuwen",
    "Dekker",
    "Brouwer",
    "de Wit",
    "Dijkstra",
    "Smits",
    "de Graaf",
    "van der Meer",
    "van der Linden",
    "Kok",
    "Jacobs",
    "de Haan",
    "Vermeulen",
    "van den Heuvel",
    "van der Veen",
    "Yılmaz",
    "El Amrani",
    "Kowalski",
    "Nguyen",
    "O'Brien",
    "'t Hart",
    "Sørensen",
    "Müller",
];
const STREET: [&str; 16] = [
    "Dorpsstraat",
    "Kerkstraat",
    "Stationsweg",
    "Molenweg",
    "Schoolstraat",
    "Julianalaan",
    "Wilhelminastraat",
    "Beatrixlaan",
    "Industrieweg",
    "Parallelweg",
    "Nieuwstraat",
    "Eikenlaan",
    "Lindelaan",
    "Sportlaan",
    "Markt",
    "Havenkade",
];
const CITY: [&str; 16] = [
    "Utrecht",
    "Amersfoort",
    "Zwolle",
    "Groningen",
    "Leeuwarden",
    "Assen",
    "Arnhem",
    "Nijmegen",
    "Tilburg",
    "Breda",
    "Eindhoven",
    "Maastricht",
    "Middelburg",
    "Haarlem",
    "Leiden",
    "'s-Hertogenbosch",
];

/// Somebody who does not exist.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) phone: Option<String>,
    pub(super) street: String,
    pub(super) number: String,
    pub(super) postcode: String,
    pub(super) city: &'static str,
}

impl Person {
    /// The n-th of them, the same in both systems.
    pub(super) fn nth(n: u64) -> Self {
        let mut chance = Chance::new(0x00BE_3AA2, n);
        let (first, last) = (chance.pick(&FIRST), chance.pick(&LAST));
        let plain: String = format!("{first}.{last}")
            .to_lowercase()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
            .collect();
        let digits = format!("{:06}", chance.below(1_000_000));
        // 06-00 is given to nobody.
        let phone = match chance.below(10) {
            0 | 1 => None,
            2 | 3 => Some(format!("+31600{digits}")),
            4 => Some(format!("0031 6 00{digits}")),
            _ => Some(format!("06-00{digits}")),
        };
        let letters = chance.pick(&["AB", "CD", "EK", "GH", "JN", "LP", "RS", "TX", "VZ"]);
        let space = if chance.of_thousand(800) { " " } else { "" };
        Self {
            name: format!("{first} {last}"),
            email: format!("{plain}{n}@post.example"),
            phone,
            street: chance.pick(&STREET).to_string(),
            number: format!("{}{}", 1 + chance.below(180), chance.pick(&["", "", "", "", "a", "-2"])),
            postcode: format!("{}{space}{letters}", 1000 + chance.below(9000)),
            city: CITY.get(usize::try_from(chance.below(16)).unwrap_or(0)).copied().unwrap_or("Utrecht"),
        }
    }

    /// The address on one line, as an invoice has it.
    pub(super) fn address(&self) -> String {
        format!("{} {}, {} {}", self.street, self.number, self.postcode, self.city)
    }
}
