//! Rule sets that a person has armed: every run that is opened afterwards is judged by them too.
//!
//! What is armed is a fold of the store's own stream. Arming and retiring are requests there; a run names in its first
//! event what it is judged by, so neither reaches a run that is open already (ARM-1, RULE-2).

use crate::commit::{Blob, Checked, Head};
use crate::event::{Envelope, EventError, Recorded};
use crate::id::{Actor, Digest, Stamp};
use crate::kind::{Event, RulesArmed, RulesRetired};
use crate::origin::{End, asked};
use crate::rules::RuleSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Most sets that are armed at once.
pub const ARMED_MAX: usize = 16;

/// A rule set that is armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmedSet {
    /// Its name.
    pub name: String,
    /// The blob of its text.
    pub rules: Digest,
    /// Who armed it.
    pub by: String,
    /// When.
    pub since: Stamp,
    /// Sequence of the event in the store's stream.
    pub sequence: u64,
}

/// What is armed, and where the store's stream ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Armed {
    end: End,
    sets: Vec<ArmedSet>,
}

/// Why a set is neither armed nor retired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotArmed {
    /// Rules are for people: never for a spawn's peer, nor for Loom itself.
    #[error("rules are armed and retired by people, and not from below a spawn")]
    NotAPerson,
    /// The text is no rule set.
    #[error("the rule set does not load: {0}")]
    Rules(String),
    /// A set of this name is armed.
    #[error("a set `{0}` is armed already; retire it first")]
    Twice(String),
    /// There is no such set.
    #[error("no set `{0}` is armed")]
    Unknown(String),
    /// Too many are armed.
    #[error("{ARMED_MAX} sets are armed already; retire one first")]
    Full,
}

impl Armed {
    /// Folds an event of the store's stream; those of other kinds change nothing.
    ///
    /// # Errors
    /// The event cannot be read.
    pub fn apply(&mut self, event: &Recorded) -> Result<(), EventError> {
        let envelope = Envelope::decode(&event.bytes)?;
        self.end = End { head: Head { next: envelope.sequence + 1, last: event.id }, stamp: envelope.stamp };
        if let Event::RulesArmed(body) = &envelope.body {
            self.sets.retain(|set| set.name != body.name);
            self.sets.push(ArmedSet {
                name: body.name.clone(),
                rules: body.rules,
                by: String::from(envelope.actor.id()),
                since: envelope.stamp,
                sequence: envelope.sequence,
            });
        } else if let Event::RulesRetired(body) = &envelope.body {
            self.sets.retain(|set| set.rules != body.rules);
        }
        Ok(())
    }

    /// Returns the armed sets, in the order of their arming.
    pub fn sets(&self) -> &[ArmedSet] {
        &self.sets
    }

    /// Returns the commit that arms a set. `now_ms` is the host's clock.
    ///
    /// # Errors
    /// [`NotArmed`].
    pub fn arm(&self, request: &[u8], actor: Actor, now_ms: u64, text: &str) -> Result<Checked<()>, NotArmed> {
        let set = RuleSet::load(text)
            .map_err(|errors| NotArmed::Rules(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        let blob = Blob::plain(text.as_bytes());
        if self.sets.iter().any(|armed| armed.name == set.name()) {
            return Err(NotArmed::Twice(set.name().to_string()));
        }
        if self.sets.len() >= ARMED_MAX {
            return Err(NotArmed::Full);
        }
        let name = set.name().to_string();
        let body = RulesArmed { request: request.to_vec(), rules: blob.digest, name };
        self.commit(actor, now_ms, body.into(), vec![blob])
    }

    /// Returns the commit that retires the armed set of that name.
    ///
    /// # Errors
    /// [`NotArmed`].
    pub fn retire(&self, request: &[u8], actor: Actor, now_ms: u64, name: &str) -> Result<Checked<()>, NotArmed> {
        let found = self.sets.iter().find(|set| set.name == name);
        let set = found.ok_or_else(|| NotArmed::Unknown(String::from(name)))?;
        let body = RulesRetired { request: request.to_vec(), rules: set.rules, name: set.name.clone() };
        self.commit(actor, now_ms, body.into(), Vec::new())
    }

    fn commit(&self, actor: Actor, now_ms: u64, body: Event, blobs: Vec<Blob>) -> Result<Checked<()>, NotArmed> {
        if !matches!(actor, Actor::Person { descends: None, .. }) {
            return Err(NotArmed::NotAPerson);
        }
        if let Some(key) = body.misfit() {
            return Err(NotArmed::Rules(format!("field {key} of {} is out of its bounds", body.schema().name)));
        }
        Ok(asked(self.end, actor, now_ms, body, blobs))
    }
}
