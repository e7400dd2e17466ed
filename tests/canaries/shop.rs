//! A shop in which every personal field of every record is a canary, and the policy over it.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::bench::Bench;
use crate::canaries::Canaries;
use crate::support::servers::{Database, Kind, PASSWORD, Server};

/// Where the shop's database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite,
    Server(Kind),
}

/// The shop, its policy and what was planted.
pub(crate) struct Shop {
    pub(crate) bench: Bench,
    pub(crate) place: Place,
    pub(crate) canaries: Canaries,
    pub(crate) database: Option<Database>,
    /// Customers who are due, in order: what a person types of each.
    pub(crate) customers: Vec<Customer>,
    /// Members who are due: their key is their address.
    pub(crate) members: Vec<String>,
    /// Contacts who are due: their key is a number of the firm.
    pub(crate) contacts: Vec<String>,
}

/// What a person types of a customer.
#[derive(Clone)]
pub(crate) struct Customer {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) number: String,
    pub(crate) login: String,
}

/// How many of each are due.
const DUE: usize = 24;

const POLICY: &str = r#"[rule.customers]
system = "shop"
records.table = "customers"
person = { email = "email", phone = "phone", customer-number = "number", login = "login" }
since.newest = [{ column = "seen" }, { table = "visits", column = "seen", on = "customer_id" }]
keep = "2 years"
because = "test"
undo = "7 days"
protect = [{ table = "disputes", on = "customer_id" }]
children = [
  { table = "orders", on = "customer_id", children = [{ table = "order_lines", on = "order_number" }] },
  { table = "reviews", on = "customer_id", then = "clear" },
  { table = "tickets", on = "customer_id", then = { anonymise = { body = "null" } } },
  { table = "visits", on = "customer_id" },
]
copies = [{ table = "lookup", column = "email_lower", of = "email", normalised = "lower" }]
then.delete = true
limits = { share = "100 %", first-bite = 1, per-run = 2 }

[rule.members]
system = "shop"
records.table = "members"
person.email = "mail"
since.column = "seen"
keep = "2 years"
because = "test"
undo = "7 days"
then.delete = true
limits = { share = "100 %", first-bite = 0, per-run = 2 }

[rule.contacts]
system = "shop"
records.table = "contacts"
since.column = "seen"
because = "test"
undo = "7 days"
limits = { share = "100 %", first-bite = 0, per-run = 2 }
[rule.contacts.part.reach]
keep = "2 years"
then.anonymise = { phone = "null", mail = { template = "weg-{key}@example.invalid" }, ip = { truncate = "ip" } }
[rule.contacts.part.rest]
keep = "3 years"
then.anonymise = { name = { fixed = "[removed]" }, doc = { json = { "a.phone" = "null" } }, meta = { php = { phone = "null" } }, account = { pseudonym = { length = 20 } } }
"#;

const TABLES: &str = "
create table customers (id bigint not null primary key, email varchar(100), phone varchar(100), name varchar(100), iban varchar(100),
  citizen varchar(100), number varchar(100), login varchar(100), remark varchar(200), seen MOMENT);
create index customers_seen on customers(seen); create index customers_email on customers(email);
create table orders (number varchar(100) not null primary key, customer_id bigint not null, ship_to varchar(100), foreign key (customer_id) references customers(id));
create index orders_customer on orders(customer_id);
create table order_lines (id bigint not null primary key, order_number varchar(100) not null, engraved varchar(100), foreign key (order_number) references orders(number));
create index lines_order on order_lines(order_number);
create table reviews (id bigint not null primary key, customer_id bigint, author varchar(100), foreign key (customer_id) references customers(id));
create index reviews_customer on reviews(customer_id);
create table tickets (id bigint not null primary key, customer_id bigint, body varchar(200));
create index tickets_customer on tickets(customer_id);
create table visits (id bigint not null primary key, customer_id bigint not null, page varchar(100), seen MOMENT);
create index visits_customer on visits(customer_id); create index visits_seen on visits(seen);
create table disputes (id bigint not null primary key, customer_id bigint not null, about varchar(200));
create index disputes_customer on disputes(customer_id);
create table lookup (id bigint not null primary key, email_lower varchar(100)); create index lookup_email on lookup(email_lower);
create table members (mail varchar(100) not null primary key, name varchar(100), seen MOMENT); create index members_seen on members(seen);
create table contacts (code varchar(100) not null primary key, phone varchar(100), mail varchar(100) unique, ip varchar(45), name varchar(100), doc varchar(400),
  meta varchar(400), account varchar(100), seen MOMENT);
create index contacts_seen on contacts(seen);
";

impl Shop {
    /// A shop on this place, with a database of its own.
    pub(crate) fn new(place: Place, server: Option<&'static Server>) -> Self {
        let mut canaries = Canaries::default();
        let (bench, database) = match server {
            None => (Bench::over("sqlite.path = \"shop.db\"", POLICY), None),
            Some(server) => {
                let database = Database::on(server);
                let bench = Bench::over("SYSTEM", POLICY);
                (bench, Some(database))
            }
        };
        if database.is_some() {
            canaries.plant("the password", &[PASSWORD]);
            let word = canaries.code("the file of the password");
            let mut shop = Self::empty(bench, place, canaries, database);
            shop.point_at(&word);
            shop.fill();
            return shop;
        }
        let mut shop = Self::empty(bench, place, canaries, None);
        shop.fill();
        shop
    }

    fn empty(bench: Bench, place: Place, canaries: Canaries, database: Option<Database>) -> Self {
        Self { bench, place, canaries, database, customers: Vec::new(), members: Vec::new(), contacts: Vec::new() }
    }

    /// Writes the password into a file of this name, and the way to the server into the policy.
    fn point_at(&self, name: &str) {
        let database = self.database.as_ref().unwrap();
        let folder = database.server.folder.display();
        let (kind, at) = match database.server.kind {
            Kind::Mariadb => ("mariadb", format!("socket = \"{folder}/sock\"")),
            Kind::Postgres => ("postgres", format!("socket = \"{folder}\", port = {}", database.server.port)),
        };
        self.bench.change_policy(
            "SYSTEM",
            &format!(
                "{kind} = {{ {at}, database = \"{}\", user = \"{}\", password = {{ file = \"{name}\" }} }}",
                database.name, database.user
            ),
        );
        self.bench.write(name, PASSWORD);
        std::fs::set_permissions(self.bench.file(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs SQL as the administrator of the database.
    pub(crate) fn sql(&self, sql: &str) {
        match &self.database {
            None => self.bench.sql(sql),
            Some(database) => drop(database.admin(sql)),
        }
    }

    /// One number of the database.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        match &self.database {
            None => self.bench.number(sql),
            Some(database) => database.admin(sql).parse().unwrap(),
        }
    }

    /// What this place calls a moment.
    pub(crate) fn moment(&self) -> &'static str {
        match self.place {
            Place::Sqlite => "text",
            Place::Server(Kind::Mariadb) => "datetime",
            Place::Server(Kind::Postgres) => "timestamp",
        }
    }

    fn fill(&mut self) {
        let mut sql = TABLES.replace("MOMENT", self.moment());
        for place in 0..DUE + 6 {
            let living = place >= DUE;
            let customer = self.customer(&mut sql, place, living);
            let (mail, code) = (self.member(&mut sql, place, living), self.contact(&mut sql, place, living));
            if !living {
                self.customers.push(customer);
                self.members.push(mail);
                self.contacts.push(code);
            }
        }
        self.sql(&sql);
    }

    /// A customer and everything that hangs on them.
    fn customer(&mut self, sql: &mut String, place: usize, living: bool) -> Customer {
        let moment = seen(place, living);
        let plants = &mut self.canaries;
        let of = |field: &str| format!("customer {place}: {field}");
        let customer = Customer {
            id: plants.number(&of("key")),
            email: plants.email(&of("e-mail")),
            phone: plants.phone(&of("phone")),
            number: plants.code(&of("number")),
            login: plants.code(&of("login")),
        };
        let (name, iban) = (plants.person(&of("name")), plants.iban(&of("account")));
        let (citizen, remark) = (plants.citizen(&of("citizen")), plants.remark(&of("remark")));
        let (order, ship) = (plants.code(&of("order")), plants.person(&of("where an order went")));
        let (engraved, author) = (plants.person(&of("what was engraved")), plants.person(&of("who wrote a review")));
        let (body, page) = (plants.remark(&of("ticket")), plants.code(&of("page")));
        let Customer { id, email, phone, number, login } = &customer;
        let child = place * 10;
        write!(
            sql,
            "insert into customers values ({id}, '{email}', '{phone}', '{name}', '{iban}', '{citizen}', '{number}', '{login}', '{remark}', {moment});
             insert into orders values ('{order}', {id}, '{ship}');
             insert into order_lines values ({child}, '{order}', '{engraved}');
             insert into reviews values ({child}, {id}, '{author}');
             insert into tickets values ({child}, {id}, '{body}');
             insert into visits values ({child}, {id}, '{page}', {moment});\n",
        )
        .unwrap();
        if place.is_multiple_of(3) {
            writeln!(sql, "insert into lookup values ({child}, '{}');", email.to_lowercase()).unwrap();
        }
        if place % 11 == 10 {
            let about = plants.remark(&of("dispute"));
            writeln!(sql, "insert into disputes values ({child}, {id}, '{about}');").unwrap();
        }
        customer
    }

    fn member(&mut self, sql: &mut String, place: usize, living: bool) -> String {
        let mail = self.canaries.email(&format!("member {place}: key"));
        let name = self.canaries.person(&format!("member {place}: name"));
        writeln!(sql, "insert into members values ('{mail}', '{name}', {});", seen(place, living)).unwrap();
        mail
    }

    fn contact(&mut self, sql: &mut String, place: usize, living: bool) -> String {
        let plants = &mut self.canaries;
        let of = |field: &str| format!("contact {place}: {field}");
        let (code, phone, mail) = (plants.code(&of("key")), plants.phone(&of("phone")), plants.email(&of("e-mail")));
        let (name, account) = (plants.person(&of("name")), plants.iban(&of("account")));
        let (inside, serialised) = (plants.phone(&of("phone in JSON")), plants.phone(&of("phone in PHP")));
        let doc = format!("{{\"a\": {{\"phone\": \"{inside}\", \"b\": 1}}}}");
        let meta = format!("a:1:{{s:5:\"phone\";s:{}:\"{serialised}\";}}", serialised.len());
        writeln!(
            sql,
            "insert into contacts values ('{code}', '{phone}', '{mail}', '198.51.100.{place}', '{name}', '{doc}', '{meta}', '{account}', {});",
            seen(place, living)
        )
        .unwrap();
        code
    }

    /// Files of the bench that hold what was planted because the test put it there.
    pub(crate) fn given(&self) -> Vec<PathBuf> {
        let mut given: Vec<PathBuf> =
            ["shop.db", "shop.db-journal", "shop.db-wal", "shop.db-shm"].map(|name| self.bench.file(name)).into();
        // The policy names the file of the password.
        given.extend(["bewaard.toml", "old.toml"].map(|name| self.bench.file(name)));
        given.extend(self.secret());
        given
    }

    /// The file of the password.
    pub(crate) fn secret(&self) -> Option<PathBuf> {
        let text = std::fs::read_to_string(self.bench.file("bewaard.toml")).unwrap();
        let (_, rest) = text.split_once("password = { file = \"")?;
        Some(self.bench.file(rest.split_once('"').unwrap().0))
    }
}

fn seen(place: usize, living: bool) -> String {
    if living { "'2026-10-01 10:00:00'".into() } else { format!("'2019-05-06 10:{place:02}:00'") }
}
