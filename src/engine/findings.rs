//! Findings: something that a person must look at, opened once and closed when it is over.

use super::Engine;
use crate::audit::entry::Body;
use crate::codes::Code;
use crate::domain::rule::Rule;

impl Engine {
    /// The entry that opens a finding about a rule; `None` where it is open already.
    pub(super) fn finding_opened(&self, rule: &Rule, code: &Code, count: u64) -> Option<Body> {
        (!self.is_open(rule, code)).then(|| finding(rule, code, "opened", count))
    }

    /// The entry that closes it; `None` where it is not open.
    pub(super) fn finding_closed(&self, rule: &Rule, code: &Code) -> Option<Body> {
        self.is_open(rule, code).then(|| finding(rule, code, "closed", 0))
    }

    /// Opens it where there is something to tell, closes it where there is nothing any more.
    pub(super) fn finding_about(&self, rule: &Rule, code: &Code, count: u64) -> Option<Body> {
        if count > 0 { self.finding_opened(rule, code, count) } else { self.finding_closed(rule, code) }
    }

    /// Whether it is open.
    pub(super) fn is_open(&self, rule: &Rule, code: &Code) -> bool {
        let same = |one: &super::view::OpenFinding| one.code == code.id && one.rule.as_ref() == Some(&rule.id);
        self.view.findings.iter().any(|one| same(one) && one.batch.is_none() && one.place.is_none())
    }
}

/// A finding about a place that a rule should have emptied.
pub(super) fn finding_at(rule: &Rule, code: &Code, change: &str, at: &str, n: u64) -> Body {
    let mut body = finding(rule, code, change, n);
    if let Body::Finding { place, .. } = &mut body {
        *place = Some(at.into());
    }
    body
}

/// A finding about a rule.
pub(super) fn finding(rule: &Rule, code: &Code, change: &str, count: u64) -> Body {
    Body::Finding {
        code: code.id.into(),
        change: change.into(),
        rule: Some(rule.id.clone()),
        system: Some(rule.system.clone()),
        batch: None,
        place: None,
        count,
    }
}
