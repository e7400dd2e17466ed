//! What is due in the firm, counted in plain SQL, without the engine.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::{Row, SqliteConnection};

/// How many (record, part) pairs stand where: `due`, `settled`, or the word of a reason to keep
/// ([`crate::domain::decide::KeepReason::word`]).
pub type Verdicts = BTreeMap<String, u64>;

/// What a plan over the untouched firm must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The day that it was counted for.
    pub today: NaiveDate,
    /// Verdicts by rule and part.
    pub verdicts: BTreeMap<(String, String), Verdicts>,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
}

impl Truth {
    /// How many pairs of this part are due.
    pub fn due(&self, rule: &str, part: &str) -> u64 {
        self.of(rule, part, "due")
    }

    /// How many pairs of this rule are due, over its parts.
    pub fn due_of_rule(&self, rule: &str) -> u64 {
        self.verdicts.iter().filter(|((one, _), _)| one == rule).filter_map(|(_, verdicts)| verdicts.get("due")).sum()
    }

    /// How many pairs of this part have this verdict.
    pub fn of(&self, rule: &str, part: &str, verdict: &str) -> u64 {
        let verdicts = self.verdicts.get(&(rule.to_string(), part.to_string()));
        verdicts.and_then(|verdicts| verdicts.get(verdict)).copied().unwrap_or(0)
    }

    /// The rows of a table.
    pub fn rows(&self, table: &str) -> u64 {
        self.rows.get(table).copied().unwrap_or(0)
    }
}

// A day that is over, plus the term: the day after the clock is moved, as SQLite moves days (29 February becomes 1 March).
const CUSTOMERS: &str = "
WITH read AS (
  SELECT
    coalesce(substr(last_login_at, 1, 10), '') AS login,
    coalesce((SELECT max(substr(created_at, 1, 10)) FROM orders WHERE customer_id = customers.id), '') AS ordered,
    EXISTS (SELECT 1 FROM invoices WHERE customer_id = customers.id AND paid = 0) AS open
  FROM customers WHERE role = 'customer'
), newest AS (SELECT max(login, ordered) AS day, open FROM read)
SELECT CASE
  WHEN open THEN 'protected'
  WHEN day = '' THEN 'no-clock'
  WHEN day = '0000-00-00' THEN 'zero-date'
  WHEN day > ?1 THEN 'future-date'
  WHEN date(day, '+1 day', '+2 years') <= ?1 THEN 'due'
  ELSE 'not-yet-due' END AS verdict, count(*) AS pairs
FROM newest GROUP BY 1";

const INVOICES_CONTACT: &str = "
SELECT CASE
  WHEN phone IS NULL AND notes IS NULL THEN 'settled'
  WHEN paid = 0 THEN 'protected'
  WHEN coalesce(invoice_date, '') = '' THEN 'no-clock'
  WHEN invoice_date = '0000-00-00' THEN 'zero-date'
  WHEN invoice_date > ?1 THEN 'future-date'
  WHEN date(invoice_date, '+1 day', '+2 years') <= ?1 THEN 'due'
  ELSE 'not-yet-due' END AS verdict, count(*) AS pairs
FROM invoices GROUP BY 1";

const INVOICES_CORE: &str = "
SELECT CASE
  WHEN name = '[verwijderd]' AND address IS NULL THEN 'settled'
  WHEN paid = 0 THEN 'protected'
  WHEN coalesce(invoice_date, '') = '' THEN 'no-clock'
  WHEN invoice_date = '0000-00-00' THEN 'zero-date'
  WHEN invoice_date > ?1 THEN 'future-date'
  WHEN date(invoice_date, 'start of year', '+8 years') <= ?1 THEN 'due'
  ELSE 'not-yet-due' END AS verdict, count(*) AS pairs
FROM invoices GROUP BY 1";

const SIGN_UPS: &str = "
SELECT CASE
  WHEN subscribed_at = 0 THEN 'zero-date'
  WHEN date(subscribed_at, 'unixepoch') > ?1 THEN 'future-date'
  WHEN date(subscribed_at, 'unixepoch', '+91 days') <= ?1 THEN 'due'
  ELSE 'not-yet-due' END AS verdict, count(*) AS pairs
FROM newsletter WHERE confirmed_at IS NULL GROUP BY 1";

const CONTACTS: &str = "
WITH read AS (
  SELECT
    CASE
      WHEN coalesce(last_contact, '') = '' THEN ''
      WHEN last_contact = '00-00-0000' THEN '0000-00-00'
      WHEN last_contact GLOB '[0-9][0-9]-[0-9][0-9]-[0-9][0-9][0-9][0-9]'
        THEN substr(last_contact, 7) || '-' || substr(last_contact, 4, 2) || '-' || substr(last_contact, 1, 2)
      WHEN last_contact GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]' THEN last_contact
      ELSE 'unreadable' END AS contact,
    coalesce((SELECT max(substr(written_at, 1, 10)) FROM notes WHERE contact_id = contacts.id), '') AS written
  FROM contacts
), newest AS (SELECT max(contact, written) AS day FROM read)
SELECT CASE
  WHEN day = 'unreadable' THEN 'unreadable-date'
  WHEN day = '' THEN 'no-clock'
  WHEN day = '0000-00-00' THEN 'zero-date'
  WHEN day > ?1 THEN 'future-date'
  WHEN date(day, '+1 day', '+2 years') <= ?1 THEN 'due'
  ELSE 'not-yet-due' END AS verdict, count(*) AS pairs
FROM newest GROUP BY 1";

const SHOP_ROWS: &str = "
SELECT 'customers' AS name, count(*) AS rows FROM customers
UNION ALL SELECT 'addresses', count(*) FROM addresses
UNION ALL SELECT 'carts', count(*) FROM carts
UNION ALL SELECT 'orders', count(*) FROM orders
UNION ALL SELECT 'order_lines', count(*) FROM order_lines
UNION ALL SELECT 'invoices', count(*) FROM invoices
UNION ALL SELECT 'newsletter', count(*) FROM newsletter";

const CRM_ROWS: &str = "
SELECT 'contacts' AS name, count(*) AS rows FROM contacts
UNION ALL SELECT 'notes', count(*) FROM notes
UNION ALL SELECT 'contact_tags', count(*) FROM contact_tags";

/// Counts everything.
pub(super) async fn count(
    webshop: &mut SqliteConnection,
    crm: &mut SqliteConnection,
    today: NaiveDate,
) -> Result<Truth, sqlx::Error> {
    let mut truth = Truth { today, verdicts: BTreeMap::new(), rows: BTreeMap::new() };
    for (rule, part, query) in [
        ("inactive-customers", "record", CUSTOMERS),
        ("invoices", "contact", INVOICES_CONTACT),
        ("invoices", "core", INVOICES_CORE),
        ("unconfirmed-newsletter", "record", SIGN_UPS),
    ] {
        let verdicts = pairs(webshop, query, today).await?;
        truth.verdicts.insert((rule.to_string(), part.to_string()), verdicts);
    }
    let verdicts = pairs(crm, CONTACTS, today).await?;
    truth.verdicts.insert(("crm-contacts".to_string(), "record".to_string()), verdicts);
    truth.rows = pairs(webshop, SHOP_ROWS, today).await?;
    truth.rows.extend(pairs(crm, CRM_ROWS, today).await?);
    Ok(truth)
}

/// Runs a query of two columns, a word and a count.
async fn pairs(on: &mut SqliteConnection, query: &'static str, today: NaiveDate) -> Result<Verdicts, sqlx::Error> {
    let mut pairs = Verdicts::new();
    for row in sqlx::query(query).bind(today.to_string()).fetch_all(on).await? {
        let count: i64 = row.try_get(1)?;
        pairs.insert(row.try_get(0)?, count.cast_unsigned());
    }
    Ok(pairs)
}
