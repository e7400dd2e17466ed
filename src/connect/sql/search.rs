//! Finding out which items of a batch the system does not let go, in transactions that are rolled back.

use std::collections::BTreeSet;

use super::engine::{FaultKind, Session};
use super::erase::{Eraser, Halt, Try};
use super::records::ReadFault;
use crate::connect::EraseError;
use crate::domain::outcome::Outcome;

/// Items that can't go, and what becomes of them.
type Bad = Vec<(usize, Outcome)>;

impl Eraser<'_> {
    /// Finds the items that can't go, by trying halves. What hangs below a record may be in the other half: such a record is
    /// tried again with all that comes before it, for in a batch what hangs below stands first.
    pub(super) async fn search(
        &self,
        session: &mut dyn Session,
        items: &[usize],
        outcome: Outcome,
    ) -> Result<Bad, EraseError> {
        let (mut bad, mut apart) = (Bad::new(), BTreeSet::new());
        let mut open: Vec<Vec<usize>> = vec![items.to_vec()];
        while let Some(set) = open.pop() {
            match self.attempt(session, Try { items: &set, commit: false }).await {
                Ok(_) => {}
                Err(Halt::Again(taken)) => {
                    let taken: BTreeSet<usize> = taken.into_iter().map(|(item, _)| item).collect();
                    open.push(set.into_iter().filter(|item| !taken.contains(item)).collect());
                    apart.extend(taken);
                }
                Err(halt) => match (is_refusal(&halt), set.as_slice()) {
                    (true, [item]) => bad.push((*item, outcome)),
                    (true, [_, _, ..]) => {
                        let (left, right) = set.split_at(set.len() / 2);
                        open.push(left.to_vec());
                        open.push(right.to_vec());
                    }
                    _ => return Err(self.not_done(&halt)),
                },
            }
        }
        self.search_apart(session, items, &apart, outcome, &mut bad).await?;
        Ok(bad)
    }

    /// Tries those that halving took apart from others, each with all before it that can go.
    async fn search_apart(
        &self,
        session: &mut dyn Session,
        items: &[usize],
        apart: &BTreeSet<usize>,
        outcome: Outcome,
        bad: &mut Bad,
    ) -> Result<(), EraseError> {
        for one in apart {
            loop {
                let can = |item: &usize| item <= one && !bad.iter().any(|(known, _)| known == item);
                let set: Vec<usize> = items.iter().copied().filter(can).collect();
                if !set.contains(one) {
                    break;
                }
                match self.attempt(session, Try { items: &set, commit: false }).await {
                    Ok(_) => break,
                    Err(Halt::Again(taken)) if !taken.is_empty() => bad.extend(taken),
                    Err(halt) if is_refusal(&halt) => bad.push((*one, outcome)),
                    Err(halt) => return Err(self.not_done(&halt)),
                }
            }
        }
        Ok(())
    }
}

/// Whether one of the items that were tried can't go.
fn is_refusal(halt: &Halt) -> bool {
    match halt {
        Halt::Mismatch => true,
        Halt::Read(ReadFault::Sql(fault)) => fault.kind == FaultKind::Constraint,
        _ => false,
    }
}
