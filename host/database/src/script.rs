//! Several statements in one trip.
//!
//! A statement is executed on SQLite's own thread, and whoever waits for it wakes twice: on the way there and on the way
//! back. Steps that every run takes would pay for that ten times over; a script pays once, but for a very long one, and
//! the transaction around it costs no trip of its own. So what must hold between its statements is one of them:
//! [`Script::require`].

use futures_util::TryStreamExt;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Encode, Executor, FromRow, Sqlite, SqliteConnection, Type};

use crate::WriteError;

/// Statements in one trip, at most. SQLite reads what is left of a text for each of its statements, and texts are kept
/// prepared: a plugin that makes a thousand calls must not choose how long either takes.
const IN_ONE_TRIP: usize = 16;

/// Statements and their values, executed in the order in which they were added. The first that fails ends it: the
/// transaction around it must be rolled back then.
#[derive(Default)]
pub struct Script {
    trips: Vec<Trip>,
    count: usize,
    conditions: Vec<Place>,
    unbindable: Option<BoxDynError>,
}

/// A script that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// This condition does not hold. Nothing after it was executed, and nothing before it may be committed.
    #[error("a condition of the write does not hold")]
    Refused(Place),
    /// A statement failed, or the transaction around it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a script between two other statements was not carried out.
pub(crate) enum Stopped {
    /// The statement before it failed.
    Before(sqlx::Error),
    /// Itself.
    Within(ScriptError),
    /// The statement after it failed, or nothing told its end.
    After(sqlx::Error),
}

#[derive(Default)]
struct Trip {
    sql: String,
    arguments: SqliteArguments,
    count: usize,
}

/// A statement that was added: where to find what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

/// A statement whose values are still to come, in the order of its placeholders.
pub struct Binding<'s> {
    script: &'s mut Script,
    place: Place,
}

/// What a script did.
#[derive(Debug)]
pub struct Ran {
    statements: Vec<Did>,
}

#[derive(Debug, Default)]
struct Did {
    changed: u64,
    rows: Vec<SqliteRow>,
}

impl Script {
    /// None yet.
    pub fn new() -> Script {
        Script::default()
    }

    /// Adds one statement, whose placeholders are `$1`, `$2`, … of its own.
    ///
    /// It is added as text: never make it of values.
    pub fn add(&mut self, statement: &'static str) -> Binding<'_> {
        self.statement(statement)
    }

    /// Adds a condition, an SQL expression with placeholders of its own: if it is not true there, the script ends with
    /// [`ScriptError::Refused`]. `changes() > 0` asks whether the statement before it wrote anything.
    pub fn require(&mut self, condition: &'static str) -> Binding<'_> {
        // There is no absolute value of the least integer: the one error that a plain expression can raise.
        let place = Place(self.count);
        self.conditions.push(place);
        self.statement(&format!("SELECT abs(CASE WHEN {condition} THEN 0 ELSE -9223372036854775808 END)"))
    }

    fn statement(&mut self, statement: &str) -> Binding<'_> {
        if self.trips.last().is_none_or(|trip| trip.count == IN_ONE_TRIP) {
            self.trips.push(Trip::default());
        }
        if let Some(trip) = self.trips.last_mut() {
            trip.add(statement);
        }
        let place = Place(self.count);
        self.count += 1;
        Binding { script: self, place }
    }

    /// Executes it.
    ///
    /// # Errors
    /// What the first statement that failed says, a condition that does not hold included.
    pub async fn run(self, connection: &mut SqliteConnection) -> Result<Ran, ScriptError> {
        self.run_between(None, None, connection).await.map_err(|stopped| match stopped {
            Stopped::Within(error) => error,
            Stopped::Before(error) | Stopped::After(error) => ScriptError::Write(error.into()),
        })
    }

    /// Executes it between two statements, which take no trips of their own.
    pub(crate) async fn run_between(
        mut self,
        before: Option<&'static str>,
        after: Option<&'static str>,
        connection: &mut SqliteConnection,
    ) -> Result<Ran, Stopped> {
        if let Some(cause) = self.unbindable {
            return Err(Stopped::Within(ScriptError::Write(sqlx::Error::Encode(cause).into())));
        }
        if self.trips.is_empty() {
            self.trips.push(Trip::default());
        }
        if let (Some(before), Some(first)) = (before, self.trips.first_mut()) {
            first.put(before, true);
        }
        if let (Some(after), Some(last)) = (after, self.trips.last_mut()) {
            last.put(after, false);
        }
        let before = usize::from(before.is_some());
        let mut statements = Vec::with_capacity(before + self.count + 1);
        for trip in self.trips {
            if let Err(error) = trip.run(connection, &mut statements).await {
                return Err(match statements.len().checked_sub(before) {
                    None => Stopped::Before(error),
                    Some(at) if at >= self.count => Stopped::After(error),
                    Some(at) if self.conditions.contains(&Place(at)) && is_overflow(&error) => {
                        Stopped::Within(ScriptError::Refused(Place(at)))
                    }
                    Some(_) => Stopped::Within(ScriptError::Write(error.into())),
                });
            }
        }
        statements.drain(..before);
        Ok(Ran { statements })
    }
}

/// What a condition that does not hold raises.
fn is_overflow(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message() == "integer overflow")
}

impl Trip {
    /// Puts a statement without values around the others.
    fn put(&mut self, statement: &'static str, first: bool) {
        self.sql = match (self.sql.as_str(), first) {
            ("", _) => statement.to_owned(),
            (others, true) => format!("{statement}; {others}"),
            (others, false) => format!("{others}; {statement}"),
        };
        self.count += 1;
    }

    fn add(&mut self, statement: &str) {
        if self.count > 0 {
            self.sql.push_str("; ");
        }
        let before = self.arguments.len();
        for (part, text) in statement.split('$').enumerate() {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            match text[..digits].parse::<usize>() {
                // Numbers count over the whole text.
                Ok(number) if part > 0 => {
                    self.sql.push_str(&format!("${}{}", before + number, &text[digits..]));
                }
                _ if part > 0 => self.sql.push_str(&format!("${text}")),
                _ => self.sql.push_str(text),
            }
        }
        self.count += 1;
    }

    async fn run(self, connection: &mut SqliteConnection, statements: &mut Vec<Did>) -> Result<(), sqlx::Error> {
        let all = statements.len() + self.count;
        let mut current = Did::default();
        let mut steps = connection.fetch_many(sqlx::query_with(AssertSqlSafe(self.sql), self.arguments));
        while let Some(step) = steps.try_next().await? {
            match step {
                Either::Right(row) => current.rows.push(row),
                Either::Left(done) => {
                    current.changed = done.rows_affected();
                    statements.push(std::mem::take(&mut current));
                }
            }
        }
        // A stream that merely ended tells nothing: every statement must have told its end.
        if statements.len() == all { Ok(()) } else { Err(sqlx::Error::WorkerCrashed) }
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("statements", &self.count).finish_non_exhaustive()
    }
}

impl Binding<'_> {
    /// The value of the next placeholder.
    pub fn bind<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(self, value: T) -> Self {
        let added = self.script.trips.last_mut().map(|trip| trip.arguments.add(value));
        if let Some(Err(cause)) = added {
            self.script.unbindable.get_or_insert(cause);
        }
        self
    }

    /// Where to find what it did.
    pub fn place(self) -> Place {
        self.place
    }
}

impl Ran {
    /// How many rows an INSERT, UPDATE or DELETE changed. Of another statement it tells nothing.
    pub fn changed(&self, place: Place) -> u64 {
        self.statements.get(place.0).map_or(0, |did| did.changed)
    }

    /// The rows that a statement gave.
    ///
    /// # Errors
    /// A row is not of this shape.
    pub fn rows<T: for<'r> FromRow<'r, SqliteRow>>(&self, place: Place) -> Result<Vec<T>, sqlx::Error> {
        self.statements.get(place.0).into_iter().flat_map(|did| &did.rows).map(T::from_row).collect()
    }

    /// Its first row.
    ///
    /// # Errors
    /// It is not of this shape.
    pub fn row<T: for<'r> FromRow<'r, SqliteRow>>(&self, place: Place) -> Result<Option<T>, sqlx::Error> {
        self.statements.get(place.0).and_then(|did| did.rows.first()).map(T::from_row).transpose()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;

    async fn table() -> SqliteConnection {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        connection.execute("CREATE TABLE things (name TEXT NOT NULL UNIQUE, size INTEGER)").await.unwrap();
        connection
    }

    #[tokio::test]
    async fn each_statement_has_its_own_values_and_tells_what_it_did() {
        let mut connection = table().await;
        let mut script = Script::new();
        let two = script.add("INSERT INTO things VALUES ($1, $2), ($1 || '$x', $2 + 1)").bind("a").bind(7).place();
        let none = script.add("UPDATE things SET size = $2 WHERE name = $1").bind("z").bind(1).place();
        let read = script.add("SELECT name, size FROM things WHERE size >= $1 ORDER BY size").bind(7).place();
        let ran = script.run(&mut connection).await.unwrap();
        assert_eq!((ran.changed(two), ran.changed(none)), (2, 0));
        let rows: Vec<(String, i64)> = ran.rows(read).unwrap();
        assert_eq!(rows, [("a".to_owned(), 7), ("a$x".to_owned(), 8)]);
        assert_eq!(ran.row::<(String, i64)>(read).unwrap(), Some(("a".to_owned(), 7)));
        assert_eq!(ran.row::<(String, i64)>(none).unwrap(), None);
    }

    #[tokio::test]
    async fn many_statements_take_several_trips_and_tell_each_its_own() {
        let mut connection = table().await;
        let mut script = Script::new();
        let mut places = Vec::new();
        for size in 0..100 {
            let name = format!("thing {size}");
            places.push(script.add("INSERT INTO things VALUES ($1, $2) RETURNING size").bind(name).bind(size).place());
        }
        assert_eq!(script.trips.len(), 7);
        let ran = script.run(&mut connection).await.unwrap();
        for (size, place) in places.into_iter().enumerate() {
            assert_eq!(ran.row::<(i64,)>(place).unwrap(), Some((size as i64,)));
        }
    }

    #[tokio::test]
    async fn what_fails_ends_it() {
        let mut connection = table().await;
        let mut script = Script::new();
        for _ in 0..2 {
            let _ = script.add("INSERT INTO things VALUES ($1, 1)").bind("a");
        }
        let _ = script.add("INSERT INTO things VALUES ('never', 1)");
        assert!(script.run(&mut connection).await.unwrap_err().to_string().contains("UNIQUE"));
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&mut connection).await.unwrap();
        assert_eq!(count, 1);
    }
}
