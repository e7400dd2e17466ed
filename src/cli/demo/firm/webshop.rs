//! The webshop: customers, addresses, carts, orders, invoices, and the sign-ups for the newsletter.

use chrono::{Datelike, NaiveDate};
use sqlx::SqliteConnection;

use super::people::{Chance, Person, days_after, days_before, moment};
use super::sheet::{Cell, Sheet, insert};

/// Who ever had an account, staff among them.
pub(super) const CUSTOMERS: u64 = 52_000;
const STAFF: u64 = 14;
const SIGN_UPS: u64 = 14_000;
/// The firm began so many days ago.
const HISTORY: u64 = 4_000;

const TABLES: &str = "
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  phone TEXT,
  role TEXT NOT NULL CHECK (role IN ('customer', 'staff')),
  created_at TEXT NOT NULL,
  last_login_at TEXT
);
CREATE TABLE addresses (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  kind TEXT NOT NULL,
  street TEXT NOT NULL,
  house_number TEXT NOT NULL,
  postcode TEXT NOT NULL,
  city TEXT NOT NULL
);
CREATE TABLE carts (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  contents TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER REFERENCES customers (id),
  status TEXT NOT NULL,
  created_at TEXT NOT NULL,
  total_cents INTEGER NOT NULL
);
CREATE TABLE order_lines (
  order_id INTEGER NOT NULL REFERENCES orders (id),
  line INTEGER NOT NULL,
  product TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  price_cents INTEGER NOT NULL,
  PRIMARY KEY (order_id, line)
);
CREATE TABLE invoices (
  id INTEGER PRIMARY KEY,
  number TEXT NOT NULL,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  customer_id INTEGER REFERENCES customers (id),
  invoice_date TEXT,
  paid INTEGER NOT NULL,
  name TEXT NOT NULL,
  address TEXT,
  phone TEXT,
  notes TEXT,
  total_cents INTEGER NOT NULL
);
CREATE TABLE newsletter (
  email TEXT PRIMARY KEY NOT NULL,
  subscribed_at INTEGER NOT NULL,
  confirmed_at INTEGER
);";

/// Made afterwards: filling is faster without.
const INDEXES: &str = "
CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE INDEX customers_last_login_at ON customers (last_login_at);
CREATE INDEX addresses_customer_id ON addresses (customer_id);
CREATE INDEX carts_customer_id ON carts (customer_id);
CREATE INDEX orders_customer_id ON orders (customer_id, created_at);
CREATE UNIQUE INDEX invoices_number ON invoices (number);
CREATE INDEX invoices_order_id ON invoices (order_id);
CREATE INDEX invoices_customer_id ON invoices (customer_id, paid);
CREATE INDEX invoices_invoice_date ON invoices (invoice_date);
CREATE INDEX newsletter_subscribed_at ON newsletter (subscribed_at);";

struct Shop {
    today: NaiveDate,
    customers: Sheet<7>,
    addresses: Sheet<7>,
    carts: Sheet<4>,
    orders: Sheet<5>,
    lines: Sheet<5>,
    invoices: Sheet<11>,
    newsletter: Sheet<3>,
    addresses_made: u64,
    carts_made: u64,
    orders_made: u64,
}

/// Fills an empty database.
pub(super) async fn fill(to: &mut SqliteConnection, today: NaiveDate) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TABLES).execute(&mut *to).await?;
    let mut shop = Shop::new(today);
    for id in 1..=CUSTOMERS {
        shop.add_customer(id);
        shop.spill(to).await?;
    }
    for n in 0..SIGN_UPS {
        shop.add_sign_up(n);
        shop.newsletter.spill(to).await?;
    }
    shop.finish(to).await?;
    sqlx::raw_sql(INDEXES).execute(to).await.map(drop)
}

impl Shop {
    fn new(today: NaiveDate) -> Self {
        Self {
            today,
            customers: Sheet::new(insert!("customers", "(?,?,?,?,?,?,?)")),
            addresses: Sheet::new(insert!("addresses", "(?,?,?,?,?,?,?)")),
            carts: Sheet::new(insert!("carts", "(?,?,?,?)")),
            orders: Sheet::new(insert!("orders", "(?,?,?,?,?)")),
            lines: Sheet::new(insert!("order_lines", "(?,?,?,?,?)")),
            invoices: Sheet::new(insert!("invoices", "(?,?,?,?,?,?,?,?,?,?,?)")),
            newsletter: Sheet::new(insert!("newsletter", "(?,?,?)")),
            addresses_made: 0,
            carts_made: 0,
            orders_made: 0,
        }
    }

    async fn spill(&mut self, to: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.customers.spill(to).await?;
        self.addresses.spill(to).await?;
        self.carts.spill(to).await?;
        self.orders.spill(to).await?;
        self.lines.spill(to).await?;
        self.invoices.spill(to).await
    }

    async fn finish(self, to: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.customers.finish(to).await?;
        self.addresses.finish(to).await?;
        self.carts.finish(to).await?;
        self.orders.finish(to).await?;
        self.lines.finish(to).await?;
        self.invoices.finish(to).await?;
        self.newsletter.finish(to).await
    }

    fn add_customer(&mut self, id: u64) {
        let mut chance = Chance::new(1, id);
        let mut person = Person::nth(id);
        if is_again(id) {
            // The same person made a second account, in capitals this time.
            let first = Person::nth(id - 1);
            person = Person { email: first.email.to_uppercase(), ..first };
        }
        let joined = chance.days_ago(HISTORY);
        let mut last = joined;
        let orders = if id <= STAFF {
            0
        } else {
            [0, 0, 1, 1, 1, 1, 1, 2, 2, 3][usize::try_from(chance.below(10)).unwrap_or(0)]
        };
        for n in 0..orders {
            let ago = if n == 0 { joined } else { chance.below(joined + 1) };
            last = last.min(ago);
            self.add_order(id, &person, ago, &mut chance);
        }
        let login = self.last_login(id, last, &mut chance);
        let role = if id <= STAFF { "staff" } else { "customer" };
        let created = moment(days_before(self.today, joined), &mut chance);
        self.add_address(id, &person, &mut chance);
        if chance.of_thousand(120) {
            self.add_cart(id, last, &mut chance);
        }
        let Person { email, name, phone, .. } = person;
        self.customers.put([id.into(), email.into(), name.into(), phone.into(), role.into(), created.into(), login]);
    }

    /// Since the move to another shop program some are zero or empty; some were typed by hand, in the future.
    fn last_login(&self, id: u64, last: u64, chance: &mut Chance) -> Cell {
        if id <= STAFF {
            return moment(days_before(self.today, chance.below(1500)), chance).into();
        }
        match (id % 4999, id % 211, id % 1009) {
            (0, ..) => moment(days_after(self.today, 400 + chance.below(4000)), chance).into(),
            (_, 0, _) => "0000-00-00 00:00:00".into(),
            (.., 0) => "".into(),
            _ if chance.of_thousand(60) => Cell::Null,
            _ => moment(days_before(self.today, last.saturating_sub(chance.below(300))), chance).into(),
        }
    }

    fn add_address(&mut self, customer: u64, person: &Person, chance: &mut Chance) {
        let kinds: &[&str] = if chance.of_thousand(80) { &["invoice", "delivery"] } else { &["invoice"] };
        for kind in kinds {
            self.addresses_made += 1;
            let Person { street, number, postcode, city, .. } = person.clone();
            let id = self.addresses_made;
            self.addresses.put([
                id.into(),
                customer.into(),
                (*kind).into(),
                street.into(),
                number.into(),
                postcode.into(),
                city.into(),
            ]);
        }
    }

    fn add_cart(&mut self, customer: u64, last: u64, chance: &mut Chance) {
        self.carts_made += 1;
        let contents = format!("[{{\"product\":\"{}\",\"quantity\":1}}]", chance.pick(&PRODUCTS));
        let updated = moment(days_before(self.today, chance.below(last + 1)), chance);
        self.carts.put([self.carts_made.into(), customer.into(), contents.into(), updated.into()]);
    }

    fn add_order(&mut self, customer: u64, person: &Person, ago: u64, chance: &mut Chance) {
        self.orders_made += 1;
        let (id, day) = (self.orders_made, days_before(self.today, ago));
        let mut total = 0;
        for line in 1..=1 + chance.below(2) {
            let price = 495 + 50 * chance.below(3000);
            total += price;
            self.lines.put([id.into(), line.into(), chance.pick(&PRODUCTS).into(), 1u64.into(), price.into()]);
        }
        let at = moment(day, chance);
        let status = if ago < 5 { "open" } else { "shipped" };
        self.orders.put([id.into(), customer.into(), status.into(), at.into(), total.into()]);
        self.add_invoice(id, customer, person, (ago, total), chance);
    }

    fn add_invoice(
        &mut self,
        order: u64,
        customer: u64,
        person: &Person,
        (ago, total): (u64, u64),
        chance: &mut Chance,
    ) {
        let day = days_before(self.today, ago);
        let date = match (order % 9001, order % 4001, order % 7001) {
            (0, ..) => String::new(),
            (_, 0, _) => "0000-00-00".to_string(),
            (.., 0) => days_after(self.today, 36_525).to_string(),
            _ => day.to_string(),
        };
        // Some are late, and a few never pay: those are still to be collected.
        let open = chance.of_thousand(if ago < 45 { 150 } else { 6 });
        let notes = chance.of_thousand(150).then(|| chance.pick(&NOTES));
        self.invoices.put([
            order.into(),
            format!("F{}-{order:06}", day.year()).into(),
            order.into(),
            customer.into(),
            date.into(),
            u64::from(!open).into(),
            person.name.clone().into(),
            person.address().into(),
            person.phone.clone().into(),
            notes.into(),
            total.into(),
        ]);
    }

    /// Two of three confirm; the others were asked once and never answered.
    fn add_sign_up(&mut self, n: u64) {
        let mut chance = Chance::new(2, n);
        let day = days_before(self.today, chance.days_ago(HISTORY));
        // Around noon in the shop, so that it is the same day in every European zone.
        let noon = day.and_hms_opt(12, 0, 0).map_or(0, |at| at.and_utc().timestamp());
        let at = if n.is_multiple_of(3001) { 0 } else { noon + chance.below(14_400).cast_signed() };
        let confirmed = if chance.of_thousand(667) { Cell::Int(at + 600) } else { Cell::Null };
        // Half of them are customers too.
        let email = Person::nth(if n.is_multiple_of(2) { 3 * n + 20 } else { 1_000_000 + n }).email;
        self.newsletter.put([email.into(), Cell::Int(at), confirmed]);
    }
}

fn is_again(id: u64) -> bool {
    id % 600 == 1 && id > STAFF + 1
}

const PRODUCTS: [&str; 12] = [
    "Stadsfiets 28 inch",
    "E-bike Polder",
    "Kinderfiets 20 inch",
    "Binnenband",
    "Buitenband 37-622",
    "Kettingslot ART-2",
    "Fietstas",
    "Bel",
    "Koplamp LED",
    "Achterlicht",
    "Zadel gel",
    "Onderhoudsbeurt",
];
const NOTES: [&str; 6] = [
    "Belt liever 's avonds",
    "Achterom leveren, hond is lief",
    "Korting gegeven na klacht",
    "Bezorgen bij de buren op 14",
    "Zit in een rolstoel, helpen met uitladen",
    "Factuur ook naar de zaak",
];
