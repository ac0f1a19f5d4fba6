//! The endpoint: who is asked what, and how the answer goes over the wire.
//!
//! Routes: `POST /v1/messages`, `POST /v1/messages/count_tokens`, `HEAD /` (clients look whether anybody is there).
//! Everything else is refused and told, `CONNECT` among it: an endpoint that is named as a proxy sees whoever wants to
//! reach another machine.

use crate::events::{events, message};
use crate::http::{Request, begin, chunk, read, whole};
use crate::messages::{VERSION, conversation, count};
use crate::script::{Answer, Reply, Script};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Method and target, as in `POST /v1/messages`.
    pub what: String,
    /// The body.
    pub body: Vec<u8>,
    /// Why it was refused as no request of the protocol, if it was. A fault of the script is no refusal.
    pub refused: Option<String>,
}

/// A running endpoint; it ends when it is dropped, with every connection.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    key: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: Vec<Asked>,
    /// How often each turn was asked for.
    tries: BTreeMap<usize, usize>,
    open: Vec<TcpStream>,
    ends: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// Listens on a free port of 127.0.0.1 and plays the script to whoever has the key.
    ///
    /// # Errors
    /// What the operating system says when there is no port.
    pub fn start(key: &str, script: Script) -> io::Result<Endpoint> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { script, key: key.to_string(), state: Mutex::default() });
        let listening = {
            let shared = shared.clone();
            thread::spawn(move || listen(&listener, &shared))
        };
        Ok(Endpoint { address, shared, listening: Some(listening) })
    }

    /// Returns the endpoint's address, as in `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all requests so far, in the order in which they were read.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }

    /// Returns how many messages were asked for so far, refused ones among them.
    pub fn messages(&self) -> usize {
        let is_message = |asked: &&Asked| asked.what.split('?').next() == Some("POST /v1/messages");
        self.shared.lock().asked.iter().filter(is_message).count()
    }

    /// Returns what was refused so far, a line each.
    pub fn refused(&self) -> Vec<String> {
        let told = |asked: &Asked| asked.refused.as_ref().map(|why| format!("{}: {why}", asked.what));
        self.shared.lock().asked.iter().filter_map(told).collect()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ends = true;
        for stream in state.open.drain(..) {
            // Closed already: then nobody waits on it.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let mut state = shared.lock();
        if state.ends {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(stream) = stream.try_clone() {
            state.open.push(stream);
        }
        drop(state);
        let shared = shared.clone();
        thread::spawn(move || {
            let mut wire = Wire { reader: BufReader::new(stream) };
            // Whatever ends a connection ends this connection.
            let _ = serve(&mut wire, &shared);
            let _ = wire.reader.get_ref().shutdown(Shutdown::Both);
        });
    }
}

/// A connection that is read through a buffer and written without one.
struct Wire {
    reader: BufReader<TcpStream>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Wire {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reader.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.reader.get_mut().flush()
    }
}

impl Wire {
    /// Waits until the client goes.
    fn wait_for_end(&mut self) -> io::Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).map(drop)
    }

    /// Waits for a time, or until the client goes.
    fn pause(&mut self, gap: std::time::Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(gap))?;
        let woke = self.reader.fill_buf().map(<[u8]>::is_empty);
        self.reader.get_ref().set_read_timeout(None)?;
        match woke {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

fn serve(wire: &mut Wire, shared: &Shared) -> io::Result<()> {
    loop {
        let request = match read(wire) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let asked = Asked { what: "bytes".into(), body: Vec::new(), refused: Some(error.to_string()) };
                    shared.lock().asked.push(asked);
                }
                return Err(error);
            }
        };
        let read = understand(&request, shared);
        let asked = Asked {
            what: format!("{} {}", request.method, request.target),
            body: request.body,
            refused: read.as_ref().err().map(|refusal| refusal.why.clone()),
        };
        let mut state = shared.lock();
        state.asked.push(asked);
        let number = state.asked.len();
        let told = match read {
            Ok(Call::Message { model, turn, streams }) => {
                let tries = state.tries.entry(turn).or_default();
                *tries += 1;
                match shared.script.answer(turn, *tries - 1) {
                    Some(answer) => Told::Answer { answer: answer.clone(), model, streams },
                    None => {
                        let why = format!("the script has no turn {turn}");
                        state.asked[number - 1].refused = Some(why.clone());
                        Told::Refusal(Refusal { code: 400, why })
                    }
                }
            }
            Ok(Call::Count(tokens)) => Told::Json(json!({"input_tokens": tokens})),
            Ok(Call::Look) => Told::Json(Value::Null),
            Err(refusal) => Told::Refusal(refusal),
        };
        drop(state);
        match told {
            Told::Answer { answer, model, streams } => play(wire, &answer, &model, streams, number)?,
            Told::Json(Value::Null) => whole(wire, 200, &[], b"")?,
            Told::Json(value) => whole(wire, 200, &[JSON], value.to_string().as_bytes())?,
            Told::Refusal(Refusal { code, why }) => fail(wire, code, None, &why)?,
        }
    }
}

/// What a request wants.
enum Call {
    Message { model: String, turn: usize, streams: bool },
    Count(usize),
    Look,
}

enum Told {
    Answer { answer: Answer, model: String, streams: bool },
    Json(Value),
    Refusal(Refusal),
}

struct Refusal {
    code: u16,
    why: String,
}

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");

fn understand(request: &Request, shared: &Shared) -> Result<Call, Refusal> {
    let refusal = |code| move |why: String| Refusal { code, why };
    let counts = match (request.method.as_str(), request.path()) {
        ("HEAD", "/") => return Ok(Call::Look),
        ("POST", "/v1/messages") => false,
        ("POST", "/v1/messages/count_tokens") => true,
        _ => return Err(refusal(404)("there is nothing here".to_string())),
    };
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if request.header("x-api-key").or(bearer) != Some(&shared.key) {
        return Err(refusal(401)("invalid x-api-key".to_string()));
    }
    if request.header("anthropic-version") != Some(VERSION) {
        return Err(refusal(400)(format!("anthropic-version: {VERSION} is required")));
    }
    if request.header("content-type") != Some("application/json") {
        return Err(refusal(400)("content-type: application/json is required".to_string()));
    }
    if counts {
        return count(&request.body).map(Call::Count).map_err(refusal(400));
    }
    let asked = conversation(&request.body).map_err(refusal(400))?;
    Ok(Call::Message { model: asked.model, turn: asked.turn, streams: asked.streams })
}

/// Writes an error as the service words it.
fn fail(wire: &mut Wire, code: u16, retry_after_s: Option<u64>, why: &str) -> io::Result<()> {
    let kind = match code {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let body = json!({"type": "error", "error": {"type": kind, "message": why}, "request_id": "req_scripted"});
    let wait = retry_after_s.map(|seconds| seconds.to_string());
    let mut headers = vec![JSON];
    headers.extend(wait.as_deref().map(|seconds| ("retry-after", seconds)));
    whole(wire, code, &headers, body.to_string().as_bytes())
}

fn play(wire: &mut Wire, answer: &Answer, model: &str, streams: bool, number: usize) -> io::Result<()> {
    let gone = || Err(io::ErrorKind::ConnectionAborted.into());
    match answer {
        Answer::Say(reply) => {
            if !streams {
                return whole(wire, 200, &[JSON], message(reply, model, number).to_string().as_bytes());
            }
            begin(wire, &[EVENTS])?;
            chunk(wire, events(reply, model, number).concat().as_bytes())?;
            chunk(wire, b"")
        }
        Answer::Status { code, retry_after_s } => fail(wire, *code, *retry_after_s, "the script says so"),
        Answer::Cut { reply, clean } => {
            half(wire, reply, model, streams, number)?;
            if !clean {
                return gone();
            }
            chunk(wire, b"")
        }
        Answer::Silence => {
            wire.wait_for_end()?;
            gone()
        }
        Answer::Stall(reply) => {
            half(wire, reply, model, streams, number)?;
            wire.wait_for_end()?;
            gone()
        }
        Answer::Drip { reply, gap } => {
            begin(wire, &[if streams { EVENTS } else { JSON }])?;
            for piece in pieces(reply, model, streams, number) {
                chunk(wire, piece.as_bytes())?;
                wire.pause(*gap)?;
            }
            chunk(wire, b"")
        }
        Answer::Garbage => {
            begin(wire, &[if streams { EVENTS } else { JSON }])?;
            chunk(wire, b"\x00\xff\x1b[2J<html>not what was asked for</html>\n\ndata: {\"type\": 7\n\n")?;
            chunk(wire, b"")
        }
    }
}

/// Begins a reply and stops in its middle.
fn half(wire: &mut Wire, reply: &Reply, model: &str, streams: bool, number: usize) -> io::Result<()> {
    begin(wire, &[if streams { EVENTS } else { JSON }])?;
    let pieces = pieces(reply, model, streams, number);
    chunk(wire, pieces[..pieces.len() / 2].concat().as_bytes())
}

/// Returns a reply in the pieces that a connection can be cut between.
fn pieces(reply: &Reply, model: &str, streams: bool, number: usize) -> Vec<String> {
    if streams {
        return events(reply, model, number);
    }
    let text: Vec<char> = message(reply, model, number).to_string().chars().collect();
    text.chunks(text.len().div_ceil(8)).map(|chars| chars.iter().collect()).collect()
}
