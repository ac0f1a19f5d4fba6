//! Who is at the other end of the socket: what the kernel says, never what the peer claims (SERVER-2).

use loom_core::id::{Actor, Assurance};
use loom_host::environment::spawn_of_process;
use tokio::net::unix::UCred;

/// Why a peer gets no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is another user's process.
    User(u32),
    /// It descends from a spawn or a check.
    Descends(u64),
    /// It has no process id that could be looked at.
    Unknown,
}

impl Refused {
    /// Returns who asks, where that is known well enough to be put on record as refused.
    pub(crate) fn actor(&self, uid: u32) -> Option<Actor> {
        let Refused::Descends(spawn) = self else { return None };
        let id = format!("uid:{uid}");
        Some(Actor::Person { id, assurance: Assurance::Asserted, descends: Some(*spawn) })
    }

    /// Returns the reason, as the peer is told.
    pub(crate) fn reason(&self) -> String {
        match self {
            Refused::User(uid) => format!("this store answers its own user only, not uid {uid}"),
            Refused::Descends(spawn) => {
                format!("a process that descends from spawn or check {spawn} is not answered (ACTOR-1)")
            }
            Refused::Unknown => "the peer's process cannot be told".to_string(),
        }
    }
}

/// Refuses everybody but the same user's processes that descend from no spawn; returns who the others are (SERVER-5).
pub(crate) fn check(peer: &UCred) -> Result<Actor, Refused> {
    let own = rustix::process::getuid().as_raw();
    if peer.uid() != own {
        return Err(Refused::User(peer.uid()));
    }
    let process = peer.pid().ok_or(Refused::Unknown)?;
    match spawn_of_process(process) {
        Some(spawn) => Err(Refused::Descends(spawn)),
        None => Ok(Actor::Person { id: format!("uid:{}", peer.uid()), assurance: Assurance::Asserted, descends: None }),
    }
}
