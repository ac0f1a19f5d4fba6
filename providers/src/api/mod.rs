//! Models behind an API, for agents that do not edit: one call, one answer.
//!
//! Such a provider sees nothing but the prompt and has no tools, so it refuses an order to edit (API-1). It asks for
//! JSON that fits the order's schema where the endpoint can give that (API-2). Whether the answer is one is never
//! decided here.

mod anthropic;
mod ask;
mod openai;
mod wire;

pub use ask::{Api, ApiKind, ApiSettings, Price};
