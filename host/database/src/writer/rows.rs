//! Rows of one kind, inserted many at a time.
//!
//! A multi-row insert costs a few microseconds a row where single inserts cost tens. Statements are made once for each
//! number of rows, and SQLite keeps them prepared.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteQueryResult};
use sqlx::{Arguments, AssertSqlSafe, Either, Executor, Row, SqlSafeStr, SqlStr, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::transaction::{BEGIN, COMMIT, Fatal, Transaction};
use crate::WriteError;

/// Rows that may wait before [`Rows::insert`] itself waits.
const WAITING_ROWS: usize = 2048;

/// How many of `left` rows go into one statement. Every query wakes SQLite's thread and the writer, so an
/// ordinary group is one; few sizes for the large ones keep prepared statements few.
fn fitting(left: usize) -> usize {
    match left {
        256.. => 256,
        128.. => 128,
        few => few,
    }
}

/// A kind of row that is inserted often, with a unique key that makes a second insert of the same row harmless.
///
/// The table numbers its rows with `INTEGER PRIMARY KEY AUTOINCREMENT`.
pub trait BatchInsert: Send + Sync + 'static {
    /// Table and columns, as after `INSERT INTO`: `"events (tenant_id, dedup, body)"`.
    const INTO: &'static str;
    /// The values of one row: `"(?, ?, ?)"`; may be expressions.
    const VALUES: &'static str;
    /// How many values are bound for one row.
    const BOUND: usize;
    /// The columns of the unique key: `"tenant_id, dedup"`.
    const UNIQUE: &'static str;
    /// The number of the row with a key: `"SELECT seq FROM events WHERE tenant_id = $1 AND dedup = $2"`.
    const EXISTING: &'static str;
    /// Marks those of the rows just inserted that need something done after the commit, where `FIRST` and `LAST` stand for
    /// their numbers: `"UPDATE events SET state = 0 WHERE seq BETWEEN FIRST AND LAST AND … RETURNING seq"`. One statement for
    /// all of them costs less than a subquery in every row's values.
    const MARK: &'static str;

    /// Binds the values of [`BatchInsert::VALUES`] in their order. An error fails this row alone.
    fn bind(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError>;

    /// Adds the key in the order of [`BatchInsert::EXISTING`].
    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError>;
}

/// Where a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inserted {
    /// The number of the row: the new one, or the one that was there.
    pub number: i64,
    /// True if a row with this key was there before.
    pub duplicate: bool,
    /// Whether it is a new row that [`BatchInsert::MARK`] marked.
    pub marked: bool,
}

/// The queue for rows of kind `K`.
pub struct Rows<K: BatchInsert> {
    waiting: mpsc::Sender<Waiting<K>>,
    shared: Arc<Shared>,
}

struct Waiting<K: BatchInsert> {
    row: K,
    answer: oneshot::Sender<Outcome>,
}

type Outcome = Result<Inserted, WriteError>;

impl<K: BatchInsert> Rows<K> {
    /// Inserts the row with the next group and answers once it is durable. Once queued, it is inserted even if the
    /// caller stops waiting.
    ///
    /// # Errors
    /// [`WriteError::Row`] if this row alone was refused, else what happened to the whole group.
    pub async fn insert(&self, row: K) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.waiting.send(Waiting { row, answer }).await.map_err(|_| WriteError::Closed)?;
        self.shared.wake.notify_one();
        answered.await.map_err(|_| WriteError::Closed)?
    }
}

impl<K: BatchInsert> Clone for Rows<K> {
    fn clone(&self) -> Self {
        Rows { waiting: self.waiting.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<K: BatchInsert> std::fmt::Debug for Rows<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

/// A queue whose kind of row the writer need not know.
pub(super) trait Queue: Send {
    /// Up to `limit` waiting rows.
    fn take(&mut self, limit: usize) -> Option<Box<dyn Batch>>;

    /// Rows that wait.
    fn waiting(&self) -> usize;

    /// Nobody can add rows any more.
    fn is_finished(&self) -> bool;
}

/// Rows taken for one group.
pub(super) trait Batch: Send {
    fn len(&self) -> usize;

    /// Inserts the rows; begins the transaction if nothing has, and may commit it if they are the last of the group. An
    /// error means that the transaction is gone.
    fn run<'c>(&'c mut self, group: &'c mut Transaction<'_>, last: bool) -> BoxFuture<'c, Result<(), Fatal>>;

    /// Answers every waiter, once the fate of the group is known.
    fn answer(self: Box<Self>, group: Result<(), WriteError>);
}

pub(super) fn queue<K: BatchInsert>(shared: Arc<Shared>) -> (Rows<K>, Box<dyn Queue>) {
    let (waiting, taken) = mpsc::channel(WAITING_ROWS);
    let queue = RowQueue { waiting: taken, statements: Arc::default() };
    (Rows { waiting, shared }, Box::new(queue))
}

struct RowQueue<K: BatchInsert> {
    waiting: mpsc::Receiver<Waiting<K>>,
    statements: Arc<Statements>,
}

impl<K: BatchInsert> Queue for RowQueue<K> {
    fn take(&mut self, limit: usize) -> Option<Box<dyn Batch>> {
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Ok(row) = self.waiting.try_recv()
        {
            rows.push(row);
        }
        if rows.is_empty() {
            return None;
        }
        Some(Box::new(RowBatch { outcomes: Vec::with_capacity(rows.len()), rows, statements: self.statements.clone() }))
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn is_finished(&self) -> bool {
        self.waiting.is_closed() && self.waiting.is_empty()
    }
}

/// The queries of a kind, made as they are needed: by their number of rows, and whether they begin and commit the
/// transaction.
#[derive(Default)]
struct Statements {
    made: Mutex<HashMap<Shape, SqlStr>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    rows: usize,
    begin: bool,
    commit: bool,
}

impl Statements {
    fn get<K: BatchInsert>(&self, shape: Shape) -> Statement {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = made.entry(shape).or_insert_with(|| shape.sql::<K>()).clone();
        Statement { sql, shape }
    }
}

impl Shape {
    fn sql<K: BatchInsert>(self) -> SqlStr {
        let rows = [K::VALUES].repeat(self.rows).join(", ");
        let begin = if self.begin { format!("{BEGIN}; ") } else { String::new() };
        let commit = if self.commit { format!("; {COMMIT}") } else { String::new() };
        // A row that was there before uses a number up as well, so the insert took the last ones, as many as it has rows.
        let table = K::INTO.split(' ').next().unwrap_or_default();
        let last = format!("(SELECT seq FROM sqlite_sequence WHERE name = '{table}')");
        let first = format!("({last} - {})", self.rows - 1);
        let mark = K::MARK.replace("FIRST", &first).replace("LAST", &last);
        made(format!(
            "{begin}INSERT INTO {} VALUES {rows} ON CONFLICT ({}) DO NOTHING; {mark}{commit}",
            K::INTO,
            K::UNIQUE
        ))
    }
}

/// A statement made of constants alone.
fn made(sql: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

struct RowBatch<K: BatchInsert> {
    rows: Vec<Waiting<K>>,
    /// One for each row, in their order; shorter while the batch runs.
    outcomes: Vec<Outcome>,
    statements: Arc<Statements>,
}

/// Why a statement's rows have no outcome.
enum Failed {
    /// They were not inserted.
    Refused(sqlx::Error),
    /// They were, and could not be marked, committed or read back.
    Unread(sqlx::Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Failed::Unread(error)
    }
}

/// Inserts a row by itself, on a connection that writes more with it ([`Writer::submit`](super::Writer::submit)).
///
/// # Errors
/// The row was refused, or could not be read back: the write must fail.
pub async fn insert_row<K: BatchInsert>(row: &K, connection: &mut SqliteConnection) -> Result<Inserted, sqlx::Error> {
    let shape = Shape { rows: 1, begin: false, commit: false };
    let inserted = insert_rows(&[row], Statement { sql: shape.sql::<K>(), shape }, connection).await;
    let inserted = inserted.map_err(|(Failed::Refused(error) | Failed::Unread(error))| error)?;
    inserted.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}

/// Rows in one query; gives where each row ended, in their order.
async fn insert_rows<K: BatchInsert>(
    rows: &[&K],
    statement: Statement,
    connection: &mut SqliteConnection,
) -> Result<Vec<Inserted>, Failed> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(rows.len() * K::BOUND, 0);
    for row in rows {
        row.bind(&mut arguments).map_err(|cause| Failed::Refused(sqlx::Error::Encode(cause)))?;
    }
    let done = statement.run(arguments, connection).await?;
    let fresh = done.inserted.rows_affected() as usize;
    // AUTOINCREMENT gives larger numbers than there ever were, in the order of the rows and, if none of them was there
    // before, without gaps.
    let last = done.inserted.last_insert_rowid();
    let mut numbers: Vec<i64> = (last - rows.len() as i64 + 1..=last).collect();
    if fresh < rows.len() {
        for (number, row) in numbers.iter_mut().zip(rows) {
            *number = existing(*row, connection).await?;
        }
    }
    let first = least_of_largest(&numbers, fresh);
    let marked: HashSet<i64> = done.marked.into_iter().collect();
    let mut seen = HashSet::new();
    let told = |number| {
        // The second row with a key in one statement is the duplicate of the first.
        let duplicate = first.is_none_or(|first| number < first) || !seen.insert(number);
        Inserted { number, duplicate, marked: !duplicate && marked.contains(&number) }
    };
    Ok(numbers.into_iter().map(told).collect())
}

/// A query that inserts and marks, and may begin and commit the transaction besides.
struct Statement {
    sql: SqlStr,
    shape: Shape,
}

/// What a query did.
struct Done {
    inserted: SqliteQueryResult,
    /// The numbers of the marked rows.
    marked: Vec<i64>,
}

impl Statement {
    /// Every statement must have told its end: a stream that merely ended tells nothing, and acknowledgements rest on it.
    async fn run(self, arguments: SqliteArguments, connection: &mut SqliteConnection) -> Result<Done, Failed> {
        let insert = usize::from(self.shape.begin);
        let (mut ended, mut inserted, mut marked) = (0, None, Vec::new());
        let mut steps = connection.fetch_many(sqlx::query_with(self.sql, arguments));
        loop {
            let failed = |error| if ended <= insert { Failed::Refused(error) } else { Failed::Unread(error) };
            match steps.try_next().await.map_err(failed)? {
                Some(Either::Left(done)) => {
                    if ended == insert {
                        inserted = Some(done);
                    }
                    ended += 1;
                }
                Some(Either::Right(row)) => marked.push(row.try_get(0)?),
                None => break,
            }
        }
        match inserted {
            Some(inserted) if ended == insert + 2 + usize::from(self.shape.commit) => Ok(Done { inserted, marked }),
            _ => Err(Failed::Unread(sqlx::Error::WorkerCrashed)),
        }
    }
}

/// The least among the `count` largest different numbers: the first of the fresh rows.
fn least_of_largest(numbers: &[i64], count: usize) -> Option<i64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.dedup();
    numbers.truncate(count);
    numbers.last().copied()
}

async fn existing<K: BatchInsert>(row: &K, connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    row.bind_key(&mut arguments).map_err(sqlx::Error::Encode)?;
    sqlx::query_scalar_with(K::EXISTING, arguments).fetch_one(connection).await
}

impl<K: BatchInsert> Batch for RowBatch<K> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn run<'c>(&'c mut self, group: &'c mut Transaction<'_>, last: bool) -> BoxFuture<'c, Result<(), Fatal>> {
        Box::pin(async move {
            // Up to here rows go singly, because one of them made a statement of many fail.
            let mut single_until = 0;
            while self.outcomes.len() < self.rows.len() {
                let done = self.outcomes.len();
                let left = if done < single_until { 1 } else { self.rows.len() - done };
                let size = fitting(left);
                let commit = last && done + size == self.rows.len();
                let statement = self.statements.get::<K>(Shape { rows: size, begin: !group.begun, commit });
                let rows: Vec<&K> = self.rows[done..][..size].iter().map(|waiting| &waiting.row).collect();
                let error = match insert_rows(&rows, statement, group.connection).await {
                    Ok(inserted) => {
                        (group.begun, group.committed) = (true, commit);
                        self.outcomes.extend(inserted.into_iter().map(Ok));
                        continue;
                    }
                    Err(Failed::Refused(error)) => Arc::new(error),
                    // The rows are there: they may be told neither as refused nor as duplicates.
                    Err(Failed::Unread(error)) => return Err(Fatal { cause: Arc::new(error), in_doubt: commit }),
                };
                // The rows of a failed statement are undone by SQLite, unless it undid everything.
                group.ensure_open(&error).await?;
                if size == 1 {
                    self.outcomes.push(Err(WriteError::Row(error)));
                } else {
                    single_until = done + size;
                }
            }
            Ok(())
        })
    }

    fn answer(self: Box<Self>, group: Result<(), WriteError>) {
        let mut outcomes = self.outcomes.into_iter();
        for waiting in self.rows {
            let outcome = match (&group, outcomes.next()) {
                (Ok(()), Some(outcome)) => outcome,
                (Ok(()), None) => Err(WriteError::Closed),
                (Err(error), _) => Err(error.clone()),
            };
            // A waiter that went away needs no answer.
            let _ = waiting.answer.send(outcome);
        }
    }
}
