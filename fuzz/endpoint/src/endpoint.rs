//! The endpoint: who is asked what, and how the answer goes over the wire.
//!
//! Routes: `POST /v1/messages`, `POST /v1/messages/count_tokens`, `POST /v1/responses`, `POST /v1/chat/completions`,
//! `HEAD /` (clients look whether anybody is there).
//! Everything else is refused and told, `CONNECT` among it: an endpoint that is named as a proxy sees whoever wants to
//! reach another machine.

use crate::http::{Request, begin, chunk, read, whole};
use crate::leak::Hidden;
use crate::messages::{Conversation, count};
use crate::protocol::Protocol;
use crate::script::{Answer, Reply, Script};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
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
///
/// # Panics
/// When it is dropped and a process showed the credential while it was asked, unless the test fails already.
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
    /// What no process may show.
    hidden: Vec<Arc<Hidden>>,
    /// Processes that showed it.
    leaks: BTreeSet<String>,
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
        let state = State { hidden: vec![Arc::new(Hidden::new("the credential", key))], ..State::default() };
        let shared = Arc::new(Shared { script, key: key.to_string(), state: Mutex::new(state) });
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

    /// Returns how many replies were asked for so far, in any protocol, refused ones among them.
    pub fn messages(&self) -> usize {
        let path = |asked: &Asked| asked.what.strip_prefix("POST ")?.split('?').next().map(str::to_string);
        let is_message = |asked: &&Asked| path(asked).as_deref().and_then(Protocol::of_path).is_some();
        self.shared.lock().asked.iter().filter(is_message).count()
    }

    /// Lets everybody show everything: for measuring, and for programs that hold the key themselves.
    pub fn unwatched(self) -> Self {
        self.shared.lock().hidden.clear();
        self
    }

    /// Lets nothing but the driver's own process show this text from now on, as it is with the key: the task, say.
    pub fn hide(&self, name: &str, text: &str) {
        self.shared.lock().hidden.push(Arc::new(Hidden::new(name, text)));
    }

    /// Takes what processes showed so far that they must not, a line each.
    ///
    /// What nobody has taken fails the test that drops the endpoint.
    pub fn leaks(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().leaks).into_iter().collect()
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
        let leaks = self.leaks();
        assert!(leaks.is_empty() || thread::panicking(), "while it was asked:\n{}", leaks.join("\n"));
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
        let hidden = shared.lock().hidden.clone();
        let leaks: Vec<String> = hidden.iter().flat_map(|hidden| hidden.processes()).collect();
        shared.lock().leaks.extend(leaks);
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
            Ok(Call::Reply(wanted)) => {
                let (turn, protocol) = (wanted.asked.turn, wanted.protocol);
                let tries = state.tries.entry(turn).or_default();
                *tries += 1;
                match shared.script.answer(turn, *tries - 1) {
                    Some(answer) => Told::Answer { answer: answer.clone(), wanted: Wanted { number, ..wanted } },
                    None => {
                        let why = format!("the script has no turn {turn}");
                        state.asked[number - 1].refused = Some(why.clone());
                        Told::Refusal(Refusal { protocol, code: 400, why })
                    }
                }
            }
            Ok(Call::Count(tokens)) => Told::Json(json!({"input_tokens": tokens})),
            Ok(Call::Look) => Told::Json(Value::Null),
            Err(refusal) => Told::Refusal(refusal),
        };
        drop(state);
        match told {
            Told::Answer { answer, wanted } => play(wire, &answer, &wanted)?,
            Told::Json(Value::Null) => whole(wire, 200, &[], b"")?,
            Told::Json(value) => whole(wire, 200, &[JSON], value.to_string().as_bytes())?,
            Told::Refusal(Refusal { protocol, code, why }) => fail(wire, protocol, code, &[], &why)?,
        }
    }
}

/// What a request wants.
enum Call {
    Reply(Wanted),
    Count(usize),
    Look,
}

/// A reply that is wanted, and how it is to be told.
#[derive(Clone)]
struct Wanted {
    protocol: Protocol,
    asked: Conversation,
    /// The number of the request.
    number: usize,
}

impl Wanted {
    /// The kind of body that it is told in.
    fn kind(&self) -> (&'static str, &'static str) {
        if self.asked.streams { EVENTS } else { JSON }
    }

    fn whole(&self, reply: &Reply) -> String {
        self.protocol.whole(reply, &self.asked, self.number).to_string()
    }

    /// Returns a reply in the pieces that a connection can be cut between.
    fn pieces(&self, reply: &Reply) -> Vec<String> {
        if self.asked.streams {
            return self.protocol.events(reply, &self.asked, self.number);
        }
        let text: Vec<char> = self.whole(reply).chars().collect();
        text.chunks(text.len().div_ceil(8)).map(|chars| chars.iter().collect()).collect()
    }
}

enum Told {
    Answer { answer: Answer, wanted: Wanted },
    Json(Value),
    Refusal(Refusal),
}

struct Refusal {
    protocol: Protocol,
    code: u16,
    why: String,
}

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");

fn understand(request: &Request, shared: &Shared) -> Result<Call, Refusal> {
    let (counts, protocol) = match (request.method.as_str(), request.path()) {
        ("HEAD", "/") => return Ok(Call::Look),
        ("POST", "/v1/messages/count_tokens") => (true, Some(Protocol::Messages)),
        ("POST", path) => (false, Protocol::of_path(path)),
        _ => (false, None),
    };
    let Some(protocol) = protocol else {
        return Err(Refusal { protocol: Protocol::Messages, code: 404, why: "there is nothing here".to_string() });
    };
    let refusal = |code| move |why: String| Refusal { protocol, code, why };
    if protocol.key(request) != Some(&shared.key) {
        return Err(refusal(401)("invalid x-api-key".to_string()));
    }
    protocol.check(request).map_err(refusal(400))?;
    if counts {
        return count(&request.body).map(Call::Count).map_err(refusal(400));
    }
    let asked = protocol.read(&request.body, &shared.script).map_err(refusal(400))?;
    Ok(Call::Reply(Wanted { protocol, asked, number: 0 }))
}

/// Writes an error as the service words it.
fn fail(wire: &mut Wire, protocol: Protocol, code: u16, more: &[(&'static str, String)], why: &str) -> io::Result<()> {
    let mut headers = vec![JSON];
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    whole(wire, code, &headers, protocol.error(code, why).to_string().as_bytes())
}

fn play(wire: &mut Wire, answer: &Answer, wanted: &Wanted) -> io::Result<()> {
    let gone = || Err(io::ErrorKind::ConnectionAborted.into());
    match answer {
        Answer::Say(reply) => {
            if !wanted.asked.streams {
                return whole(wire, 200, &[JSON], wanted.whole(reply).as_bytes());
            }
            begin(wire, &[EVENTS])?;
            chunk(wire, wanted.pieces(reply).concat().as_bytes())?;
            chunk(wire, b"")
        }
        Answer::Status { code, retry_after_s } => {
            let wait = retry_after_s.map(|seconds| ("retry-after", seconds.to_string()));
            fail(wire, wanted.protocol, *code, wait.as_slice(), "the script says so")
        }
        Answer::Wait { code, headers } => fail(wire, wanted.protocol, *code, headers, "the script says so"),
        Answer::Cut { reply, clean } => {
            half(wire, reply, wanted)?;
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
            half(wire, reply, wanted)?;
            wire.wait_for_end()?;
            gone()
        }
        Answer::Drip { reply, gap } => {
            begin(wire, &[wanted.kind()])?;
            for piece in wanted.pieces(reply) {
                chunk(wire, piece.as_bytes())?;
                wire.pause(*gap)?;
            }
            chunk(wire, b"")
        }
        Answer::Garbage => {
            begin(wire, &[wanted.kind()])?;
            chunk(wire, b"\x00\xff\x1b[2J<html>not what was asked for</html>\n\ndata: {\"type\": 7\n\n")?;
            chunk(wire, b"")
        }
    }
}

/// Begins a reply and stops in its middle.
fn half(wire: &mut Wire, reply: &Reply, wanted: &Wanted) -> io::Result<()> {
    begin(wire, &[wanted.kind()])?;
    let pieces = wanted.pieces(reply);
    chunk(wire, pieces[..pieces.len() / 2].concat().as_bytes())
}
