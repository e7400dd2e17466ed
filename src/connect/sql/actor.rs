//! The task that owns a server connection.
//!
//! A driver's future that is dropped half-way leaves an answer in the pipe, and with `mysql_async` the next question
//! gets it. So no caller ever holds a connection: a task owns it, runs each statement to its end and throws the
//! connection away after any doubt. Who asks holds one end of a channel, and may be dropped at any moment.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::engine::{FaultKind, Row, Session, SqlFault, Statement};
use crate::domain::value::Scalar;

/// A statement that takes longer is ended by the server.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_mins(15);
/// A lock that is not given by then is given up: the site goes before us.
pub(super) fn lock_limit() -> Duration {
    limit_for_tests("BEWAARD_LOCK_LIMIT").unwrap_or(Duration::from_secs(10))
}
/// A transaction in which nothing is asked for so long is ended by the server: whoever began it is gone, and its locks are
/// felt by the site.
pub(super) fn idle_limit() -> Duration {
    limit_for_tests("BEWAARD_IDLE_LIMIT").unwrap_or(Duration::from_mins(2))
}
/// A connection that is not made by then is given up.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// A server that is silent for so long is gone: its own limit has passed.
fn silence_limit() -> Duration {
    limit_for_tests("BEWAARD_SILENCE_LIMIT").unwrap_or(Duration::from_mins(16))
}

/// Seconds that a test would rather wait.
#[cfg(feature = "crash-points")]
fn limit_for_tests(name: &str) -> Option<Duration> {
    std::env::var(name).ok()?.parse().ok().map(Duration::from_secs)
}
#[cfg(not(feature = "crash-points"))]
fn limit_for_tests(_name: &str) -> Option<Duration> {
    None
}

/// How a statement is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Prepared; its rows are wanted.
    Rows,
    /// Prepared; its count is wanted.
    Count,
    /// Transaction control: text without values.
    Control,
}

/// What a statement gave.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    pub(super) count: u64,
}

/// A driver's connection.
#[async_trait]
pub(super) trait Driver: Send + 'static {
    /// Runs one statement to its end.
    async fn run(&mut self, how: How, text: &str, values: &[Scalar]) -> Result<Answer, SqlFault>;
    /// Says goodbye to the server.
    async fn close(self);
}

struct Job {
    how: How,
    statement: Statement,
    reply: oneshot::Sender<Result<Answer, SqlFault>>,
}

/// The words of an engine for its transactions.
pub(super) struct Words {
    pub(super) begin: &'static str,
    /// Asks for (number, ...) of the transaction; its columns are joined by `/`. `None` where there is none.
    pub(super) ticket: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A statement failed in it: nothing but ROLLBACK is sent. (After a deadlock MariaDB has rolled back already, and
    /// the next statement would commit by itself.)
    Failed,
}

/// A session whose connection is owned by a task.
pub(super) struct ActorSession {
    jobs: mpsc::Sender<Job>,
    words: &'static Words,
    transaction: Transaction,
    lost: bool,
}

impl ActorSession {
    /// Gives the connection to a task of its own.
    pub(super) fn start<D: Driver>(driver: D, words: &'static Words) -> Self {
        let (jobs, inbox) = mpsc::channel(1);
        tokio::spawn(own(driver, inbox));
        Self { jobs, words, transaction: Transaction::None, lost: false }
    }

    async fn ask(&mut self, how: How, statement: &Statement) -> Result<Answer, SqlFault> {
        if self.lost {
            return Err(lost());
        }
        if self.transaction == Transaction::Failed {
            return Err(failed());
        }
        let answer = self.send(how, statement).await;
        if answer.is_err() && self.transaction == Transaction::Open {
            self.transaction = Transaction::Failed;
        }
        answer
    }

    async fn send(&mut self, how: How, statement: &Statement) -> Result<Answer, SqlFault> {
        let (reply, answer) = oneshot::channel();
        let job = Job { how, statement: statement.clone(), reply };
        let sent = self.jobs.send(job).await;
        let answer = if sent.is_ok() { answer.await.unwrap_or_else(|_| Err(lost())) } else { Err(lost()) };
        self.lost |= matches!(&answer, Err(fault) if fault.kind == FaultKind::Lost);
        answer
    }
}

fn lost() -> SqlFault {
    SqlFault { kind: FaultKind::Lost, code: "closed".into() }
}

fn failed() -> SqlFault {
    SqlFault { kind: FaultKind::Other, code: "the transaction has failed already".into() }
}

async fn own<D: Driver>(mut driver: D, mut inbox: mpsc::Receiver<Job>) {
    while let Some(job) = inbox.recv().await {
        if job.reply.is_closed() {
            // The asker is gone, and with it the knowledge of where the transaction stands.
            break;
        }
        let run = driver.run(job.how, &job.statement.text, &job.statement.values);
        // The one time limit here drops the whole connection, never only its future.
        let Ok(answer) = tokio::time::timeout(silence_limit(), run).await else {
            let _gone = job.reply.send(Err(SqlFault { kind: FaultKind::Lost, code: "silence".into() }));
            return;
        };
        let doubt = matches!(&answer, Err(fault) if fault.kind == FaultKind::Lost);
        if job.reply.send(answer).is_err() || doubt {
            break;
        }
    }
    // Waits no longer than for a connection to be made: the server rolls back what is open when the socket closes.
    let _late = tokio::time::timeout(CONNECT_LIMIT, driver.close()).await;
}

#[async_trait]
impl Session for ActorSession {
    async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>, SqlFault> {
        Ok(self.ask(How::Rows, statement).await?.rows)
    }

    async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlFault> {
        Ok(self.ask(How::Count, statement).await?.count)
    }

    async fn begin(&mut self) -> Result<(), SqlFault> {
        self.ask(How::Control, &Statement::plain(self.words.begin)).await?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    async fn ticket(&mut self) -> Result<Option<String>, SqlFault> {
        let Some(ticket) = self.words.ticket else { return Ok(None) };
        let rows = self.rows(&Statement::plain(ticket)).await?;
        let parts: Option<Vec<&str>> = rows.first().map(|row| row.iter().filter_map(Scalar::as_text).collect());
        Ok(parts.map(|parts| parts.join("/")))
    }

    async fn commit(&mut self) -> Result<(), SqlFault> {
        if self.transaction == Transaction::Failed && !self.lost {
            return Err(failed());
        }
        let answer = self.ask(How::Control, &Statement::plain("COMMIT")).await;
        if answer.is_ok() {
            self.transaction = Transaction::None;
        }
        answer.map(|_| ()).map_err(in_doubt)
    }

    async fn rollback(&mut self) -> Result<(), SqlFault> {
        let answer = self.send(How::Control, &Statement::plain("ROLLBACK")).await;
        if answer.is_ok() {
            self.transaction = Transaction::None;
        }
        answer.map(|_| ())
    }

    async fn savepoint(&mut self) -> Result<(), SqlFault> {
        self.ask(How::Control, &Statement::plain("SAVEPOINT bewaard")).await.map(|_| ())
    }

    async fn end_savepoint(&mut self, stays: bool) -> Result<(), SqlFault> {
        if !stays {
            // Where the server has rolled back all of it, as after a deadlock, there is no such place, and this fails.
            self.send(How::Control, &Statement::plain("ROLLBACK TO SAVEPOINT bewaard")).await?;
            self.transaction = Transaction::Open;
        }
        self.ask(How::Control, &Statement::plain("RELEASE SAVEPOINT bewaard")).await.map(|_| ())
    }
}

/// An error of COMMIT that does not say for certain that the transaction was rolled back leaves it in doubt.
fn in_doubt(fault: SqlFault) -> SqlFault {
    match fault.kind {
        FaultKind::Deadlock | FaultKind::Constraint | FaultKind::ReadOnly | FaultKind::Lost => fault,
        _ => SqlFault { kind: FaultKind::Lost, code: fault.code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Notify;

    static WORDS: Words = Words { begin: "BEGIN", ticket: None };

    /// Answers with its own text after it was let go; fails on "deadlock".
    struct Slow {
        started: Arc<Notify>,
        go: Arc<Notify>,
        ran: mpsc::UnboundedSender<String>,
    }

    #[async_trait]
    impl Driver for Slow {
        async fn run(&mut self, _: How, text: &str, _: &[Scalar]) -> Result<Answer, SqlFault> {
            self.ran.send(text.to_string()).unwrap();
            if text == "slow" {
                self.started.notify_one();
                self.go.notified().await;
            }
            if text == "deadlock" {
                return Err(SqlFault { kind: FaultKind::Deadlock, code: "1213".into() });
            }
            Ok(Answer { rows: vec![vec![Scalar::Text(text.into())]], count: 1 })
        }
        async fn close(self) {
            self.ran.send("closed".into()).unwrap();
        }
    }

    fn session() -> (ActorSession, Arc<Notify>, Arc<Notify>, mpsc::UnboundedReceiver<String>) {
        let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (ran, log) = mpsc::unbounded_channel();
        let driver = Slow { started: started.clone(), go: go.clone(), ran };
        (ActorSession::start(driver, &WORDS), started, go, log)
    }

    #[tokio::test]
    async fn a_dropped_question_ends_the_connection_and_never_shifts_an_answer() {
        let (mut session, started, go, mut log) = session();
        {
            let slow = Statement::plain("slow");
            let question = session.rows(&slow);
            tokio::select! {
                _ = question => panic!("it was not let go"),
                () = started.notified() => {}
            }
        }
        go.notify_one();
        let next = session.rows(&Statement::plain("next")).await;
        assert_eq!(next.unwrap_err().kind, FaultKind::Lost);
        assert_eq!(log.recv().await.as_deref(), Some("slow"));
        assert_eq!(log.recv().await.as_deref(), Some("closed"));
    }

    #[tokio::test]
    async fn after_a_failed_statement_only_a_rollback_is_sent() {
        let (mut session, _started, _go, mut log) = session();
        session.begin().await.unwrap();
        let fault = session.execute(&Statement::plain("deadlock")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Deadlock);
        assert!(session.execute(&Statement::plain("delete all")).await.is_err());
        assert!(session.commit().await.is_err());
        session.rollback().await.unwrap();
        session.execute(&Statement::plain("again")).await.unwrap();
        drop(session);
        let mut ran = Vec::new();
        while let Some(text) = log.recv().await {
            ran.push(text);
        }
        assert_eq!(ran, ["BEGIN", "deadlock", "ROLLBACK", "again", "closed"]);
    }

    #[test]
    fn a_commit_that_fails_for_an_unknown_reason_is_in_doubt() {
        let fault = |kind| in_doubt(SqlFault { kind, code: "1317".into() }).kind;
        assert_eq!(fault(FaultKind::StatementTimeout), FaultKind::Lost);
        assert_eq!(fault(FaultKind::Other), FaultKind::Lost);
        assert_eq!(fault(FaultKind::Deadlock), FaultKind::Deadlock);
    }
}
