//! Events as JSON: all fields by their schema names, in the schema's order; bytes as hexadecimal, paths also as text.

use crate::text::rfc3339;
use loom_core::event::View;
use loom_core::id::{Actor, EventId, hex};
use loom_core::kind::KINDS;
use loom_core::schema::{Field, Scalar, Type};
use loom_store::Stored;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use std::borrow::Cow;

/// An event of a store.
pub(crate) struct EventJson<'a>(pub(crate) &'a Stored);

/// An event's bytes, with what is known of its place.
pub(crate) struct BytesJson<'a> {
    /// Position in the store.
    pub(crate) position: Option<u64>,
    /// Its id, where it has one.
    pub(crate) id: Option<EventId>,
    /// Its canonical bytes.
    pub(crate) bytes: &'a [u8],
}

impl Serialize for EventJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Stored { position, event } = self.0;
        BytesJson { position: Some(*position), id: Some(event.id), bytes: &event.bytes }.serialize(serializer)
    }
}

impl Serialize for BytesJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = View::read(self.bytes).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        if let Some(position) = self.position {
            map.serialize_entry("position", &position)?;
        }
        if let Some(id) = self.id {
            map.serialize_entry("id", &hex(&id.0))?;
        }
        map.serialize_entry("stream", &hex(&view.stream.0))?;
        map.serialize_entry("sequence", &view.sequence)?;
        map.serialize_entry("previous", &hex(&view.previous.0))?;
        map.serialize_entry("time", &rfc3339(view.stamp.ms))?;
        map.serialize_entry("stamp", &Pair([("ms", view.stamp.ms), ("counter", view.stamp.counter)]))?;
        map.serialize_entry("actor", &ActorJson(view.actor().map_err(S::Error::custom)?))?;
        map.serialize_entry("input", &view.input)?;
        if let Some(count) = view.count {
            map.serialize_entry("count", &count)?;
        }
        map.serialize_entry("kind", view.schema.name)?;
        map.serialize_entry("version", &view.version)?;
        map.serialize_entry("class", view.schema.class.word())?;
        map.serialize_entry("body", &Body(&view))?;
        map.end()
    }
}

/// Says what an event's JSON looks like; the fields of its body are those of its kind, by their schema names.
fn event_schema() -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "position": { "type": "integer", "minimum": 0 },
            "id": { "type": "string" },
            "stream": { "type": "string" },
            "sequence": { "type": "integer", "minimum": 0 },
            "previous": { "type": "string" },
            "time": { "type": "string", "description": "RFC 3339, UTC, milliseconds" },
            "stamp": {
                "type": "object",
                "properties": {
                    "ms": { "type": "integer", "minimum": 0 },
                    "counter": { "type": "integer", "minimum": 0 },
                },
                "required": ["ms", "counter"],
            },
            "actor": {
                "type": "object",
                "properties": {
                    "class": { "enum": ["kernel", "host", "person"] },
                    "id": { "type": "string" },
                    "assurance": { "enum": ["asserted", "session", "signed"] },
                    "descends": { "type": "integer", "minimum": 0 },
                },
                "required": ["class"],
            },
            "input": { "type": "integer", "minimum": 0 },
            "count": { "type": "integer", "minimum": 1, "description": "events of the commit; inputs only" },
            "kind": { "enum": KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>() },
            "version": { "type": "integer", "minimum": 1 },
            "class": { "enum": ["input", "record", "decision"] },
            "body": {
                "type": "object",
                "description": "the fields of the kind, by name; bytes as hexadecimal digits, paths also as NAME_text",
            },
        },
        "required": [
            "stream", "sequence", "previous", "time", "stamp", "actor", "input", "kind", "version", "class", "body",
        ],
    })
}

impl JsonSchema for EventJson<'_> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Event")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        event_schema()
    }
}

impl JsonSchema for BytesJson<'_> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Event")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        event_schema()
    }
}

struct Pair([(&'static str, u64); 2]);

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

struct ActorJson(Actor);

impl Serialize for ActorJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("class", self.0.class())?;
        if let Actor::Person { id, assurance, descends } = &self.0 {
            map.serialize_entry("id", id)?;
            map.serialize_entry("assurance", assurance.word())?;
            if let Some(spawn) = descends {
                map.serialize_entry("descends", spawn)?;
            }
        }
        map.end()
    }
}

struct Body<'v, 'a>(&'v View<'a>);

impl Serialize for Body<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in self.0.schema.fields {
            // An empty list is written by leaving it out (SCHEMA-1); here it is shown.
            let is_there = self.0.field(field.key).is_some() || matches!(field.ty, Type::List(_));
            if is_there {
                map.serialize_entry(field.name, &Value { view: self.0, field, as_text: false })?;
                if is_path(field) {
                    let name = format!("{}_text", field.name);
                    map.serialize_entry(&name, &Value { view: self.0, field, as_text: true })?;
                }
            }
        }
        map.end()
    }
}

/// Whether a field of bytes holds paths, which people read as text.
pub(crate) fn is_path(field: &Field) -> bool {
    matches!(field.name, "path" | "paths")
}

struct Value<'v, 'a> {
    view: &'v View<'a>,
    field: &'static Field,
    as_text: bool,
}

impl Serialize for Value<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.view.field(self.field.key);
        match (self.field.ty, value) {
            (Type::One(scalar), Some(mut decoder)) => {
                Item::read(scalar, &mut decoder, self.as_text).map_err(S::Error::custom)?.serialize(serializer)
            }
            (Type::One(_), None) => serializer.serialize_none(),
            (Type::List(_), None) => serializer.serialize_seq(Some(0))?.end(),
            (Type::List(scalar), Some(mut decoder)) => {
                let count = decoder.array().map_err(S::Error::custom)?;
                let mut list = serializer.serialize_seq(None)?;
                for _ in 0..count {
                    list.serialize_element(&Item::read(scalar, &mut decoder, self.as_text).map_err(S::Error::custom)?)?;
                }
                list.end()
            }
        }
    }
}

enum Item<'a> {
    Int(u64),
    Bool(bool),
    Text(&'a str),
    Owned(String),
}

impl<'a> Item<'a> {
    fn read(
        scalar: Scalar,
        decoder: &mut loom_core::cbor::Decoder<'a>,
        as_text: bool,
    ) -> Result<Self, loom_core::cbor::CborError> {
        Ok(match scalar {
            Scalar::Int => Item::Int(decoder.uint()?),
            Scalar::Bool => Item::Bool(decoder.bool()?),
            Scalar::Text => Item::Text(decoder.text()?),
            Scalar::Bytes if as_text => Item::Owned(String::from_utf8_lossy(decoder.bytes()?).into_owned()),
            Scalar::Bytes => Item::Owned(hex(decoder.bytes()?)),
        })
    }
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Item::Int(value) => serializer.serialize_u64(*value),
            Item::Bool(value) => serializer.serialize_bool(*value),
            Item::Text(value) => serializer.serialize_str(value),
            Item::Owned(value) => serializer.serialize_str(value),
        }
    }
}

/// Returns a field's value as people read it, for text output; `None` when it is absent.
pub(crate) fn field_text(view: &View<'_>, field: &'static Field) -> Option<String> {
    let value = Value { view, field, as_text: is_path(field) };
    view.field(field.key)?;
    match serde_json::to_value(&value).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Array(items) => Some(
            items
                .into_iter()
                .map(|item| match item {
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                })
                .collect::<Vec<_>>()
                .join(", "),
        ),
        other => Some(other.to_string()),
    }
}
