//! Stands in where no model is set up, so that what a person asks of a run is put on record all the same.
//!
//! Whatever needs a model waits, as it does where a model turns it away for a while: that costs no attempt, no token and
//! no money, and whoever drives next goes on from it.

use loom_core::word::SpawnOutcome;
use loom_providers::{Hands, Provider, SpawnOrder, SpawnReport};

/// After how long a spawn is asked for again, in milliseconds: by whoever drives then.
const AGAIN_MS: u64 = 5_000;

/// Thinks nothing.
pub(crate) struct Nobody {
    /// Why nobody thinks.
    why: String,
}

impl Nobody {
    /// Takes the reason, which stands in the record.
    pub(crate) fn new(why: String) -> Self {
        Nobody { why }
    }
}

impl Provider for Nobody {
    fn name(&self) -> &str {
        "nobody"
    }

    fn run(&self, _: &SpawnOrder, _: &dyn Hands) -> SpawnReport {
        SpawnReport {
            outcome: SpawnOutcome::Limited,
            tokens_in: Some(0),
            tokens_out: Some(0),
            money_micro: Some(0),
            wake_ms: Some(AGAIN_MS),
            ..SpawnReport::broken(self.why.clone())
        }
    }
}
