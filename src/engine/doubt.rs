//! Doubt about the log: an outside head that knows better, or another machine. Then nothing is written and nothing is
//! purged; everything is a preview until a person decides.

use super::host::log_paths;
use super::{Engine, EngineError};
use crate::audit::fault::LogFault;
use crate::audit::log::Log;
use crate::audit::outside::{self, Seen};
use crate::codes::{self, Code};
use crate::state::keys::Purpose;
use crate::state::machine::{Machine, differences};

/// Why nothing may be purged or written here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What `bewaard explain` says of it.
    pub code: &'static Code,
    /// What is in doubt.
    pub text: String,
    /// The commands that end it.
    pub commands: Vec<String>,
}

impl Doubt {
    fn outside(fault: &LogFault) -> Self {
        Self {
            code: fault.code(),
            text: fault.to_string(),
            commands: vec!["bewaard log verify".into(), "bewaard log continue --lost-head --reason \"...\"".into()],
        }
    }

    /// The commands, in words.
    pub fn ways(&self) -> String {
        let quoted: Vec<String> = self.commands.iter().map(|command| format!("`{command}`")).collect();
        quoted.join(", or ")
    }

    fn machine(what: &[&str]) -> Self {
        let (what, differ) = match what {
            [one] => ((*one).to_string(), "differs"),
            more => (more.join(", "), "differ"),
        };
        Self {
            code: codes::OTHER_MACHINE,
            text: format!("this is not the machine that the log is bound to: {what} {differ}; all here is a preview"),
            commands: vec![
                "bewaard adopt --moved --reason \"...\"".into(),
                "bewaard adopt --copy --reason \"...\"".into(),
            ],
        }
    }
}

impl Engine {
    /// Why nothing may be purged or written here, if there is a reason.
    pub fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    /// Goes on only where nothing is in doubt.
    pub fn sure(&self) -> Result<(), EngineError> {
        self.doubt.clone().map_or(Ok(()), |doubt| Err(EngineError::Doubt(doubt)))
    }

    /// What outside heads say, read before the log is opened: a writer beside us can only be ahead of them.
    pub(super) fn seen_outside(loaded: &crate::config::Loaded) -> Vec<Seen> {
        outside::read(&loaded.settings.outside)
    }

    /// Asks the outside heads, then the machine.
    pub(super) fn look_for_doubt(&mut self, seen: &[Seen]) -> Result<(), EngineError> {
        let Some(log) = &self.log else { return Ok(()) };
        self.doubt = match outside::contradiction(log, seen)? {
            Some(fault) => Some(Doubt::outside(&fault)),
            None => self.other_machine()?.map(|what| Doubt::machine(&what)),
        };
        Ok(())
    }

    /// Asks again before each run, for a process that lives long.
    pub fn ask_outside(&mut self) -> Result<(), EngineError> {
        let seen = Self::seen_outside(&self.loaded);
        let Some(log) = &self.log else { return Ok(()) };
        let signers = self.ring()?.signers()?;
        // Opened anew: what others wrote meanwhile counts.
        let now = Log::open(log_paths(&self.loaded), signers)?;
        if self.doubt.is_none() && log.origin() == now.origin() {
            self.doubt = outside::contradiction(&now, &seen)?.map(|fault| Doubt::outside(&fault));
        }
        self.sure()
    }

    /// What differs from the machine that the log is bound to.
    fn other_machine(&self) -> Result<Option<Vec<&'static str>>, EngineError> {
        let Some(whole) = self.view.machine else { return Ok(None) };
        let key = self.mac_key(Purpose::Fingerprint)?;
        let here = Machine::look(&self.loaded.settings.state);
        let what = if self.view.machines.is_empty() {
            // A log of the first form has one digest over all.
            if here.is_first_form(&key, &whole) { Vec::new() } else { vec!["the machine-id or the host name"] }
        } else {
            differences(&self.view.machines, &here.digests(&key))
        };
        Ok((!what.is_empty()).then_some(what))
    }
}
