//! The same log on another machine: a person says that this one goes on, and the log says so.

use super::doubt::Doubt;
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::state::keys::Purpose;
use crate::state::machine::Machine;

impl Engine {
    /// Binds the log to this machine. Gives what differed, in a sentence.
    pub fn adopt_moved(&mut self, reason: &str) -> Result<String, EngineError> {
        self.log()?;
        let doubt = match self.doubt.take() {
            Some(doubt) if doubt.code == codes::OTHER_MACHINE => doubt,
            other => {
                self.doubt = other;
                self.sure()?;
                return Err(nothing_to_adopt());
            }
        };
        let adopted = self.bind(reason);
        if adopted.is_err() {
            self.doubt = Some(doubt.clone());
        }
        adopted.map(|()| doubt.text)
    }

    fn bind(&mut self, reason: &str) -> Result<(), EngineError> {
        let (here, key) = (Machine::look(&self.loaded.settings.state), self.mac_key(Purpose::Fingerprint)?);
        let note = self.keep_note(reason)?;
        self.record(&[Body::Adopted {
            how: "moved".into(),
            machine: here.whole(&key),
            machines: here.digests(&key),
            by: self.by.clone(),
            note,
        }])?;
        self.publish()
    }

    /// Whether the log is bound to another machine, and nothing else is in doubt.
    pub fn is_elsewhere(&self) -> Result<(), EngineError> {
        match &self.doubt {
            Some(Doubt { code, .. }) if *code == codes::OTHER_MACHINE => Ok(()),
            Some(_) => self.sure(),
            None => Err(nothing_to_adopt()),
        }
    }
}

fn nothing_to_adopt() -> EngineError {
    EngineError::Refused("there is nothing to adopt: this is the machine that the log is bound to".into())
}
