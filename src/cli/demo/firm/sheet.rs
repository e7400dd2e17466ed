//! Rows on their way to a table, many to a statement.

use sqlx::SqliteConnection;

/// Rows of one statement.
pub(super) const ROWS: usize = 25;

/// One value.
#[derive(Debug)]
pub(super) enum Cell {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Int(value.cast_signed())
    }
}
impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}
impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The two statements of a table: for one row and for [`ROWS`].
#[derive(Debug)]
pub(super) struct Insert {
    pub(super) one: &'static str,
    pub(super) many: &'static str,
}

/// Writes both statements out, so that no statement is put together while running.
macro_rules! insert {
    ($table:literal, $row:literal) => {
        $crate::cli::demo::firm::sheet::Insert {
            one: concat!("INSERT INTO ", $table, " VALUES ", $row),
            many: concat!(
                "INSERT INTO ",
                $table,
                " VALUES ",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row,
                ",",
                $row
            ),
        }
    };
}
pub(super) use insert;

/// Rows of one table that wait.
#[derive(Debug)]
pub(super) struct Sheet<const COLUMNS: usize> {
    insert: Insert,
    rows: Vec<[Cell; COLUMNS]>,
}

impl<const COLUMNS: usize> Sheet<COLUMNS> {
    /// None yet.
    pub(super) fn new(insert: Insert) -> Self {
        Self { insert, rows: Vec::with_capacity(2 * ROWS) }
    }

    /// Adds a row.
    pub(super) fn put(&mut self, row: [Cell; COLUMNS]) {
        self.rows.push(row);
    }

    /// Writes as many rows as fill statements.
    pub(super) async fn spill(&mut self, to: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        while self.rows.len() >= ROWS {
            write(self.insert.many, self.rows.drain(..ROWS).flatten(), to).await?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) async fn finish(mut self, to: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.spill(to).await?;
        for row in self.rows {
            write(self.insert.one, row.into_iter(), to).await?;
        }
        Ok(())
    }
}

async fn write(
    statement: &'static str,
    cells: impl Iterator<Item = Cell>,
    to: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let mut query = sqlx::query(statement);
    for cell in cells {
        query = match cell {
            Cell::Null => query.bind(None::<i64>),
            Cell::Int(value) => query.bind(value),
            Cell::Text(value) => query.bind(value),
        };
    }
    query.execute(to).await.map(drop)
}
