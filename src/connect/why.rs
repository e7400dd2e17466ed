//! How a system finds candidates, in its own words: `plan --sql --why`.

/// A statement by which candidates are found, with the system's own plan of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// The statement, as it is sent. It holds literals of the policy and of the day, and no value of a record.
    pub text: String,
    /// The system's plan, line by line.
    pub plan: Vec<String>,
    /// How the records are reached.
    pub reached: Reached,
    /// What would serve it and is not there: statements for the system's administrator.
    pub missing: Vec<String>,
}

/// How the records of a rule are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Through an index, which leaves out what is not wanted.
    Index(String),
    /// Every record is read, from first to last.
    Whole,
    /// The plan does not say it in a way that is known here.
    Unknown,
}
