//! What a store may append: one input and what follows from it, judged.
//!
//! A [`Checked`] comes out of [`crate::step()`] only: it has no public constructor and cannot be deserialised, so
//! a commit that rules refused cannot be written down as if they had not (COMMIT-2).

use crate::effect::Effect;
use crate::event::Recorded;
use crate::id::{BLOB_CONTEXT, Digest, EventId, StreamId, digest};
use alloc::vec::Vec;

/// Where a stream ends: what an append expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Sequence that the next event gets.
    pub next: u64,
    /// Id of the last event; all zero for a stream without events.
    pub last: EventId,
}

/// Content that events name by digest.
///
/// The bytes are `00` and the content, or `01`, a 16-byte salt and the content (BLOB-1). Prompts, outputs,
/// answers and whatever a person typed are salted, so that their digest does not give them away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Digest of `bytes` (ID-3).
    pub digest: Digest,
    /// Mark, salt where there is one, and content.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Returns a blob whose digest everybody who knows the content can compute.
    pub fn plain(content: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(content.len() + 1);
        bytes.push(0);
        bytes.extend_from_slice(content);
        Self::stored(bytes)
    }

    /// Returns a blob whose digest does not give its content away.
    pub fn salted(salt: [u8; 16], content: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(content.len() + 17);
        bytes.push(1);
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(content);
        Self::stored(bytes)
    }

    /// Names bytes that carry their mark already.
    pub fn stored(bytes: Vec<u8>) -> Self {
        Blob { digest: digest(BLOB_CONTEXT, &[&bytes]), bytes }
    }

    /// Returns the content, or `None` when the mark or salt is missing.
    pub fn content(bytes: &[u8]) -> Option<&[u8]> {
        match bytes.split_first()? {
            (0, content) => Some(content),
            (1, rest) => rest.get(16..),
            _ => None,
        }
    }
}

/// One commit, derived and judged (COMMIT-2).
///
/// Anybody may read one:
///
/// ```
/// use loom_core::commit::{Checked, Head};
/// fn read(checked: &Checked<()>) -> Head {
///     checked.expected()
/// }
/// ```
///
/// Nobody outside of core makes one, by its constructor or from its parts, or alters one:
///
/// ```compile_fail,E0624
/// use loom_core::commit::{Checked, Head};
/// fn make(checked: &Checked<()>) -> Checked<()> {
///     Checked::new(checked.stream(), Head::default(), Vec::new(), Vec::new(), Vec::new(), ())
/// }
/// ```
///
/// ```compile_fail,E0451
/// use loom_core::commit::{Checked, Head};
/// fn make(checked: Checked<()>) -> Checked<()> {
///     Checked { expected: Head::default(), ..checked }
/// }
/// ```
///
/// ```compile_fail,E0616
/// use loom_core::commit::{Checked, Head};
/// fn alter(checked: &mut Checked<()>) {
///     checked.expected = Head::default();
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Checked<T> {
    stream: StreamId,
    expected: Head,
    events: Vec<Recorded>,
    blobs: Vec<Blob>,
    effects: Vec<Effect>,
    next: T,
}

impl<T> Checked<T> {
    pub(crate) fn new(
        stream: StreamId,
        expected: Head,
        events: Vec<Recorded>,
        blobs: Vec<Blob>,
        effects: Vec<Effect>,
        next: T,
    ) -> Self {
        debug_assert!(!events.is_empty(), "a commit has at least its input (COMMIT-1)");
        Checked { stream, expected, events, blobs, effects, next }
    }

    /// Returns the stream it belongs to.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Returns where the stream must end for this commit to be valid.
    pub fn expected(&self) -> Head {
        self.expected
    }

    /// Returns the events in order; the first is the input.
    pub fn events(&self) -> &[Recorded] {
        &self.events
    }

    /// Returns the blobs that these events name and that came with them.
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// Returns what is to be done once this is durable, and not before.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Returns where the stream ends once this is appended.
    pub fn head(&self) -> Head {
        Head {
            next: self.expected.next + self.events.len() as u64,
            last: self.events.last().map_or(self.expected.last, |event| event.id),
        }
    }

    /// Returns what holds once this is appended.
    pub fn next(&self) -> &T {
        &self.next
    }

    /// Returns what holds now that this is appended.
    pub fn into_next(self) -> T {
        self.next
    }
}
