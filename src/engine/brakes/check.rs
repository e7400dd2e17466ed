//! What `check` says of brakes: which of them can't be on, and which would never be released.

use super::Engine;
use crate::codes;
use crate::connect::{Connector, Finding, Severity};
use crate::domain::brake::{Reading, Sample};
use crate::domain::id::SystemId;

impl Engine {
    /// Findings about the brakes of a system, each once.
    pub async fn brake_findings(&self, connector: &dyn Connector, system: &SystemId) -> Vec<Finding> {
        let brakes = self.loaded.policy.brakes_of(system);
        let mut out: Vec<Finding> = Vec::new();
        for sample in self.brake_samples(connector, system, &brakes).await {
            out.extend(finding(system, &sample).filter(|finding| !out.contains(finding)));
        }
        out
    }
}

fn finding(system: &SystemId, sample: &Sample) -> Option<Finding> {
    let brake = sample.brake.word();
    let at = format!("system.{system}.brakes.{brake}");
    let place = sample.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    match &sample.reading {
        Reading::Hidden { text, remedy } => Some(Finding {
            code: codes::BRAKE_HIDDEN,
            severity: Severity::Note,
            at,
            text: format!("the brake {brake} can't be on: this account is not shown {text}{place}"),
            remedy: format!("{remedy} (or leave it out on purpose: brakes.{brake} = \"off\")"),
        }),
        Reading::Failed(why) => Some(Finding {
            code: codes::BRAKE_FAILED,
            severity: Severity::Warning,
            at,
            text: format!("the brake {brake} is on until it can be read: {why}{place}"),
            remedy: "mend it, or take the key out: a run waits for it, and ends with 75".into(),
        }),
        Reading::Known(_) | Reading::Nothing => None,
    }
}
