//! Random tables, rows and recipes for the tests of anonymising in sets, and what the recipes make of the rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bewaard::domain::digest::MacKey;
use bewaard::domain::id::SystemId;
use bewaard::domain::outcome::Outcome;
use bewaard::domain::policy::Access;
use bewaard::domain::recipe::{Recipe, RecipeContext, Recipes};
use bewaard::domain::value::{Key, Scalar, record_bytes};

use super::dice::Dice;
use super::harness::Harness;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Engine {
    Sqlite,
    Mariadb,
    Postgres,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Sort {
    Text,
    /// Of one byte to a character, on the engine that has such.
    Latin,
    Long,
    Number,
    Decimal,
    Bytes,
    Day,
    Moment,
    Document,
    Serialised,
    /// A type of its own, where there is one.
    Listed,
}

pub(crate) const SORTS: [Sort; 11] = [
    Sort::Text,
    Sort::Latin,
    Sort::Long,
    Sort::Number,
    Sort::Decimal,
    Sort::Bytes,
    Sort::Day,
    Sort::Moment,
    Sort::Document,
    Sort::Serialised,
    Sort::Listed,
];

/// How rows are named.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Named {
    Close,
    Apart,
    Caseless,
    Two,
}

/// A column with its recipe.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) sort: Sort,
    pub(crate) recipe: Recipe,
    pub(crate) part: usize,
}

pub(crate) struct RowOf {
    pub(crate) key: Vec<Scalar>,
    pub(crate) old: bool,
    pub(crate) values: Vec<Scalar>,
}

/// One case: a table, its rows and what becomes of them.
pub(crate) struct Case<'h> {
    harness: &'h dyn Harness,
    engine: Engine,
    caseless: &'static str,
    dice: Dice,
    pub(crate) named: Named,
    /// Every column becomes the same in each row; in half of these cases every row is due.
    even: bool,
    pub(crate) parts: usize,
    pub(crate) fields: Vec<Field>,
    pub(crate) rows: Vec<RowOf>,
}

/// As many rows stand above those of the table, where it is a child.
pub(crate) const OWNERS: usize = 10;
pub(crate) const NOW: &str = "2026-06-01 02:00:00";

pub(crate) fn engine(harness: &dyn Harness) -> Engine {
    match harness.system().access {
        Access::Sqlite(_) => Engine::Sqlite,
        Access::Mariadb(_) => Engine::Mariadb,
        Access::Postgres(_) => Engine::Postgres,
    }
}

pub(crate) fn text(text: impl Into<String>) -> Scalar {
    Scalar::Text(text.into())
}

impl<'h> Case<'h> {
    pub(crate) fn draw(harness: &'h dyn Harness, caseless: &'static str, number: u64) -> Self {
        let engine = engine(harness);
        let mut dice = Dice::of(&[17, engine as u64, number]);
        // Two uneven cases to each kind of key, then one that is even of each: the first of those goes by a range.
        let named = [Named::Close, Named::Apart, Named::Caseless, Named::Two][usize::try_from(number % 4).unwrap()];
        let even = number % 12 >= 8;
        let parts = 1 + usize::try_from(dice.below(2)).unwrap();
        let mut case =
            Self { harness, engine, caseless, dice, named, even, parts, fields: Vec::new(), rows: Vec::new() };
        for column in 0..parts + case.below(5) {
            let sort = if even || column == 0 { Sort::Text } else { case.pick(&SORTS) };
            let part = if column < parts { column } else { case.below(parts) };
            let spread = [Recipe::Template("{key} weg".into()), Recipe::Pseudonym { length: 20 }];
            let recipe = if even || column > 0 { case.recipe(sort) } else { case.pick(&spread) };
            case.fields.push(Field { name: format!("c{column}"), sort, recipe, part });
        }
        for n in 0..90 + case.below(120) {
            let key = case.key(n);
            let old = even && number.is_multiple_of(2) || case.below(5) > 0;
            let values = (0..case.fields.len()).map(|at| case.value(case.fields[at].sort, n)).collect();
            case.rows.push(RowOf { key, old, values });
        }
        case
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.dice.below(end as u64)).unwrap()
    }

    pub(crate) fn key(&mut self, n: usize) -> Vec<Scalar> {
        let number = i64::try_from(n).unwrap();
        let before = self.pick(&["", "K", "k", "É", "o'B", "a\\", "\"?1t", "$1 "]);
        let behind = self.pick(&["", " ", "  ", "\\", "'"]);
        match self.named {
            Named::Close => vec![Scalar::Int(number)],
            Named::Apart => vec![Scalar::Int(number * 1_000_003 - 40_000_000)],
            Named::Caseless => vec![text(format!("{before}{n}{behind}"))],
            Named::Two => vec![text(["a", "B ", "é"][n % 3]), Scalar::Int(number / 2)],
        }
    }

    /// The columns of the key, with their types.
    pub(crate) fn key_columns(&self) -> Vec<(&'static str, &'static str)> {
        match self.named {
            Named::Close | Named::Apart => vec![("id", "BIGINT")],
            Named::Caseless => vec![("k", self.caseless)],
            Named::Two => vec![("k", self.caseless), ("id", "BIGINT")],
        }
    }

    pub(crate) fn simple(&mut self) -> Recipe {
        let length = 8 + u32::try_from(self.below(57)).unwrap();
        self.pick(&[
            Recipe::Null,
            Recipe::Fixed("[removed]".into()),
            Recipe::Fixed("'; ?1t \\ é $1".into()),
            Recipe::Template("weg-{key}\\".into()),
            Recipe::Pseudonym { length },
        ])
    }

    pub(crate) fn recipe(&mut self, sort: Sort) -> Recipe {
        use bewaard::domain::recipe::Truncate::{Ip, Month, Postcode, Year};
        let fixed = |text: &str| Recipe::Fixed(text.into());
        let whole = matches!(self.named, Named::Close | Named::Apart);
        let template = |text: &str| if whole { Recipe::Template(text.into()) } else { Recipe::Null };
        match sort {
            _ if self.even => self.pick(&[Recipe::Null, fixed("[removed]"), fixed("'; ?1t \\ é $1")]),
            Sort::Text | Sort::Latin | Sort::Long => match self.below(4) {
                0 => self.pick(&[Recipe::Truncate(Ip), Recipe::Truncate(Postcode)]),
                _ => self.simple(),
            },
            Sort::Number => self.pick(&[Recipe::Null, fixed("0"), template("{key}")]),
            Sort::Decimal => self.pick(&[Recipe::Null, fixed("0.00"), template("{key}.25")]),
            Sort::Bytes => self.simple(),
            Sort::Day => self.pick(&[fixed("1970-01-02"), Recipe::Truncate(Month), Recipe::Truncate(Year)]),
            Sort::Moment => self.pick(&[Recipe::Marker, fixed("1970-01-02 00:00:00"), Recipe::Truncate(Month)]),
            Sort::Document => Recipe::Json([("a".to_string(), self.simple())].into()),
            Sort::Serialised => Recipe::PhpSerialised([("a".to_string(), self.simple())].into()),
            Sort::Listed => self.pick(&[Recipe::Truncate(Ip), fixed("0.0.0.0")]),
        }
    }

    pub(crate) fn value(&mut self, sort: Sort, n: usize) -> Scalar {
        if self.even {
            return text(format!("w{n}"));
        }
        if self.below(5) == 0 {
            return Scalar::Null;
        }
        let texts = |all: &[&str]| all.iter().map(|one| text(*one)).collect::<Vec<_>>();
        let plain =
            ["", "Jan Jansen", "o'Brien; --", "a\\b\\'", "  blanks  ", "10.11.12.13", "1234 AB", "[removed]", "Zoë"];
        match sort {
            Sort::Latin => self.pick(&texts(&plain)),
            Sort::Text => self.pick(&[texts(&plain), texts(&["☃ 🚲 漢", "?1t $1", "tab\tline\n"])].concat()),
            Sort::Long => text("lang ☃ ".repeat(self.pick(&[1, 40, 900]))),
            Sort::Number => self.pick(&[0, -5, i64::MAX, i64::MIN + 1].map(Scalar::Int)),
            Sort::Decimal => self.pick(&texts(&["0.00", "12.50", "-1.05", "9999999.99"])),
            Sort::Bytes => self.pick(&[vec![], vec![0, 255, b'\''], b"text".to_vec()].map(Scalar::Bytes)),
            Sort::Day if self.engine == Engine::Mariadb && n.is_multiple_of(7) => text("0000-00-00"),
            Sort::Day => self.pick(&texts(&["2021-05-17", "2021-05-01", "2020-01-01", "1970-01-02"])),
            Sort::Moment => self.pick(&texts(&["2021-05-17 10:11:12", "2021-01-01 00:00:00"])),
            Sort::Document => {
                let own = format!("{{\"a\": \"n{n}\", \"k\": \"\\u00e9\"}}");
                self.pick(&texts(&["{\"a\":\"Jan ☃\",\"b\":[1,\"x\\\\\"]}", "{\"a\":null}", "[]", &own]))
            }
            Sort::Serialised => self.pick(&texts(&["a:1:{s:1:\"a\";s:3:\"Jan\";}", "", "no such thing", "i:5;"])),
            Sort::Listed => self.pick(&texts(&["10.11.12.13", "10.11.12.0", "0.0.0.0"])),
        }
    }

    pub(crate) fn ty(&self, sort: Sort) -> &'static str {
        match (sort, self.engine) {
            (Sort::Text, _) => "VARCHAR(200)",
            (Sort::Latin, Engine::Mariadb) => "VARCHAR(80) CHARACTER SET latin1",
            (Sort::Latin, _) => "VARCHAR(80)",
            (Sort::Long, Engine::Mariadb) => "LONGTEXT",
            (Sort::Number, _) => "BIGINT",
            (Sort::Decimal, Engine::Mariadb | Engine::Postgres) => "DECIMAL(20,2)",
            (Sort::Bytes, Engine::Mariadb) => "VARBINARY(200)",
            (Sort::Bytes, Engine::Postgres) => "BYTEA",
            (Sort::Bytes, Engine::Sqlite) => "BLOB",
            (Sort::Day, _) => "DATE",
            (Sort::Moment, _) => self.harness.datetime(),
            (Sort::Document, Engine::Mariadb | Engine::Postgres) => "JSON",
            (Sort::Listed, Engine::Mariadb) => "INET4",
            _ => "TEXT",
        }
    }

    pub(crate) fn literal(&self, value: &Scalar, ty: &str) -> String {
        let ty = ty.split(" COLLATE").next().unwrap_or(ty);
        match (value, self.engine) {
            (Scalar::Null, _) => "NULL".into(),
            (Scalar::Text(text), Engine::Sqlite) => format!("CAST(x'{}' AS TEXT)", hex::encode(text)),
            (Scalar::Text(text), Engine::Mariadb) => format!("CONVERT(x'{}' USING utf8mb4)", hex::encode(text)),
            (Scalar::Text(text), Engine::Postgres) => {
                format!("CAST(convert_from('\\x{}', 'UTF8') AS {ty})", hex::encode(text))
            }
            (Scalar::Bytes(bytes), _) => self.harness.bytes(&hex::encode(bytes)).1,
            (value, _) => value.show(),
        }
    }

    /// An expression that tells a value to the byte: `-` for NULL.
    pub(crate) fn told(&self, name: &str, sort: Sort) -> String {
        match self.engine {
            Engine::Sqlite => format!("CASE WHEN {name} IS NULL THEN '-' ELSE 'x' || LOWER(HEX({name})) END"),
            Engine::Mariadb if sort == Sort::Bytes => format!("COALESCE(CONCAT('x', LOWER(HEX({name}))), '-')"),
            Engine::Mariadb => {
                format!("COALESCE(CONCAT('x', LOWER(HEX(CONVERT(CAST({name} AS CHAR) USING utf8mb4)))), '-')")
            }
            Engine::Postgres if sort == Sort::Bytes => format!("COALESCE('x' || encode({name}, 'hex'), '-')"),
            Engine::Postgres => format!("COALESCE('x' || encode(convert_to({name}::text, 'UTF8'), 'hex'), '-')"),
        }
    }

    /// Makes and fills the table `t`, its rows below ten others.
    pub(crate) async fn fill(&self) {
        let mut all = "CREATE TABLE t (n INTEGER NOT NULL, seen DATE, owner INTEGER".to_string();
        for (name, ty) in self.key_columns() {
            write!(all, ", {name} {ty} NOT NULL").unwrap();
        }
        for field in &self.fields {
            write!(all, ", {} {}", field.name, self.ty(field.sort)).unwrap();
        }
        let names: Vec<&str> = self.key_columns().iter().map(|(name, _)| *name).collect();
        let stamp = match self.engine {
            Engine::Mariadb => ", stamp TIMESTAMP NOT NULL DEFAULT '2020-02-02 02:02:02' ON UPDATE CURRENT_TIMESTAMP",
            _ => "",
        };
        writeln!(all, "{stamp}, PRIMARY KEY ({}));\nCREATE INDEX o ON t (owner);", names.join(", ")).unwrap();
        let fields = self.fields.iter().map(|field| field.name.as_str());
        let columns: Vec<&str> = ["n", "owner", "seen"].into_iter().chain(names).chain(fields).collect();
        for (n, row) in self.rows.iter().enumerate() {
            let keys = row.key.iter().zip(self.key_columns()).map(|(value, (_, ty))| self.literal(value, ty));
            let values = row.values.iter().zip(&self.fields).map(|(one, field)| self.literal(one, self.ty(field.sort)));
            let values: Vec<String> = keys.chain(values).collect();
            let seen = if row.old { "2020-01-01" } else { "2026-05-01" };
            let columns = columns.join(", ");
            let values = values.join(", ");
            writeln!(all, "INSERT INTO t ({columns}) VALUES ({n}, {}, '{seen}', {values});", n % OWNERS).unwrap();
        }
        self.harness.sql(&all).await;
        self.harness.sql("CREATE TABLE touched (n INTEGER NOT NULL);").await;
        let trigger = self.harness.after("UPDATE", "touching", "t", "INSERT INTO touched VALUES (new.n)");
        self.harness.sql(&trigger).await;
    }

    pub(crate) fn recipes(&self, part: usize) -> Recipes {
        let of = self.fields.iter().filter(|field| field.part == part);
        of.map(|field| (field.name.clone(), field.recipe.clone())).collect()
    }

    /// What a row becomes, and the outcome of each part that is due.
    pub(crate) fn becomes(&self, collection: &str, row: &RowOf) -> (Vec<Scalar>, BTreeMap<usize, Outcome>) {
        let (key, pseudonym) = (Key(row.key.clone()), MacKey::new(&[2; 32]));
        let record = record_bytes(&SystemId::new("shop").unwrap(), collection, &key);
        let context = RecipeContext { key: &key, record: &record, pseudonym: &pseudonym, now: NOW };
        let (mut values, mut outcomes) = (row.values.clone(), BTreeMap::new());
        for part in (0..self.parts).filter(|_| row.old) {
            let of = || self.fields.iter().enumerate().filter(|(_, field)| field.part == part);
            if of().all(|(at, field)| field.recipe.is_final(&row.values[at], &context)) {
                continue;
            }
            let new: Result<Vec<_>, _> =
                of().map(|(at, field)| field.recipe.apply(&row.values[at], &context).map(|new| (at, new))).collect();
            outcomes.insert(part, if new.is_ok() { Outcome::Anonymised } else { Outcome::Failed });
            new.unwrap_or_default().into_iter().for_each(|(at, new)| values[at] = new);
        }
        (values, outcomes)
    }

    /// Every value of every row, as the table has them.
    pub(crate) async fn rows(&self) -> Vec<Vec<String>> {
        let mut items: Vec<String> = self.fields.iter().map(|field| self.told(&field.name, field.sort)).collect();
        items.extend(self.key_columns().iter().map(|(name, _)| self.told(name, Sort::Text)));
        if self.engine == Engine::Mariadb {
            items.push("stamp = '2020-02-02 02:02:02'".into());
        }
        self.harness.rows(&format!("SELECT {} FROM t ORDER BY n", items.join(", "))).await
    }

    /// The same, of these values.
    pub(crate) fn told_rows<'r>(&self, rows: impl Iterator<Item = (&'r RowOf, Vec<Scalar>)>) -> Vec<Vec<String>> {
        let told = |value: &Scalar| match value {
            Scalar::Null => "-".to_string(),
            Scalar::Bytes(bytes) => format!("x{}", hex::encode(bytes)),
            value => format!("x{}", hex::encode(value.show())),
        };
        let stamp = (self.engine == Engine::Mariadb).then(|| "1".to_string());
        rows.map(|(row, values)| values.iter().chain(&row.key).map(told).chain(stamp.clone()).collect()).collect()
    }

    pub(crate) async fn drop(&self, tables: &[&str]) {
        for table in tables {
            self.harness.sql(&format!("DROP TABLE {table};")).await;
        }
        if self.engine == Engine::Postgres {
            self.harness.sql("DROP FUNCTION touching();").await;
        }
        self.harness.sql("DROP TABLE IF EXISTS bewaard_batch;").await;
    }

    /// The rows that were written, each as often as it was.
    pub(crate) async fn touched(&self) -> Vec<usize> {
        let rows = self.harness.rows("SELECT n FROM touched ORDER BY n").await;
        rows.iter().map(|row| row[0].parse().unwrap()).collect()
    }
}
