//! Drives an exhibit's run: a real repository, a real session, real checks; only the model follows a script.

use super::exhibit::{Exhibit, Step, fixtures};
use loom_bundles::{LoadedBundle, Source, load};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Actor, Assurance, StreamId};
use loom_core::kind::Event;
use loom_core::state::Amount;
use loom_core::word::{Answer, Recovery};
use loom_host::environment::Environment;
use loom_host::request::{Ask, Request};
use loom_host::session::{Session, Wishes, request_id};
use loom_providers::{Script, Scripted, demo};
use loom_replay::{StoredRun, trace};
use loom_store::origin;
use loom_tools::Guard;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// A run, driven as far as its record goes.
pub(crate) struct Played {
    session: Option<Session>,
    stream: StreamId,
    bundle: Arc<LoadedBundle>,
    script: String,
    folder: TempDir,
}

impl Played {
    /// Drives an exhibit's run, judged by these rule sets beside the bundle's; no further than to the first refusal.
    pub(crate) fn of(exhibit: &Exhibit, rules: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("notes");
        fs::create_dir(&project).unwrap();
        for (name, content) in demo::FILES {
            fs::write(project.join(name), content).unwrap();
        }
        copy(&exhibit.folder.join("project"), &project);
        commit(&project);
        let source = Source::folder(&fixtures().join("museum")).unwrap();
        let bundle = Arc::new(load(&source).unwrap_or_else(|error| panic!("the museum's bundle: {error}")));
        let script = exhibit.text("script.toml");
        let mut played = Played { session: None, stream: StreamId::STORE, bundle, script, folder };
        played.open();
        let record = &exhibit.record;
        let limits = &played.bundle.bundle.limits;
        let caps = Amount {
            spawns: record.cap_spawns.unwrap_or(limits.spawns),
            tokens: limits.tokens,
            money_micro: limits.money_micro,
            time_ms: limits.time_ms,
        };
        let wishes = Wishes {
            flow: record.flow.clone(),
            policy: None,
            policies: record.policies.clone().into_iter().collect(),
            caps: Some(caps),
            rules,
        };
        let (bundle, by) = (played.bundle.clone(), person(&record.opened_by));
        played.stream = played.session().open_run(request_id(), by, &record.task, bundle, wishes).unwrap();
        for step in &record.steps {
            if matches!(step, Step::Crash) {
                // What is under way is lost with its driver.
                played.open();
                continue;
            }
            played.drive();
            if played.has_refused() {
                return played;
            }
            played.take(&exhibit.name, step);
        }
        played.drive();
        played
    }

    /// Opens the project anew, with nobody else in it.
    fn open(&mut self) {
        self.session = None;
        let beside = |name: &str| self.folder.path().join(name);
        let environment = Environment {
            home: None,
            search_path: std::env::var_os("PATH").unwrap(),
            state_folder: beside("state"),
            config_folder: beside("config"),
            data_folder: beside("data"),
            settings: BTreeMap::new(),
            toolchain: Vec::new(),
            caches: Vec::new(),
            descends: None,
        };
        let provider = Arc::new(Scripted::new(Script::parse(&self.script).unwrap()));
        self.session = Some(Session::open(&environment, &beside("notes"), provider, Guard::None).unwrap());
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a session is open")
    }

    /// Drives until the run waits for a person or has ended.
    fn drive(&mut self) {
        let stream = self.stream;
        self.session().drive(|engine| engine.run(stream).is_none_or(|run| run.state.is_parked())).unwrap();
    }

    fn take(&mut self, exhibit: &str, step: &Step) {
        let (by, ask) = match step {
            Step::Crash => return,
            Step::Answer { by, answer, .. } => {
                let stream = self.stream;
                let gate = self.session().engine().run(stream).and_then(|run| run.state.gate.clone());
                let gate = gate.unwrap_or_else(|| panic!("{exhibit}: no gate waits for {answer} by {by}"));
                let answer = Answer::of(answer).unwrap();
                let artifact = Some(gate.artifact);
                (by, Ask::Answer { gate: gate.sequence, answer, note: None, artifact, signed: None })
            }
            Step::Risk { by, category, reason } => {
                let raised = self.envelopes().into_iter().rev().find_map(|event| match event.body {
                    Event::FindingRaised(found) if found.category == *category => Some(event.sequence),
                    _ => None,
                });
                (by, Ask::AcceptRisk { finding: raised.unwrap(), reason: reason.clone() })
            }
            Step::Recover { by, choice } => {
                (by, Ask::Recover { choice: Recovery::of(choice).unwrap(), spawns: Vec::new() })
            }
            Step::Cancel { by } => (by, Ask::Cancel { reason: None }),
        };
        let mut actor = person(by);
        if let (Actor::Person { descends, .. }, Step::Answer { descends: Some(spawn), .. }) = (&mut actor, step) {
            *descends = Some(*spawn);
        }
        let request = Request { stream: self.stream, id: request_id(), actor, ask };
        self.session().request(request).unwrap();
    }

    fn has_refused(&self) -> bool {
        self.envelopes().iter().any(|event| matches!(event.body, Event::Refused(_)))
    }

    /// Whether the run has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.envelopes().iter().any(|event| matches!(event.body, Event::RunClosed(_)))
    }

    /// Whether the run waits for a person.
    pub(crate) fn waits(&self) -> bool {
        let engine = self.session.as_ref().expect("a session is open").engine();
        engine.run(self.stream).is_some_and(|run| run.state.gate.is_some())
    }

    /// Returns the run's events as they are on record.
    pub(crate) fn events(&self) -> Vec<Recorded> {
        let store = self.session.as_ref().expect("a session is open").engine().store();
        store.read(self.stream, 0, usize::MAX).unwrap().into_iter().map(|stored| stored.event).collect()
    }

    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        self.events().iter().map(|event| Envelope::decode(&event.bytes).unwrap()).collect()
    }

    /// Returns the run as a trace.
    pub(crate) fn exported(&self) -> Vec<u8> {
        let store = self.session.as_ref().expect("a session is open").engine().store().as_ref();
        let mut bytes = Vec::new();
        trace::write(&StoredRun::new(store, self.stream), origin(store).unwrap(), false, &mut bytes).unwrap();
        bytes
    }
}

fn person(name: &str) -> Actor {
    Actor::Person { id: name.to_string(), assurance: Assurance::Asserted, descends: None }
}

/// Copies what is below a folder, where there is one.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).into_iter().flatten().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Makes a repository of a folder, with one commit that is the same each time.
fn commit(project: &Path) {
    for words in [&["init", "-q", "-b", "main"][..], &["add", "--all"], &["commit", "-q", "-m", "Notes"]] {
        let mut git = Command::new("git");
        git.args(words).current_dir(project).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        git.env("HOME", project).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "u").env(format!("GIT_{who}_EMAIL"), "u@x");
            git.env(format!("GIT_{who}_DATE"), "2026-11-01T00:00:00Z");
        }
        assert!(git.status().unwrap().success(), "git {words:?}");
    }
}
