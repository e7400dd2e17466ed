//! `bewaard plan`: what each rule would purge, why, and where it stands. It purges nothing.

use std::io::IsTerminal;
use std::path::Path;

use super::args::{Plan, PlanCommand};
use super::out::Out;
use super::runtime::{Watcher, block_on};
use super::{Ended, Failure, exit, input, load};
use crate::audit::entry::Body;
use crate::connect::{Candidates, Reached};
use crate::domain::decide::{GroundVerdict, Moment, Verdict};
use crate::domain::id::RuleId;
use crate::domain::rule::Rule;
use crate::engine::explain::Explanation;
use crate::engine::plan::{PlanWish, Planned};
use crate::engine::unfit::{Unfit, Unseen};
use crate::engine::{Engine, EngineError};
use crate::report::json::{PlanJson, SCHEMA};
use crate::report::{text, words};

fn wanted(wish: &Plan) -> PlanWish {
    let sample = wish.sample.unwrap_or(0);
    PlanWish { at: wish.at, sample, look: wish.sample.is_some(), count_unseen: true, ..PlanWish::default() }
}

pub(super) fn run(config: &Path, wish: &Plan, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    if let Some(PlanCommand::Show { plan, beyond }) = &wish.show {
        let id = engine.find_plan(plan)?;
        let beyond: Vec<_> = beyond.iter().map(|word| (*word).into()).collect();
        let text = engine.plan_text(&id, &beyond)?;
        if out.json {
            out.value(&serde_json::json!({ "schema": SCHEMA, "plan": id.to_string(), "text": text }))?;
        } else {
            out.exact(text.trim_end())?;
        }
        return Ok(exit::DONE);
    }
    let rules = chosen(&engine, &wish.rules)?;
    if wish.sql {
        return sql(engine, &rules, wish, out);
    }
    if wish.explain.is_some() {
        return explain(engine, &rules, wish, out);
    }
    if let Some(old) = &wish.against {
        let old = load(old, out)?;
        return against(engine, old, &rules, out);
    }
    if wish.sample.is_some() && !out.person() {
        return Err(Failure::new(exit::USAGE, "--sample shows records of people, so it writes to a terminal only"));
    }
    block_on(async move {
        let watcher = Watcher::new();
        engine.note_policy()?;
        super::run::tell_waiting(&engine.escalate(crate::now::now())?, out)?;
        let (mut planned, mut failures, mut code) = (Vec::new(), Vec::new(), exit::DONE);
        let moment = engine.moment(crate::now::now());
        let how = wanted(wish);
        for rule in &rules {
            match engine.plan(rule, moment, how, &watcher).await {
                Ok(plan) => planned.push((rule.clone(), plan)),
                Err(EngineError::Stopped) => break,
                Err(error) => {
                    code = exit::worst(code, plan_code(&error));
                    let unfit = match &error {
                        EngineError::Unfit(unfit) => Some((**unfit).clone()),
                        _ => None,
                    };
                    failures.push(NotPlanned { rule: rule.id.clone(), unfit, why: Failure::from(error) });
                }
            }
            watcher.clear();
        }
        if let Some(shown) = wish.sample {
            show_samples(&mut engine, &planned, shown, out)?;
        }
        tell(&engine, &planned, &failures, out)?;
        if watcher.stopped() {
            out.remark("stopped by you: the plans that are shown are whole")?;
        }
        Ok(code)
    })
}

/// A rule that could not be planned.
struct NotPlanned {
    rule: RuleId,
    why: Failure,
    unfit: Option<Unfit>,
}

impl NotPlanned {
    fn json(&self) -> serde_json::Value {
        let codes: Vec<&str> = self.unfit.iter().flat_map(|unfit| &unfit.faults).map(|one| one.code.id).collect();
        let unseen = match self.unfit.as_ref().and_then(|unfit| unfit.unseen.as_ref()) {
            Some(Unseen::Rows { due, tables }) => serde_json::json!({ "due": due, "tables": tables }),
            Some(Unseen::NotCounted(_)) | None => serde_json::Value::Null,
        };
        serde_json::json!({
            "rule": self.rule.as_str(), "error": self.why.text, "because": self.why.causes, "codes": codes,
            "unseen": unseen,
        })
    }
}

/// `plan` tells whatever it finds and ends with 0; only what kept it from looking is a failure.
fn plan_code(error: &EngineError) -> u8 {
    match error {
        EngineError::Connect(at) if at.unreachable => exit::UNREACHABLE,
        EngineError::Refused(_) | EngineError::Unfit(_) => exit::CONFIG,
        EngineError::Log(_) | EngineError::Read(_) | EngineError::Key(_) => exit::UNSAFE,
        _ => exit::FAILED,
    }
}

/// The rules named on the command line, or all.
pub(super) fn chosen(engine: &Engine, names: &[String]) -> Result<Vec<Rule>, Failure> {
    if names.is_empty() {
        return Ok(engine.policy().rules.values().cloned().collect());
    }
    let find = |name: &String| {
        let rule = RuleId::new(name.clone()).ok().and_then(|id| engine.policy().rules.get(&id).cloned());
        let known: Vec<&str> = engine.policy().rules.keys().map(RuleId::as_str).collect();
        rule.ok_or_else(|| {
            let known = if known.is_empty() { "no rules".into() } else { known.join(", ") };
            Failure::new(exit::USAGE, format!("there is no rule `{}`; the policy has: {known}", words::safe(name)))
        })
    };
    names.iter().map(find).collect()
}

fn tell(engine: &Engine, planned: &[(Rule, Planned)], failures: &[NotPlanned], out: Out) -> Result<(), Failure> {
    if out.json {
        let plans: Vec<PlanJson> =
            planned.iter().map(|(rule, one)| PlanJson::new(&one.plan, &one.gate, rule.limits.per_run)).collect();
        let failures: Vec<_> = failures.iter().map(NotPlanned::json).collect();
        out.value(&serde_json::json!({ "schema": SCHEMA, "plans": plans, "failures": failures }))?;
        return Ok(());
    }
    for (rule, one) in planned {
        out.line(text::plan(&one.plan, rule, &one.gate))?;
        for finding in one.findings.iter().filter(|one| one.severity == crate::connect::Severity::Warning) {
            out.line(format!("  warning {}: {}", finding.code.id, words::safe(&finding.text)))?;
        }
        out.line("")?;
    }
    for NotPlanned { rule, why, .. } in failures {
        out.remark(format!("bewaard: rule `{rule}` could not be planned: {}", why.words()))?;
    }
    if let Some(doubt) = engine.time_doubt() {
        out.remark(format!("bewaard: doubt about the time, so these are previews: {doubt}"))?;
    }
    if let Some(doubt) = engine.doubt() {
        out.remark(format!("bewaard: {}: {} ({})", doubt.text, doubt.ways(), doubt.code.id))?;
    }
    if !engine.has_log() {
        out.remark("there is no log yet, so these are previews that nobody can approve: `bewaard init` makes one")?;
    }
    Ok(())
}

fn sql(mut engine: Engine, rules: &[Rule], wish: &Plan, out: Out) -> Ended {
    block_on(async move {
        let now = engine.moment(crate::now::now());
        let moment = Moment { today: wish.at.unwrap_or(now.today), ..now };
        let mut all = Vec::new();
        for rule in rules {
            let connector = engine.system(&rule.system)?;
            let statements = connector.statements(rule, moment).await.map_err(EngineError::from)?;
            for statement in statements {
                if out.json {
                    all.push(serde_json::json!({
                        "rule": rule.id.as_str(), "purpose": statement.purpose, "sql": statement.text,
                    }));
                } else {
                    let (purpose, text) = (words::safe(&statement.purpose), statement.text.trim_end_matches(';'));
                    out.exact(format!("-- {}: {purpose}\n{text};\n", rule.id))?;
                }
            }
            let candidates =
                if wish.why { connector.why(rule, moment).await.map_err(EngineError::from)? } else { Vec::new() };
            for one in candidates {
                if out.json {
                    all.push(why_json(rule, &one));
                } else {
                    out.exact(why_text(rule, &one))?;
                }
            }
        }
        if out.json {
            out.value(&serde_json::json!({ "schema": SCHEMA, "statements": all }))?;
        }
        Ok(exit::DONE)
    })
}

/// A statement that finds candidates, as a person may run it, with its plan in comments.
fn why_text(rule: &Rule, one: &Candidates) -> String {
    let mut lines = vec![format!("-- {}: so candidates are found, page by page", rule.id)];
    lines.push(format!("{};", one.text.trim_end_matches(';')));
    lines.extend(one.plan.iter().map(|line| format!("--   {}", words::safe(line))));
    lines.push(format!("-- {}: {}", rule.id, words::safe(&why_words(one))));
    lines.extend(one.missing.iter().map(|text| format!("--   {}", words::safe(text))));
    lines.push(String::new());
    lines.join("\n")
}

/// Whether an index is used, in one line.
fn why_words(one: &Candidates) -> String {
    let reached = match &one.reached {
        Reached::Index(name) => return format!("index {name} is used"),
        Reached::Whole => "the table is read whole, from first to last",
        Reached::Unknown => "the plan does not say whether an index is used",
    };
    match one.missing.len() {
        0 => format!("{reached}, though its clocks have indexes: that many records may be due, or be without a clock"),
        1 => format!("{reached}; this index would serve:"),
        _ => format!("{reached}; these indexes would serve:"),
    }
}

fn why_json(rule: &Rule, one: &Candidates) -> serde_json::Value {
    let (reached, index) = match &one.reached {
        Reached::Index(name) => ("index", Some(name)),
        Reached::Whole => ("whole", None),
        Reached::Unknown => ("unknown", None),
    };
    serde_json::json!({
        "rule": rule.id.as_str(), "purpose": "so candidates are found", "sql": one.text, "plan": one.plan,
        "reached": reached, "index": index, "missing": one.missing, "words": why_words(one),
    })
}

fn explain(mut engine: Engine, rules: &[Rule], wish: &Plan, out: Out) -> Ended {
    let [rule] = rules else {
        return Err(Failure::new(exit::USAGE, "name the one rule: `bewaard plan RULE --explain -`"));
    };
    if wish.explain.as_deref() != Some("-") {
        return Err(Failure::new(exit::USAGE, "a key is never an argument: use `--explain -` and standard input"));
    }
    let lines = input::lines("the record's key, one part a line", out)?;
    block_on(async move {
        let connector = engine.system(&rule.system)?;
        let key = connector.parse_key(rule, &lines).await.map_err(EngineError::from)?;
        let day = wish.at.unwrap_or(engine.moment(crate::now::now()).today);
        let explained = engine.explain(rule, &key, day).await?;
        note_shown(&mut engine, "plan --explain", &rule.id, 1)?;
        if out.json {
            out.value(&explained_json(rule, &explained))?;
        } else {
            tell_explained(rule, &explained, out)?;
        }
        Ok(exit::DONE)
    })
}

fn tell_explained(rule: &Rule, explained: &Explanation, out: Out) -> Result<(), Failure> {
    let Some(found) = &explained.found else {
        out.line(format!("rule `{}` does not select this record, or it is gone", rule.id))?;
        return Ok(());
    };
    if found.protected {
        out.line("the record is protected: never due")?;
    }
    for part in &explained.parts {
        out.line(format!("part {}: {}", part.part, verdict(part.verdict)))?;
        for (name, says, term) in &part.grounds {
            out.line(format!("  ground {name}: {} ({term})", ground(*says)))?;
        }
    }
    Ok(())
}

fn explained_json(rule: &Rule, explained: &Explanation) -> serde_json::Value {
    let parts: Vec<_> = explained
        .parts
        .iter()
        .map(|part| {
            let (word, since, reason) = match part.verdict {
                Verdict::Due(day) => ("due", Some(day.to_string()), None),
                Verdict::Kept(reason) => ("kept", None, Some(reason.word())),
                Verdict::Settled => ("settled", None, None),
            };
            let grounds: Vec<_> = part
                .grounds
                .iter()
                .map(|(name, says, term)| serde_json::json!({ "ground": name, "says": ground(*says), "term": term }))
                .collect();
            serde_json::json!({
                "part": part.part, "verdict": word, "due_since": since, "kept": reason, "grounds": grounds,
            })
        })
        .collect();
    serde_json::json!({
        "schema": SCHEMA, "rule": rule.id.as_str(), "selected": explained.found.is_some(),
        "protected": explained.found.as_ref().map(|found| found.protected), "parts": parts,
    })
}

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Due(day) => format!("GOES, due since {day}"),
        Verdict::Kept(reason) => format!("stays: {}", text::reason(reason)),
        Verdict::Settled => "nothing left to do".into(),
    }
}

fn ground(says: GroundVerdict) -> String {
    match says {
        GroundVerdict::Until(Some(day)) => format!("keeps until {day}"),
        GroundVerdict::Until(None) => "keeps for ever".into(),
        GroundVerdict::DoesNotApply => "does not apply".into(),
        GroundVerdict::NoAnswer(reason) => format!("can't say: {}", text::reason(reason)),
    }
}

fn show_samples(engine: &mut Engine, planned: &[(Rule, Planned)], _want: usize, out: Out) -> Result<(), Failure> {
    for (rule, one) in planned {
        // Noted first: what is shown and not noted would be nobody's.
        note_shown(engine, "plan --sample", &rule.id, one.sample.len() as u64)?;
        for (found, verdicts) in &one.sample {
            let said: Vec<String> = verdicts.iter().map(|one| verdict(*one)).collect();
            out.line(format!("{}  {}: {}", rule.id, words::safe(&found.key.show()), said.join("; ")))?;
        }
    }
    Ok(())
}

/// A command that shows records to a person is noted in the log.
pub(super) fn note_shown(engine: &mut Engine, command: &str, rule: &RuleId, count: u64) -> Result<(), Failure> {
    if !engine.has_log() {
        return Ok(());
    }
    let by = engine.by.clone();
    engine.record(&[Body::Shown { command: command.into(), rule: rule.clone(), count, by }])?;
    Ok(())
}

fn against(mut engine: Engine, old: crate::config::Loaded, rules: &[Rule], out: Out) -> Ended {
    if std::io::stdout().is_terminal() && !out.json {
        out.remark("comparing both policies over the live systems; nothing is written")?;
    }
    block_on(async move {
        let mut rows = Vec::new();
        let mut names: Vec<RuleId> = rules.iter().map(|rule| rule.id.clone()).collect();
        names.extend(old.policy.rules.keys().cloned());
        names.sort();
        names.dedup();
        for name in names {
            let (now, before) = (engine.policy().rules.get(&name).cloned(), old.policy.rules.get(&name).cloned());
            let change = engine.compare(now.as_ref(), before.as_ref(), &old.policy).await?;
            rows.push((name, change));
        }
        if out.json {
            let rows: Vec<_> = rows
                .iter()
                .map(|(name, change)| {
                    serde_json::json!({
                        "rule": name.as_str(), "adds": change.adds, "drops": change.drops, "due": change.due,
                        "due_before": change.before,
                    })
                })
                .collect();
            out.value(&serde_json::json!({ "schema": SCHEMA, "changes": rows }))?;
        } else {
            let cells: Vec<Vec<String>> = rows
                .iter()
                .map(|(name, change)| {
                    let numbers = [change.before, change.due, change.adds, change.drops];
                    let mut row = vec![name.to_string()];
                    row.extend(numbers.iter().map(|n| words::number(*n)));
                    row
                })
                .collect();
            out.line(words::table(&["rule", "due before", "due now", "came in", "fell out"], &cells))?;
        }
        Ok(exit::DONE)
    })
}
