//! The decision: what is past its term, what stays and why.
//!
//! Pure: no I/O, no reading of the time, no async. `now` is always an argument.
//! Everything that erases data asks [`decide::decide`], and everything that shows what would be erased asks the same.

pub mod brake;
pub mod clock;
pub mod decide;
pub mod digest;
pub mod gate;
pub mod hold;
pub mod id;
pub mod identity;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod predicate;
pub mod recipe;
pub mod rule;
pub mod selection;
pub mod serialised;
pub mod shell;
pub mod signature;
pub mod term;
pub mod trace;
pub mod value;

/// Raised only when a decision or a recipe can differ for the same policy and the same data.
/// It enters every rule's decision digest, so raising it closes the gates that it concerns.
/// 2: a record waits for those below it in its own table.
/// 3: of related rows a date before 1970 or without a month or a day keeps its record also where the server says which is
/// newest.
pub const SEMANTICS: u32 = 3;
