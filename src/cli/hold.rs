//! `bewaard hold`: what must stay whatever its term.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::args::{Hold, HoldCommand};
use super::out::Out;
use super::runtime::block_on;
use super::{Ended, Failure, exit, input, load, publish};
use crate::connect::{Item, Presence};
use crate::domain::decide::Fingerprint;
use crate::domain::digest::Digest;
use crate::domain::id::{ActorId, HoldId, RuleId, SystemId};
use crate::domain::identity::{Identity, IdentityKind, Reading};
use crate::domain::rule::Rule;
use crate::engine::holds::HoldWish;
use crate::engine::{Engine, EngineError};
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, wish: &Hold, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    engine.log()?;
    match &wish.command {
        HoldCommand::Add { reason, review, owner, system, rule } => {
            let scope = Scope::read(&engine, owner.as_ref(), system.as_ref(), rule.as_ref())?;
            add(engine, scope, reason, *review, out)
        }
        HoldCommand::Release { hold, reason, signature } => release(engine, hold, reason, signature.as_ref(), out),
        HoldCommand::Show { hold } => {
            let id = hold_id(hold)?;
            let text = engine.release_text(&id)?;
            if out.json {
                out.value(&serde_json::json!({ "schema": SCHEMA, "hold": id.as_str(), "text": text }))?;
            } else {
                out.exact(text.trim_end())?;
            }
            Ok(exit::DONE)
        }
        HoldCommand::List => list(&engine, out),
    }
}

struct Scope {
    owner: Option<ActorId>,
    system: Option<SystemId>,
    rule: Option<RuleId>,
}

impl Scope {
    fn read(
        engine: &Engine,
        owner: Option<&String>,
        system: Option<&String>,
        rule: Option<&String>,
    ) -> Result<Self, Failure> {
        let unknown = |what: &str, name: &String| {
            Failure::new(
                exit::USAGE,
                format!("there is no {what} `{}` in the policy", crate::report::words::safe(name)),
            )
        };
        let policy = engine.policy();
        let owner = owner
            .map(|name| {
                let id = ActorId::new(name.clone()).ok().filter(|id| policy.actors.contains_key(id));
                id.ok_or_else(|| unknown("actor", name))
            })
            .transpose()?;
        let system = system
            .map(|name| {
                let id = SystemId::new(name.clone()).ok().filter(|id| policy.systems.contains_key(id));
                id.ok_or_else(|| unknown("system", name))
            })
            .transpose()?;
        let rule = rule
            .map(|name| {
                let id = RuleId::new(name.clone()).ok().filter(|id| policy.rules.contains_key(id));
                id.ok_or_else(|| unknown("rule", name))
            })
            .transpose()?;
        Ok(Self { owner, system, rule })
    }
}

fn add(mut engine: Engine, scope: Scope, reason: &str, review: NaiveDate, out: Out) -> Ended {
    let prompt = "whom the hold is about, one a line, as `email: jan@example.nl`, `phone: ...`, `customer-number: ...`, \
                  `login: ...`, or `key: ...` for one record";
    let lines = input::lines(prompt, out)?;
    block_on(async move {
        let asked = asked(&mut engine, &scope, &lines).await?;
        let idle = binds_nothing(&engine, &scope, &asked);
        let wish = HoldWish {
            marks: asked.marks,
            system: scope.system,
            rule: scope.rule,
            owner: scope.owner,
            review,
            reason: reason.to_string(),
        };
        let id = engine.place_hold(wish)?;
        let code = publish(&mut engine, out)?;
        if out.json {
            out.value(&serde_json::json!({
                "schema": SCHEMA, "hold": id.as_str(), "review": review.to_string(), "warnings": idle,
            }))?;
        } else {
            out.line(format!("placed {id}: it binds from the next batch on; look again by {review}"))?;
        }
        for warning in &idle {
            out.remark(format!("bewaard: WARNING: {warning}"))?;
        }
        Ok(code)
    })
}

/// Whom a hold is about.
struct Asked {
    marks: BTreeSet<Digest>,
    /// The kinds of identity that were given.
    kinds: BTreeSet<IdentityKind>,
    /// Whether a key was given that names no record now.
    no_record: bool,
}

/// What of this hold binds nothing under the policy as it is: who places it believes to be safe.
fn binds_nothing(engine: &Engine, scope: &Scope, asked: &Asked) -> Vec<String> {
    let rules = || {
        let in_scope = |rule: &&Rule| {
            scope.system.as_ref().is_none_or(|system| rule.system == *system)
                && scope.rule.as_ref().is_none_or(|id| rule.id == *id)
        };
        engine.policy().rules.values().filter(in_scope)
    };
    let known = |kind: &&IdentityKind| !rules().any(|rule| rule.person.contains_key(kind));
    let mut idle: Vec<String> = asked
        .kinds
        .iter()
        .filter(known)
        .map(|kind| format!("no rule here names a column for `person.{kind}`, so by that this hold binds NOTHING now"))
        .collect();
    if asked.no_record {
        idle.push("no record has this key, so by that this hold binds NOTHING now".into());
    }
    idle
}

async fn asked(engine: &mut Engine, scope: &Scope, lines: &[String]) -> Result<Asked, Failure> {
    let (mut marks, mut key, mut kinds, mut no_record) = (BTreeSet::new(), Vec::new(), BTreeSet::new(), false);
    for line in lines {
        let Some((word, value)) = line.split_once(':') else {
            return Err(Failure::new(exit::USAGE, "a line lacks its kind: write `email: ...` or `key: ...`"));
        };
        let (word, value) = (word.trim(), value.trim());
        if word == "key" {
            key.push(value.to_string());
            continue;
        }
        let kind = IdentityKind::ALL.into_iter().find(|kind| kind.word() == word);
        let kind = kind.ok_or_else(|| {
            let known: Vec<&str> = IdentityKind::ALL.iter().map(|kind| kind.word()).collect();
            Failure::new(exit::USAGE, format!("a line's kind is none of: {}, key", known.join(", ")))
        })?;
        let known = match Identity::read(kind, value) {
            Reading::Known(known) => known,
            Reading::Empty => return Err(Failure::new(exit::USAGE, format!("a line of kind `{kind}` has no value"))),
            Reading::Unreadable => {
                return Err(Failure::new(exit::USAGE, format!("a line of kind `{kind}` can't be read as one")));
            }
        };
        marks.extend(known.iter().map(|one| engine.holds().mark_identity(one)));
        // A field that can't be read may be hers.
        marks.insert(engine.holds().mark_identity(&Identity::unreadable(kind)));
        kinds.insert(kind);
    }
    if !key.is_empty() {
        let rule = scope.rule.clone().ok_or_else(|| {
            Failure::new(exit::USAGE, "`key:` lines need --rule: a key means something in one table only")
        })?;
        let rule = engine.rule(&rule)?.clone();
        let connector = engine.system(&rule.system)?;
        let key = connector.parse_key(&rule, &key).await.map_err(EngineError::from)?;
        marks.insert(engine.holds().mark_record(&rule.system, &rule.selection.collection(), &key));
        let item = Item { key, fingerprint: Fingerprint::default(), parts: Vec::new() };
        let found = connector.locate(&rule, &[item]).await.map_err(EngineError::from)?;
        no_record = found.first() == Some(&Presence::Gone);
    }
    Ok(Asked { marks, kinds, no_record })
}

fn hold_id(text: &str) -> Result<HoldId, Failure> {
    HoldId::try_from(text.to_string())
        .map_err(|_| Failure::new(exit::USAGE, "a hold is named `hold-` and 16 digits; `bewaard hold list` shows them"))
}

fn release(mut engine: Engine, hold: &str, reason: &str, signature: Option<&PathBuf>, out: Out) -> Ended {
    let id = hold_id(hold)?;
    if engine.policy().has_controller() {
        let Some(path) = signature else {
            return Err(Failure::new(
                exit::WAITS,
                format!(
                    "this policy declares a controller, and releasing a hold needs the controller's signature:\n  \
                     bewaard hold show {id} > release.txt\n  ssh-keygen -Y sign -n bewaard -f KEY release.txt\n  \
                     bewaard hold release {id} --signature release.txt.sig --reason ..."
                ),
            ));
        };
        let armoured = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(exit::FAILED, format!("cannot read the signature {}: {error}", path.display()))
        })?;
        let text = engine.release_text(&id)?;
        let actor = engine.signed_by(&armoured, text.as_bytes(), true)?;
        engine.by.actor = Some(actor);
    }
    engine.release_hold(&id, reason)?;
    let code = publish(&mut engine, out)?;
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "released": id.as_str() }))?;
    } else {
        out.line(format!("released {id}"))?;
    }
    Ok(code)
}

fn list(engine: &Engine, out: Out) -> Ended {
    let scope = |hold: &crate::domain::hold::Hold| {
        let system = hold.system.as_ref().map_or("every system".to_string(), ToString::to_string);
        let rule = hold.rule.as_ref().map_or(String::new(), |rule| format!(", rule {rule}"));
        format!("{system}{rule}")
    };
    if out.json {
        let holds: Vec<_> = engine
            .holds()
            .iter()
            .map(|hold| {
                serde_json::json!({
                    "hold": hold.id.as_str(), "placed": hold.placed.to_string(), "review": hold.review.to_string(),
                    "owner": hold.owner.as_ref().map(ActorId::as_str), "system": hold.system.as_ref().map(SystemId::as_str),
                    "rule": hold.rule.as_ref().map(RuleId::as_str), "marks": hold.marks.len(),
                })
            })
            .collect();
        out.value(&serde_json::json!({ "schema": SCHEMA, "holds": holds }))?;
        return Ok(exit::DONE);
    }
    if engine.holds().is_empty() {
        out.line("no holds are in force")?;
    }
    for hold in engine.holds().iter() {
        let owner = hold.owner.as_ref().map_or(String::new(), |owner| format!(", owner {owner}"));
        out.line(format!("{}  placed {}, review {}{owner}, {}", hold.id, hold.placed, hold.review, scope(hold)))?;
    }
    Ok(exit::DONE)
}
