//! What tests of several providers share: a place to work in, hands that really run programs, and the table of faults.

use loom_core::word::SpawnOutcome;
use loom_endpoint::{Answer, Endpoint, Script};
use loom_providers::{Ended, Hands, Live, Program, Provider, SpawnOrder, SpawnReport};
use loom_tools::{CancelToken, Command, Status, minimal_environment, run_heard};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use tempfile::TempDir;

/// The credential of these tests.
pub(crate) const KEY: &str = "sk-scripted-5417";
/// The schema of an answer.
pub(crate) const SCHEMA: &str =
    r#"{"type": "object", "required": ["summary"], "properties": {"summary": {"type": "string"}}}"#;
/// The whole prompt of these tests.
pub(crate) const PROMPT: &str = "Write the file new.txt. The word of this task is xylograph.";
/// Time for a run that is to come to its end by itself.
pub(crate) const ENOUGH_MS: u64 = 120_000;
/// Time for a run that never would.
pub(crate) const HANG_MS: u64 = 10_000;
/// Time for a silence of a run that never would end it.
pub(crate) const IDLE_MS: u64 = 6_000;

/// A folder to work in and everything that a run leaves.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["work", "home", "tmp"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Place { folder }
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub(crate) fn order(&self, edits: bool, time_limit_ms: u64) -> SpawnOrder {
        SpawnOrder {
            agent: "implementer".to_string(),
            kind: "worker".to_string(),
            tier: "balanced".to_string(),
            prompt: PROMPT.to_string(),
            schema: SCHEMA.to_string(),
            work_dir: self.work(),
            edits,
            fenced: false,
            round: 1,
            attempt: 1,
            time_limit_ms,
        }
    }

    /// Returns the names of the files in the folder to work in.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work()).unwrap().map(Result::unwrap);
        // A command that is killed may leave an empty folder that its fence stood on.
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        let mut names: Vec<String> = files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Hands that really run programs, as an executor's do.
pub(crate) struct Real<'a> {
    place: &'a Place,
    pub(crate) token: CancelToken,
    pub(crate) ran: Mutex<Vec<Program>>,
    pub(crate) told: Mutex<Vec<Live>>,
}

impl<'a> Real<'a> {
    pub(crate) fn new(place: &'a Place) -> Self {
        Real { place, token: CancelToken::new().unwrap(), ran: Mutex::default(), told: Mutex::default() }
    }
}

impl Hands for Real<'_> {
    fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    fn run(&self, program: &Program, heard: &mut dyn FnMut(&[u8])) -> Ended {
        self.ran.lock().unwrap().push(program.clone());
        let folder = self.place.folder.path();
        let search_path = std::env::var_os("PATH").unwrap();
        let mut environment = minimal_environment(&search_path, &folder.join("home"), &folder.join("tmp"));
        environment.extend(program.variables.iter().map(|(name, value)| (name.into(), value.into())));
        let mut command = Command::new(&program.argv, &self.place.work(), environment);
        command.stdin.clone_from(&program.stdin);
        command.timeout_ms = program.time_limit_ms;
        command.idle_ms = program.idle_limit_ms;
        command.output_max_bytes = 2 * 1024 * 1024;
        let exit = match run_heard(&command, &self.token, heard) {
            Ok(exit) => exit,
            Err(error) => {
                let detail = error.to_string();
                return Ended { outcome: SpawnOutcome::Broken, output: Vec::new(), detail };
            }
        };
        let outcome = match exit.status {
            Status::Exited(0) => SpawnOutcome::Ok,
            Status::Exited(_) | Status::Signalled(_) => SpawnOutcome::Failed,
            Status::TimedOut | Status::Idle => SpawnOutcome::TimedOut,
            Status::Cancelled => SpawnOutcome::Cancelled,
        };
        let complaint = String::from_utf8_lossy(&exit.stderr.to_bytes()).into_owned();
        let detail = format!("it ended with {}: {complaint}", exit.status);
        Ended { outcome, output: exit.stdout.to_bytes(), detail }
    }

    fn fresh_folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let path = self.place.folder.path().join("home").join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir(&path)?;
        Ok(path)
    }

    fn tell(&self, live: Live) {
        self.told.lock().unwrap().push(live);
    }
}

/// One way in which something goes wrong.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) script: Script,
    pub(crate) time_limit_ms: u64,
    pub(crate) idle_limit_ms: u64,
    pub(crate) retries_max: u32,
    pub(crate) requests_max: u64,
    pub(crate) key: &'static str,
    /// Whether the spawn may change files.
    pub(crate) edits: bool,
    /// Whether a request is meant to be refused as none of the protocol.
    pub(crate) refused: bool,
    /// Whether no model is set, so that the command chooses one that it knows.
    pub(crate) own_model: bool,
}

impl Fault {
    pub(crate) fn new(name: &'static str, script: Script) -> Self {
        Fault {
            name,
            script,
            time_limit_ms: ENOUGH_MS,
            idle_limit_ms: ENOUGH_MS,
            retries_max: 0,
            requests_max: 50,
            key: KEY,
            edits: true,
            refused: false,
            own_model: false,
        }
    }

    /// The same with a time limit: it does not end by itself.
    pub(crate) fn hangs(self) -> Self {
        Fault { time_limit_ms: HANG_MS, ..self }
    }

    /// The same with a limit for silence.
    pub(crate) fn falls_silent(self) -> Self {
        Fault { idle_limit_ms: IDLE_MS, ..self }
    }

    /// The same with a command that asks again.
    pub(crate) fn retried(self, retries_max: u32) -> Self {
        Fault { retries_max, ..self }
    }
}

pub(crate) fn status(code: u16) -> Answer {
    Answer::Status { code, retry_after_s: None }
}

/// Variables that make the endpoint everybody's proxy: whoever wants to reach another machine is refused and told.
pub(crate) fn proxies(endpoint: &Endpoint) -> Vec<(String, String)> {
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name.to_string(), endpoint.url()));
    proxies.into_iter().chain([("NO_PROXY".to_string(), "127.0.0.1".to_string())]).collect()
}

/// Makes the provider that a fault is played to.
pub(crate) type Make<'a> = &'a (dyn Fn(&Endpoint, &Fault) -> Box<dyn Provider> + Sync);

/// Compares what is concluded from each fault with the table in a golden file.
pub(crate) fn check_table(file: &str, golden: &str, table: &str) {
    if std::env::var_os("LOOM_UPDATE").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
        return fs::write(PathBuf::from(folder).join(file), table).unwrap();
    }
    assert!(table == golden, "{file} is to say:\n{table}");
}

/// Returns what is concluded from each fault, a line each; `golden` is what is expected to be among others.
pub(crate) fn table(golden: &str, faults: &(dyn Fn(&Place) -> Vec<Fault> + Sync), make: Make<'_>) -> String {
    let count = faults(&Place::new()).len();
    // Most of a run is waiting.
    let next = Mutex::new(0..count);
    let lines = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(index) = { next.lock().unwrap().next() } {
                    let line = concluded(index, golden, faults, make);
                    lines.lock().unwrap().insert(index, line);
                }
            });
        }
    });
    lines.into_inner().unwrap().into_values().collect()
}

/// Tells in one line what came of a fault, without the words of the command and the service.
fn concluded(index: usize, golden: &str, faults: &dyn Fn(&Place) -> Vec<Fault>, make: Make<'_>) -> String {
    let fault = faults(&Place::new()).swap_remove(index);
    let has_short_time = fault.time_limit_ms < ENOUGH_MS || fault.idle_limit_ms < ENOUGH_MS;
    // On a machine under load the command may not come to the fault in the shortest time. Others get one try.
    let patiences: &[u64] = if has_short_time { &[1, 2, 4] } else { &[1] };
    let mut line = String::new();
    for patience in patiences {
        line = played(index, *patience, faults, make) + "\n";
        if golden.contains(&line) {
            break;
        }
    }
    line
}

/// Plays a fault, with limits that are so many times the shortest.
fn played(index: usize, patience: u64, faults: &dyn Fn(&Place) -> Vec<Fault>, make: Make<'_>) -> String {
    let place = Place::new();
    let mut fault = faults(&place).swap_remove(index);
    let is_short = fault.time_limit_ms == HANG_MS;
    fault.idle_limit_ms *= patience;
    fault.time_limit_ms *= patience;
    let endpoint = Endpoint::start(KEY, fault.script.clone()).unwrap();
    let order = place.order(fault.edits, fault.time_limit_ms);
    let report = make(&endpoint, &fault).run(&order, &Real::new(&place));
    assert!(!place.folder.path().join("outside.txt").exists());
    if fault.key == KEY && !fault.refused {
        // Nothing wanted to reach another machine, and what was asked was well formed.
        assert_eq!(endpoint.refused(), Vec::<String>::new(), "{}", fault.name);
    }
    let mut told = vec![match report.wake_ms {
        Some(wake_ms) => format!("{} for {} s", report.outcome.word(), wake_ms.div_ceil(1000)),
        None => report.outcome.word().to_string(),
    }];
    told.extend(report.detail.iter().map(|detail| detail.split(": ").next().unwrap().to_string()));
    if report.outcome == SpawnOutcome::Ok {
        told.push(says(&report));
    }
    told.push(if place.files().is_empty() { "changes nothing".to_string() } else { place.files().join(" ") });
    // How often it asks before its time is over is chance.
    let is_chance = fault.retries_max > 1 && is_short;
    told.push(if is_chance { "asks again".to_string() } else { format!("asks {}", endpoint.messages()) });
    let number = |number: Option<u64>| number.map_or("?".to_string(), |number| number.to_string());
    let (tokens_in, tokens_out) = (number(report.tokens_in), number(report.tokens_out));
    told.push(format!("{tokens_in} and {tokens_out} tokens for {}", number(report.money_micro)));
    format!("{}: {}", fault.name, told.join("; "))
}

/// Returns what is said; of a long text, how long it is.
fn says(report: &SpawnReport) -> String {
    match report.output.len() {
        0..=200 => format!("says \"{}\"", String::from_utf8_lossy(&report.output).escape_debug()),
        bytes => format!("says {bytes} bytes"),
    }
}
