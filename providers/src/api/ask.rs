//! One spawn at a model's API: what is asked, how often, and what is concluded from the answer.

use super::wire::{self, Answer, Call, Trouble};
use super::{anthropic, openai};
use crate::provider::{Hands, Live, Provider, SpawnOrder, SpawnReport};
use crate::refusal::{DETAIL_BYTES_MAX, of_status};
use loom_core::answer::clip;
use loom_core::word::SpawnOutcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The pause before the first time that is asked again; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKind {
    /// Anthropic's Messages.
    Anthropic,
    /// Chat completions, as OpenAI has them and many others.
    OpenAi,
}

/// What a model costs, in micro-units for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// For what it reads.
    pub read_micro: u64,
    /// For what it writes.
    pub written_micro: u64,
}

/// How a model's API is set up.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// The provider's name.
    pub name: String,
    /// What the endpoint speaks.
    pub kind: ApiKind,
    /// The endpoint: `https://api.anthropic.com`, or as in `https://api.openai.com/v1`; the vendor's own where absent.
    pub base_url: Option<String>,
    /// The credential; absent for an endpoint that wants none.
    pub credential: Option<String>,
    /// The model for a tier, in the bundle's words.
    pub models: BTreeMap<String, String>,
    /// How often is asked again after a failure that passes and for which nothing was used: no connection, a 5xx.
    pub retries_max: u32,
    /// Most time in which no byte comes, in milliseconds. The answer comes in one piece, once the model has thought.
    pub idle_limit_ms: u64,
    /// What models cost, by name; the cost of others is unknown.
    pub prices: BTreeMap<String, Price>,
}

impl fmt::Debug for ApiSettings {
    /// Hides the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiSettings")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("base_url", &self.base_url)
            .field("models", &self.models)
            .field("retries_max", &self.retries_max)
            .field("idle_limit_ms", &self.idle_limit_ms)
            .field("prices", &self.prices)
            .finish_non_exhaustive()
    }
}

/// A model's API as a provider.
#[derive(Debug, Clone)]
pub struct Api {
    settings: ApiSettings,
}

/// What a model answered, whatever it speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) text: String,
    /// Whether it refused; the text says why.
    pub(super) refused: bool,
    /// Whether it was cut at the most that it may write.
    pub(super) is_cut: bool,
    pub(super) tokens_in: Option<u64>,
    pub(super) tokens_out: Option<u64>,
    pub(super) model: Option<String>,
    /// The service's name for it.
    pub(super) id: Option<String>,
}

/// What was seen of the service over all tries.
#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    /// Whether a request may have used something of which no answer tells.
    unknown: bool,
}

impl ApiKind {
    /// Returns the kind's word.
    pub fn word(self) -> &'static str {
        match self {
            ApiKind::Anthropic => "anthropic",
            ApiKind::OpenAi => "openai",
        }
    }

    fn endpoint(self) -> &'static str {
        match self {
            ApiKind::Anthropic => anthropic::ENDPOINT,
            ApiKind::OpenAi => openai::ENDPOINT,
        }
    }

    fn path(self) -> &'static str {
        match self {
            ApiKind::Anthropic => anthropic::PATH,
            ApiKind::OpenAi => openai::PATH,
        }
    }

    fn headers(self, credential: Option<&str>) -> Vec<(&'static str, String)> {
        match self {
            ApiKind::Anthropic => anthropic::headers(credential),
            ApiKind::OpenAi => openai::headers(credential),
        }
    }

    fn body(self, model: &str, prompt: &str, schema: Option<&Value>) -> Value {
        match self {
            ApiKind::Anthropic => anthropic::body(model, prompt, schema),
            ApiKind::OpenAi => openai::body(model, prompt, schema),
        }
    }

    fn reply(self, body: &Value) -> Option<Reply> {
        match self {
            ApiKind::Anthropic => anthropic::reply(body),
            ApiKind::OpenAi => openai::reply(body),
        }
    }
}

impl Api {
    /// Returns a provider of these settings.
    pub fn new(settings: ApiSettings) -> Self {
        Api { settings }
    }

    /// Asks until there is an answer, or none is to be had.
    async fn ask(
        &self,
        order: &SpawnOrder,
        model: &str,
        seen: &mut Seen,
    ) -> Result<Reply, (SpawnOutcome, String, Option<u64>)> {
        let settings = &self.settings;
        let base_url = settings.base_url.as_deref().unwrap_or(settings.kind.endpoint());
        let headers = settings.kind.headers(settings.credential.as_deref());
        let mut schema = schema_of(&order.schema);
        let mut tries = 0;
        loop {
            let body = settings.kind.body(model, &order.prompt, schema.as_ref()).to_string();
            let call = Call {
                url: format!("{}{}", base_url.trim_end_matches('/'), settings.kind.path()),
                headers: &headers,
                body: body.into_bytes(),
                idle: Duration::from_millis(settings.idle_limit_ms),
            };
            let (outcome, detail) = match wire::exchange(call).await {
                Ok(Answer { status: 200..=299, body, .. }) => {
                    seen.requests += 1;
                    let reply = serde_json::from_slice(&body).ok().and_then(|body| settings.kind.reply(&body));
                    return reply.ok_or_else(|| {
                        seen.unknown = true;
                        (SpawnOutcome::Failed, "its answer is none of the protocol's, or is cut".to_string(), None)
                    });
                }
                Ok(Answer { status: 400 | 422, .. }) if schema.is_some() => {
                    // It may not know how to keep to a schema; the prompt has it too.
                    seen.requests += 1;
                    schema = None;
                    continue;
                }
                Ok(answer) => {
                    seen.requests += 1;
                    let detail = format!("it was refused with {}: {}", answer.status, complaint(&answer.body));
                    let outcome = match answer.status {
                        // It is not followed anywhere: the credential is for this endpoint.
                        300..=399 => SpawnOutcome::Broken,
                        status => of_status(status.into()),
                    };
                    if outcome != SpawnOutcome::Failed {
                        let wake_ms = answer.retry_after_ms.filter(|_| outcome == SpawnOutcome::Limited);
                        return Err((outcome, detail, wake_ms));
                    }
                    (outcome, detail)
                }
                Err(Trouble::Unusable(what)) => return Err((SpawnOutcome::Broken, what, None)),
                Err(Trouble::Unreachable(what)) => (SpawnOutcome::Failed, what),
                Err(Trouble::Lost(what)) => {
                    // The service may have worked, and billed: asking again would be a second time (API-4).
                    seen.requests += 1;
                    seen.unknown = true;
                    return Err((SpawnOutcome::Failed, what, None));
                }
                Err(Trouble::Silent) => {
                    seen.requests += 1;
                    seen.unknown = true;
                    return Err((SpawnOutcome::TimedOut, "it fell silent".to_string(), None));
                }
            };
            if tries == settings.retries_max {
                return Err((outcome, detail, None));
            }
            tokio::time::sleep(PAUSE.saturating_mul(1 << tries.min(6))).await;
            tries += 1;
        }
    }

    fn report(&self, reply: Reply, model: &str, seen: &Seen) -> SpawnReport {
        let used = |tokens: Option<u64>| tokens.filter(|_| !seen.unknown);
        let (tokens_in, tokens_out) = (used(reply.tokens_in), used(reply.tokens_out));
        let answered = reply.model.clone().unwrap_or_else(|| model.to_string());
        let prices = &self.settings.prices;
        let price = prices.get(&answered).or_else(|| prices.get(model));
        let (outcome, detail) = if reply.refused {
            (SpawnOutcome::Failed, Some(format!("the model refused: {}", clip(&reply.text, DETAIL_BYTES_MAX / 2))))
        } else if reply.is_cut {
            (SpawnOutcome::Failed, Some("its answer was cut by its length".to_string()))
        } else if reply.text.trim().is_empty() {
            (SpawnOutcome::Failed, Some("its answer is empty".to_string()))
        } else {
            (SpawnOutcome::Ok, None)
        };
        SpawnReport {
            outcome,
            output: reply.text.into_bytes(),
            tokens_in,
            tokens_out,
            money_micro: price.and_then(|price| price.of(tokens_in?, tokens_out?)),
            model: Some(answered),
            session: reply.id,
            wake_ms: None,
            detail,
            provider: None,
            chosen: None,
            requests: None,
            transcript: Vec::new(),
        }
    }

    fn failure(outcome: SpawnOutcome, detail: &str, seen: &Seen) -> SpawnReport {
        // Refused, it used nothing.
        let used = (!seen.unknown).then_some(0);
        let failed = SpawnReport::without_answer(outcome, clip(detail, DETAIL_BYTES_MAX));
        SpawnReport { tokens_in: used, tokens_out: used, money_micro: used, ..failed }
    }
}

impl Price {
    /// Returns the cost of a call in micro-units, rounded up; nothing where no number holds it.
    pub(crate) fn of(self, tokens_in: u64, tokens_out: u64) -> Option<u64> {
        let read = u128::from(tokens_in) * u128::from(self.read_micro);
        let written = u128::from(tokens_out) * u128::from(self.written_micro);
        u64::try_from(read.checked_add(written)?.div_ceil(1_000_000)).ok()
    }
}

impl Provider for Api {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn run(&self, order: &SpawnOrder, hands: &dyn Hands) -> SpawnReport {
        let settings = &self.settings;
        if order.edits {
            return SpawnReport::broken(format!(
                "{} is a model's API and cannot change files: give agent {} a provider that is an agent's program",
                settings.name, order.agent
            ));
        }
        let Some(model) = settings.models.get(&order.tier) else {
            return SpawnReport::broken(format!("{} has no model for tier {}: name one", settings.name, order.tier));
        };
        hands.tell(Live { line: format!("asks {model}"), ..Live::default() });
        let mut seen = Seen::default();
        let limit = Duration::from_millis(order.time_limit_ms);
        let answered = wire::run(limit, &|| hands.is_cancelled(), self.ask(order, model, &mut seen));
        let report = match answered {
            Ok(Ok(reply)) => self.report(reply, model, &seen),
            Ok(Err((outcome, detail, wake_ms))) => SpawnReport { wake_ms, ..Self::failure(outcome, &detail, &seen) },
            Err(stopped) => {
                // A request may have been under way.
                seen.unknown = true;
                match stopped {
                    wire::Stopped::Cancelled => Self::failure(SpawnOutcome::Cancelled, "it was given up", &seen),
                    wire::Stopped::OutOfTime => Self::failure(SpawnOutcome::TimedOut, "its time is over", &seen),
                    wire::Stopped::NoRuntime(what) => Self::failure(SpawnOutcome::Failed, &what, &seen),
                }
            }
        };
        SpawnReport { provider: Some(self.provider()), requests: Some(seen.requests), ..report }
    }
}

impl Api {
    fn provider(&self) -> String {
        let (name, kind) = (&self.settings.name, self.settings.kind.word());
        if name == kind { name.clone() } else { format!("{name} ({kind})") }
    }
}

/// Returns the schema as services take it: that of an object, without the name of its dialect.
fn schema_of(text: &str) -> Option<Value> {
    let mut schema: Value = serde_json::from_str(text).ok()?;
    schema.as_object_mut()?.remove("$schema");
    (schema["type"] == "object").then_some(schema)
}

/// Returns what a service says of its refusal.
fn complaint(body: &[u8]) -> String {
    let words = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| body["error"]["message"].as_str().map(str::to_string))
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    clip(words.trim(), DETAIL_BYTES_MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_rounded_up_and_never_wraps() {
        let price = Price { read_micro: 3_000_000, written_micro: 15_000_000 };
        assert_eq!(price.of(700, 35), Some(700 * 3 + 35 * 15));
        assert_eq!(Price { read_micro: 1, written_micro: 0 }.of(1, 1), Some(1));
        assert_eq!(price.of(u64::MAX, u64::MAX), None);
    }

    #[test]
    fn a_schema_is_that_of_an_object_or_none() {
        let schema = schema_of(r#"{"$schema": "x", "type": "object"}"#);
        assert_eq!(schema, Some(serde_json::json!({"type": "object"})));
        assert_eq!((schema_of("{\"type\": \"array\"}"), schema_of("[]"), schema_of("")), (None, None, None));
    }
}
