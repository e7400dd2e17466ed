//! `bewaard check` and `bewaard grants`: the text, then the live systems; every fault at once.

use std::path::Path;

use super::args::Check;
use super::out::Out;
use super::{Ended, exit, load};
use crate::report::words::count;

pub(super) fn run(config: &Path, wish: &Check, out: Out) -> Ended {
    let path = wish.file.clone().unwrap_or_else(|| config.to_path_buf());
    let loaded = load(&path, out)?;
    #[cfg(feature = "systems")]
    if !wish.offline {
        return live::check(loaded, out);
    }
    if !loaded.warnings.is_empty() {
        out.drawing(loaded.warnings.render(out.colour, out.width()))?;
    }
    let (systems, rules) = (loaded.policy.systems.len() as u64, loaded.policy.rules.len() as u64);
    if out.json {
        out.value(&serde_json::json!({
            "schema": crate::report::json::SCHEMA, "ok": true, "offline": true,
            "systems": systems, "rules": rules, "findings": loaded.warnings.to_json(),
        }))?;
    } else {
        out.line(format!(
            "the text is in order: {}, {} (no system was asked)",
            count(systems, "system", "systems"),
            count(rules, "rule", "rules")
        ))?;
    }
    Ok(exit::DONE)
}

#[cfg(feature = "systems")]
pub(super) use live::grants;

#[cfg(feature = "systems")]
mod live {
    use std::path::Path;

    use super::super::args::Grants;
    use super::super::out::Out;
    use super::super::runtime::block_on;
    use super::super::{Ended, Failure, exit, load};
    use crate::config::{Diagnostics, Loaded};
    use crate::connect::{Advice, ConnectError, Finding, Keeps, Severity, Trace};
    use crate::domain::id::{RuleId, SystemId};
    use crate::domain::rule::Rule;
    use crate::engine::Engine;
    use crate::report::traces;
    use crate::report::words::count;

    pub(super) fn check(loaded: Loaded, out: Out) -> Ended {
        block_on(async move {
            let mut seen = Seen::default();
            let rules: Vec<Rule> = loaded.policy.rules.values().cloned().collect();
            let systems: Vec<SystemId> = loaded.policy.systems.keys().cloned().collect();
            let mut engine = Engine::preview(loaded);
            for system in &systems {
                let of_system: Vec<&Rule> = rules.iter().filter(|rule| rule.system == *system).collect();
                look_at(&mut engine, system, &of_system, &mut seen).await;
            }
            tell(&engine.loaded, &seen, out)
        })
    }

    #[derive(Default)]
    struct Seen {
        findings: Vec<Finding>,
        unreachable: Vec<(SystemId, String)>,
        keeps: Vec<(SystemId, Keeps)>,
        looked: u64,
    }

    impl Seen {
        /// A system that could not be asked: reached and refused is somebody's to mend, all else may pass.
        fn not_asked(&mut self, system: &SystemId, error: &ConnectError) {
            if error.unreachable || error.advice != Advice::Fix {
                return self.unreachable.push((system.clone(), error.to_string()));
            }
            let finding = Finding {
                code: crate::codes::ACCOUNT_LACKS_RIGHT,
                severity: Severity::Fault,
                at: format!("system.{system}"),
                text: error.to_string(),
                remedy: format!(
                    "check the account and its password here; where they are right, let an administrator of the \
                     database run what `bewaard grants {system}` prints"
                ),
            };
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    async fn look_at(engine: &mut Engine, system: &SystemId, rules: &[&Rule], seen: &mut Seen) {
        let connector = match engine.system(system) {
            Ok(connector) => connector,
            Err(error) => return seen.unreachable.push((system.clone(), error.to_string())),
        };
        if let Err(error) = connector.identity().await {
            return seen.not_asked(system, &error);
        }
        seen.looked += 1;
        let mut fit = true;
        for rule in rules {
            match connector.probe(rule).await {
                Ok(probe) => {
                    fit &= !probe.findings.iter().any(|finding| finding.severity == Severity::Fault);
                    seen.findings.extend(probe.findings);
                }
                Err(error) => {
                    fit = false;
                    seen.not_asked(system, &error);
                }
            }
        }
        match connector.keeps(rules).await {
            Ok(keeps) => {
                let grave = keeps.traces.iter().filter(|trace| trace.severity != Severity::Note);
                seen.findings.extend(grave.map(|trace| found(system, trace)));
                seen.keeps.push((system.clone(), keeps));
            }
            Err(error) => seen.not_asked(system, &error),
        }
        seen.findings.extend(engine.brake_findings(connector.as_ref(), system).await);
        // Not every right that a rule needs can be named while the rule does not fit the live schema, and one that can't
        // would look like one too many.
        let tellable = |finding: &Finding| fit || finding.code != crate::codes::ACCOUNT_HAS_MORE;
        match connector.probe_rights(rules).await {
            Ok(findings) => seen.findings.extend(findings.into_iter().filter(tellable)),
            Err(error) => seen.not_asked(system, &error),
        }
    }

    /// A trace that somebody should do something about.
    fn found(system: &SystemId, trace: &Trace) -> Finding {
        Finding {
            code: trace.code,
            severity: trace.severity,
            at: format!("system.{system}"),
            text: trace.text.clone(),
            remedy: trace.remedy.clone(),
        }
    }

    /// What each system keeps of a purge, and when the last of it dies.
    fn tell_keeps(seen: &Seen, out: Out) -> Result<(), Failure> {
        for (system, keeps) in &seen.keeps {
            out.line(format!("{system}: {}", traces::last(&keeps.by_kind())))?;
            for trace in &keeps.traces {
                let (kind, until) = (traces::kind(trace.kind), traces::until(trace.until));
                out.line(format!("  {kind}: {until}; {} ({})", trace.text, trace.code.id))?;
            }
            for line in traces::space(keeps.space.iter().map(|one| (one.place.as_str(), one.command.as_str()))) {
                out.line(format!("  {line}"))?;
            }
        }
        Ok(())
    }

    fn keeps_json(seen: &Seen) -> Vec<serde_json::Value> {
        let one = |(system, keeps): &(SystemId, Keeps)| {
            let traces: Vec<_> = keeps
                .traces
                .iter()
                .map(|trace| {
                    serde_json::json!({
                        "kind": trace.kind.word(), "until": trace.until, "code": trace.code.id,
                        "text": trace.text, "remedy": trace.remedy,
                    })
                })
                .collect();
            let space = keeps.space.iter();
            let space: Vec<_> =
                space.map(|one| serde_json::json!({ "place": one.place, "command": one.command })).collect();
            serde_json::json!({
                "system": system.as_str(), "last": keeps.traces.iter().map(|one| one.until).max(), "traces": traces,
                "space": space,
            })
        };
        seen.keeps.iter().map(one).collect()
    }

    fn tell(loaded: &Loaded, seen: &Seen, out: Out) -> Ended {
        let mut all = Diagnostics::default();
        all.extend(loaded.warnings.clone());
        let (mut faults, mut warnings) = (0u64, 0u64);
        for finding in &seen.findings {
            match finding.severity {
                Severity::Fault => faults += 1,
                Severity::Warning => warnings += 1,
                Severity::Note => {}
            }
            let severity = match finding.severity {
                Severity::Fault => crate::config::Severity::Fault,
                Severity::Warning => crate::config::Severity::Warning,
                Severity::Note => crate::config::Severity::Note,
            };
            all.push(loaded.sources.diagnostic(finding.code, severity, &finding.at, &finding.text, &finding.remedy));
        }
        for (system, why) in &seen.unreachable {
            let at = format!("system.{system}");
            let remedy = "check that the service runs, and the address and account given here";
            let code = crate::codes::UNREACHABLE;
            all.push(loaded.sources.diagnostic(code, crate::config::Severity::Fault, &at, why, remedy));
        }
        if out.json {
            out.value(&serde_json::json!({
                "schema": crate::report::json::SCHEMA,
                "ok": faults == 0 && seen.unreachable.is_empty(), "offline": false,
                "systems": loaded.policy.systems.len(), "rules": loaded.policy.rules.len(),
                "findings": all.to_json(), "keeps": keeps_json(seen),
            }))?;
        } else {
            if !all.is_empty() {
                out.drawing(all.render(out.colour, out.width()))?;
            }
            tell_keeps(seen, out)?;
            let rules = loaded.policy.rules.len() as u64;
            let systems = count(seen.looked, "system", "systems");
            out.line(match (faults, seen.unreachable.len() as u64) {
                (0, 0) => {
                    format!(
                        "in order: {} over {systems}, {}",
                        count(rules, "rule", "rules"),
                        count(warnings, "warning", "warnings")
                    )
                }
                (faults, unread) => format!(
                    "NOT in order: {}, {}, {}",
                    count(faults, "fault", "faults"),
                    count(unread, "system not reached", "systems not reached"),
                    count(warnings, "warning", "warnings")
                ),
            })?;
        }
        Ok(match (faults, seen.unreachable.is_empty()) {
            (0, true) => exit::DONE,
            (0, false) => exit::UNREACHABLE,
            _ => exit::CONFIG,
        })
    }

    pub(in super::super) fn grants(config: &Path, wish: &Grants, out: Out) -> Ended {
        let loaded = load(config, out)?;
        let no_system = || Failure::new(exit::USAGE, format!("there is no system `{}`", wish.system));
        let system = SystemId::new(wish.system.clone()).map_err(|_| no_system())?;
        if !loaded.policy.systems.contains_key(&system) {
            return Err(no_system());
        }
        let ids: Vec<RuleId> = loaded.policy.rules.keys().cloned().collect();
        block_on(async move {
            let mut engine = Engine::preview(loaded);
            let rules: Vec<Rule> = ids.iter().filter_map(|id| engine.rule(id).ok().cloned()).collect();
            let of_system: Vec<&Rule> = rules.iter().filter(|rule| rule.system == system).collect();
            let connector = engine.system(&system)?;
            let statements = connector.grants(&of_system).await.map_err(crate::engine::EngineError::from)?;
            if out.json {
                out.value(&serde_json::json!({ "schema": crate::report::json::SCHEMA, "statements": statements }))?;
            } else {
                for statement in statements {
                    out.line(statement)?;
                }
            }
            Ok(exit::DONE)
        })
    }
}
