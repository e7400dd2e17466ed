//! The CRM: contacts with notes and tags, partly from an old spreadsheet with Dutch dates.

use chrono::NaiveDate;
use sqlx::SqliteConnection;

use super::people::{Chance, Person, days_after, days_before, moment};
use super::sheet::{Cell, Sheet, insert};
use super::webshop::CUSTOMERS;

const CONTACTS: u64 = 9_000;
const HISTORY: u64 = 4_000;

const TABLES: &str = "
CREATE TABLE contacts (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  email TEXT,
  phone TEXT,
  company TEXT,
  last_contact TEXT,
  source TEXT NOT NULL
);
CREATE TABLE notes (
  id INTEGER PRIMARY KEY,
  contact_id TEXT NOT NULL REFERENCES contacts (id),
  written_at TEXT NOT NULL,
  author TEXT NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE contact_tags (
  contact_id TEXT NOT NULL REFERENCES contacts (id),
  tag TEXT NOT NULL,
  PRIMARY KEY (contact_id, tag)
) WITHOUT ROWID;";

/// Made afterwards: filling is faster without.
const INDEXES: &str = "
CREATE INDEX contacts_email ON contacts (email);
CREATE INDEX contacts_last_contact ON contacts (last_contact);
CREATE INDEX notes_contact_id ON notes (contact_id, written_at);";

struct Crm {
    today: NaiveDate,
    contacts: Sheet<7>,
    notes: Sheet<5>,
    tags: Sheet<2>,
    notes_made: u64,
}

/// Fills an empty database.
pub(super) async fn fill(to: &mut SqliteConnection, today: NaiveDate) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TABLES).execute(&mut *to).await?;
    let mut crm = Crm {
        today,
        contacts: Sheet::new(insert!("contacts", "(?,?,?,?,?,?,?)")),
        notes: Sheet::new(insert!("notes", "(?,?,?,?,?)")),
        tags: Sheet::new(insert!("contact_tags", "(?,?)")),
        notes_made: 0,
    };
    for n in 1..=CONTACTS {
        crm.add_contact(n);
        crm.contacts.spill(to).await?;
        crm.notes.spill(to).await?;
        crm.tags.spill(to).await?;
    }
    crm.contacts.finish(to).await?;
    crm.notes.finish(to).await?;
    crm.tags.finish(to).await?;
    sqlx::raw_sql(INDEXES).execute(to).await.map(drop)
}

impl Crm {
    fn add_contact(&mut self, n: u64) {
        let mut chance = Chance::new(3, n);
        let id = chance.uuid();
        // Every third is a customer of the webshop too, written with a capital by hand.
        let customer = n.is_multiple_of(3);
        let person = Person::nth(if customer { 1 + (n * 5) % CUSTOMERS } else { 2_000_000 + n });
        let email = if customer && n.is_multiple_of(2) { capital(&person.email) } else { person.email };
        let first = chance.days_ago(HISTORY);
        let mut last = first;
        for _ in 0..chance.below(4) {
            let ago = chance.below(first + 1);
            last = last.min(ago);
            self.notes_made += 1;
            let at = moment(days_before(self.today, ago), &mut chance);
            let (author, body) = (chance.pick(&["kees", "marieke", "stagiair"]), chance.pick(&BODIES));
            self.notes.put([self.notes_made.into(), id.clone().into(), at.into(), author.into(), body.into()]);
        }
        for tag in ["zakelijk", "beurs", "lease"] {
            if chance.of_thousand(200) {
                self.tags.put([id.clone().into(), tag.into()]);
            }
        }
        let company = chance.of_thousand(250).then(|| format!("{} B.V.", person.name));
        let (last_contact, source) = self.last_contact(n, last, &mut chance);
        self.contacts.put([
            id.into(),
            person.name.into(),
            email.into(),
            person.phone.into(),
            company.into(),
            last_contact,
            source.into(),
        ]);
    }

    /// When it was, and where that was written.
    fn last_contact(&self, n: u64, last: u64, chance: &mut Chance) -> (Cell, &'static str) {
        let day = days_before(self.today, last);
        match (n % 397, chance.below(100)) {
            (0, _) => ("onbekend".into(), "spreadsheet"),
            (1, _) => ("00-00-0000".into(), "spreadsheet"),
            (2, _) => ("".into(), "crm"),
            (3, 0..50) => (days_after(self.today, 30 + chance.below(300)).to_string().into(), "crm"),
            (_, 0..6) => (Cell::Null, "crm"),
            (_, 6..36) => (day.format("%d-%m-%Y").to_string().into(), "spreadsheet"),
            _ => (day.to_string().into(), "crm"),
        }
    }
}

fn capital(email: &str) -> String {
    let mut letters = email.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const BODIES: [&str; 6] = [
    "Gebeld over leasefietsen, belt terug",
    "Offerte gestuurd",
    "Geen gehoor",
    "Wil pas in het voorjaar",
    "Gesproken op de beurs",
    "Is verhuisd, adres nog navragen",
];
