//! The protocols that the endpoint speaks, one interface over them.

use crate::http::Request;
use crate::messages::{Conversation, VERSION};
use crate::script::{Reply, Script};
use crate::{chat, events, messages, responses};
use serde_json::{Value, json};

/// How a client and a model's service talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
    /// Chat completions, which many services speak.
    Chat,
}

impl Protocol {
    /// Returns the protocol that is asked for a reply at a path.
    pub(crate) fn of_path(path: &str) -> Option<Protocol> {
        match path {
            "/v1/messages" => Some(Protocol::Messages),
            "/v1/responses" => Some(Protocol::Responses),
            "/v1/chat/completions" => Some(Protocol::Chat),
            _ => None,
        }
    }

    /// Returns the credential that a request carries.
    pub(crate) fn key(self, request: &Request) -> Option<&str> {
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match self {
            Protocol::Messages => request.header("x-api-key").or(bearer),
            Protocol::Responses | Protocol::Chat => bearer,
        }
    }

    /// Checks the headers that the protocol wants beside a credential.
    pub(crate) fn check(self, request: &Request) -> Result<(), String> {
        if self == Protocol::Messages && request.header("anthropic-version") != Some(VERSION) {
            return Err(format!("anthropic-version: {VERSION} is required"));
        }
        if request.header("content-type") != Some("application/json") {
            return Err("content-type: application/json is required".to_string());
        }
        Ok(())
    }

    /// Reads a request's body.
    pub(crate) fn read(self, body: &[u8], script: &Script) -> Result<Conversation, String> {
        match self {
            Protocol::Messages => messages::conversation(body),
            Protocol::Responses => responses::conversation(body),
            Protocol::Chat => chat::conversation(body, script.is_plain()),
        }
    }

    /// Returns a reply as one object.
    pub(crate) fn whole(self, reply: &Reply, asked: &Conversation, id: usize) -> Value {
        match self {
            Protocol::Messages => events::message(reply, &asked.model, id),
            Protocol::Responses => responses::response(reply, asked, id),
            Protocol::Chat => chat::completion(reply, &asked.model, id),
        }
    }

    /// Returns the events of a reply, each as it goes over the wire.
    pub(crate) fn events(self, reply: &Reply, asked: &Conversation, id: usize) -> Vec<String> {
        match self {
            Protocol::Messages => events::events(reply, &asked.model, id),
            Protocol::Responses => responses::events(reply, asked, id),
            Protocol::Chat => chat::events(reply, &asked.model, id),
        }
    }

    /// Returns an error as the service words it.
    pub(crate) fn error(self, code: u16, why: &str) -> Value {
        let kind = match code {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        match self {
            Protocol::Messages => {
                json!({"type": "error", "error": {"type": kind, "message": why}, "request_id": "req_scripted"})
            }
            Protocol::Responses | Protocol::Chat => {
                json!({"error": {"message": why, "type": kind, "param": null, "code": null}})
            }
        }
    }
}
