//! Reads an answer that does not end: server-sent events, as the WHATWG HTML standard has them (section 9.2).

use super::{cannot, connect};
use crate::wire::{EventWire, LiveWire};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use loom_core::event::Recorded;
use loom_core::id::{EventHasher, StreamId, hex, unhex};
use loom_host::live::Live;
use loom_store::{StoreError, Stored};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long a follower hears nothing before it takes the holder for gone; a holder gives a sign every five seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line that is put together, in bytes: an event in hexadecimal, and more.
const LINE_BYTES_MAX: usize = 16 << 20;

/// How much is read ahead of who is told.
const AHEAD: usize = 64;

/// What is told as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// An event went on record.
    Event(Stored),
    /// What a spawn does just now; `spawn` is the sequence of its request.
    Live {
        /// The spawn.
        spawn: u64,
        /// What it does.
        live: Live,
    },
    /// Nothing: the holder is still there.
    Sign,
}

/// Follows in a thread of its own, so that whoever is told may ask the holder meanwhile.
pub(super) fn follow(
    socket: &Path,
    stream: Option<StreamId>,
    from: u64,
    told: &mut dyn FnMut(Told) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let (sender, receiver) = sync_channel(AHEAD);
    let socket = socket.to_path_buf();
    let following = std::thread::Builder::new().name("loom-follow".to_string());
    let following = following.spawn(move || {
        read(&socket, stream, from, &mut |one| match sender.send(one) {
            Ok(()) => ControlFlow::Continue(()),
            // Who was told has heard enough.
            Err(_) => ControlFlow::Break(()),
        })
    });
    let following = following.map_err(|error| cannot("be followed", error))?;
    while let Ok(one) = receiver.recv() {
        if told(one).is_break() {
            return Ok(());
        }
    }
    following.join().unwrap_or_else(|_| Err(cannot("be followed", io::Error::other("the follower broke off"))))
}

/// As [`follow`], and returns at once; `told` gets nothing when the holder has gone.
pub(super) fn follow_along(
    socket: &Path,
    stream: Option<StreamId>,
    from: u64,
    mut told: impl FnMut(Option<Told>) -> ControlFlow<()> + Send + 'static,
) -> Result<(), StoreError> {
    let socket = socket.to_path_buf();
    let following = std::thread::Builder::new().name("loom-follow".to_string());
    let begun = following.spawn(move || {
        if read(&socket, stream, from, &mut |one| told(Some(one))).is_err() {
            // Nobody listens any more, as a rule.
            let _last = told(None);
        }
    });
    begun.map(drop).map_err(|error| cannot("be followed", error))
}

fn read(
    socket: &Path,
    stream: Option<StreamId>,
    from: u64,
    told: &mut dyn FnMut(Told) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| cannot("be asked", error))?;
    let broke = |error: hyper::Error| cannot("answer", io::Error::other(error));
    let silent = |_| cannot("answer", io::ErrorKind::TimedOut.into());
    runtime.block_on(async {
        let mut sender = connect(socket).await.map_err(|error| cannot("be reached", error))?;
        let request = Request::get(match stream {
            Some(stream) => format!("/v1/streams/{}/follow?from={from}", hex(&stream.0)),
            None => format!("/v1/follow?from={from}"),
        });
        let request = request.header(header::HOST, "loom").body(Full::<Bytes>::default());
        let request = request.map_err(|error| cannot("be asked", io::Error::other(error)))?;
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.map_err(silent)?;
        let mut answer = answer.map_err(broke)?;
        if answer.status() != StatusCode::OK {
            return Err(cannot("be followed", io::Error::other(answer.status().to_string())));
        }
        let (mut reader, hasher) = (Reader::default(), EventHasher::default());
        loop {
            let frame = tokio::time::timeout(PATIENCE, answer.frame()).await.map_err(silent)?;
            let Some(frame) = frame else { return Err(cannot("answer any more", io::ErrorKind::UnexpectedEof.into())) };
            let Ok(piece) = frame.map_err(broke)?.into_data() else { continue };
            if reader.take(&piece, &hasher, told).ok_or_else(super::garbled)?.is_break() {
                return Ok(());
            }
        }
    })
}

/// The event that is being read.
#[derive(Default)]
struct Reader {
    line: Vec<u8>,
    name: String,
    data: String,
}

impl Reader {
    /// Takes a piece and tells each event that it ends; `None` for what is none of ours.
    fn take(
        &mut self,
        piece: &[u8],
        hasher: &EventHasher,
        told: &mut dyn FnMut(Told) -> ControlFlow<()>,
    ) -> Option<ControlFlow<()>> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LINE_BYTES_MAX {
                return None;
            }
            if self.line.pop_if(|last| *last == b'\n').is_none() {
                break;
            }
            let line = String::from_utf8(std::mem::take(&mut self.line)).ok()?;
            match line.split_once(": ") {
                _ if line.is_empty() => {
                    if let Some(event) = self.end(hasher)
                        && told(event?).is_break()
                    {
                        return Some(ControlFlow::Break(()));
                    }
                }
                Some(("event", name)) => self.name = name.to_string(),
                Some(("data", data)) => self.data = data.to_string(),
                Some(("", _)) if told(Told::Sign).is_break() => return Some(ControlFlow::Break(())),
                _ => {}
            }
        }
        Some(ControlFlow::Continue(()))
    }

    /// Ends an event; nothing where only a comment ended.
    fn end(&mut self, hasher: &EventHasher) -> Option<Option<Told>> {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        if name.is_empty() {
            return None;
        }
        Some(if name == "live" {
            serde_json::from_str::<LiveWire>(&data).ok().map(|wire| Told::Live {
                spawn: wire.spawn,
                live: Live {
                    line: wire.line,
                    model: wire.model,
                    tokens_in: wire.tokens_in,
                    tokens_out: wire.tokens_out,
                },
            })
        } else {
            serde_json::from_str::<EventWire>(&data).ok().and_then(|wire| {
                let bytes = unhex(&wire.bytes)?;
                // An id is that of the bytes that came (SERVER-4).
                Some(Told::Event(Stored { position: wire.position, event: Recorded { id: hasher.id(&bytes), bytes } }))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_no_difference() {
        let text = ": loom\n\nid: 4\nevent: run.closed\ndata: {\"position\":9,\"stream\":\"00000000000000000000000000000001\",\
             \"sequence\":4,\"bytes\":\"a0\"}\n\nevent: live\ndata: {\"spawn\":2,\"line\":\"ü: x\",\"model\":\"m\",\"tokens_in\":1,\"tokens_out\":null}\n\n";
        for size in 1..text.len() {
            let (mut reader, hasher, mut told) = (Reader::default(), EventHasher::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                let taken = reader.take(piece, &hasher, &mut |one| {
                    told.push(one);
                    ControlFlow::Continue(())
                });
                assert_eq!(taken, Some(ControlFlow::Continue(())));
            }
            let event = Stored { position: 9, event: Recorded { id: hasher.id(&[0xa0]), bytes: vec![0xa0] } };
            let live =
                Live { line: "ü: x".to_string(), model: Some("m".to_string()), tokens_in: Some(1), tokens_out: None };
            assert_eq!(told, [Told::Sign, Told::Event(event), Told::Live { spawn: 2, live }]);
        }
    }
}
