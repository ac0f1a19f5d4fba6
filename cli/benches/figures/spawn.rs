//! What Loom adds to a spawn of the real command `claude`: the same scripted turns, by hand in a plain clone and as a run.
//!
//! By hand is the time of the command alone, without that of the clone. As a run it is from starting `loom run` until the
//! spawn's outcome is on record: opening the store, the workspace, the fence, the command, the tree of what it changed.

use crate::process::{git, median};
use loom_endpoint::{Endpoint, Reply, Script};
use serde_json::{Value, json};
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const KEY: &str = "sk-scripted-figures";
const TASK: &str = "Write the file new.txt.";
/// No checks: nothing but the spawn is to be measured.
const CHECKS: &str =
    "[checks]\nlint = \"not-applicable\"\ntest = \"not-applicable\"\ntype-check = \"not-applicable\"\n";

/// Median times of a spawn, in milliseconds. The command's own time swings by more than what Loom adds, and slowly: so each
/// run is compared with the one by hand just before it, and the median is taken of the differences.
pub(crate) struct Spawn {
    pub(crate) by_hand_ms: f64,
    pub(crate) run_ms: f64,
    pub(crate) added_ms: Quartiles,
    /// Of what was added, from the spawn's request on record to its outcome on record: without the start and the workspace.
    pub(crate) recorded_ms: Quartiles,
}

/// The quarter, half and three quarters of so many figures.
pub(crate) struct Quartiles(pub(crate) [f64; 3]);

impl Quartiles {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Quartiles([1, 2, 3].map(|quarter| figures[figures.len() * quarter / 4]))
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[1]
    }
}

impl Display for Quartiles {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [quarter, half, three] = self.0;
        write!(f, "{half:.0} ms (half of them {quarter:.0} to {three:.0})")
    }
}

/// Measures so many spawns of both kinds in turn, in a repository of so many files; none where a program is missing.
pub(crate) fn spawn(folder: &Path, loom: &Path, files: usize, times: usize) -> Option<Spawn> {
    Command::new("claude").arg("--version").output().ok()?;
    let script = Script::new()
        .then(Reply::call("Read", json!({"file_path": "file-0.txt"})))
        .then(Reply::call("Bash", json!({"command": "echo new > new.txt", "description": "write"})))
        .then(Reply::text("{\"summary\": \"done\"}"));
    let endpoint = Endpoint::start(KEY, script).expect("a port").unwatched();
    let project = folder.join("project");
    fill(&project, files);
    let config = folder.join("config/loom");
    fs::create_dir_all(&config).expect("a folder");
    let settings = format!(
        "[providers.main]\nkind = \"claude\"\nbase_url = \"{}\"\ncredential = \"env:SCRIPTED_KEY\"\nmodels = {{ balanced = \
         \"claude-sonnet-4-5\" }}\n\n[run]\nproviders = [\"main\"]\n",
        endpoint.url()
    );
    fs::write(config.join("config.toml"), settings).expect("settings");
    let (mut by_hand, mut runs, mut added, mut recorded) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // The first of each warms up.
    for time in 0..=times {
        let hand = by_hand_ms(folder, &project, &endpoint, time);
        let (run, between) = run_ms(folder, loom);
        if time > 0 {
            by_hand.push(hand);
            runs.push(run);
            added.push(run - hand);
            recorded.push(between - hand);
        }
    }
    assert_eq!(endpoint.refused(), Vec::<String>::new());
    assert_eq!(endpoint.messages(), 2 * 3 * (times + 1), "the same turns");
    let (added_ms, recorded_ms) = (Quartiles::of(added), Quartiles::of(recorded));
    Some(Spawn { by_hand_ms: median(by_hand), run_ms: median(runs), added_ms, recorded_ms })
}

// Clones stay until the end: a file made on ext4 just after thousands were removed takes a multiple of its time.

/// Makes a repository of small files, a hundred in a folder.
pub(crate) fn fill(project: &Path, files: usize) {
    fs::create_dir_all(project).expect("a folder");
    fs::write(project.join("loom.toml"), CHECKS).expect("a file");
    for number in 0..files {
        let folder = project.join(if number < 100 { ".".into() } else { format!("folder-{}", number / 100) });
        fs::create_dir_all(&folder).expect("a folder");
        let text = format!("file {number}\n").repeat(40);
        fs::write(folder.join(format!("file-{number}.txt")), text).expect("a file");
    }
    for words in [&["init", "--quiet", "-b", "main"][..], &["add", "--all"], &["commit", "--quiet", "-m", "Files"]] {
        git(project, words);
    }
}

fn by_hand_ms(folder: &Path, project: &Path, endpoint: &Endpoint, time: usize) -> f64 {
    let (clone, home) = (folder.join(format!("clone-{time}")), folder.join(format!("home-{time}")));
    fs::create_dir_all(&home).expect("a folder");
    git(folder, &["clone", "--quiet", &project.display().to_string(), &clone.display().to_string()]);
    let task = folder.join("task.txt");
    fs::write(&task, TASK).expect("a file");
    let mut command = Command::new("claude");
    command
        .args(["--print", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"])
        .args(["--allowed-tools", "Bash"])
        .current_dir(&clone)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("ANTHROPIC_BASE_URL", endpoint.url())
        .env("ANTHROPIC_API_KEY", KEY)
        .env("ANTHROPIC_MODEL", "claude-sonnet-4-5")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        .stdin(File::open(&task).expect("the task"));
    let began = Instant::now();
    let done = command.output().expect("claude starts");
    let took = began.elapsed().as_secs_f64() * 1e3;
    assert!(done.status.success() && clone.join("new.txt").exists(), "{}", String::from_utf8_lossy(&done.stdout));
    took
}

/// Returns the time of a run until its spawn's outcome is on record, and the part of it from the spawn's request on.
fn run_ms(folder: &Path, loom: &Path) -> (f64, f64) {
    let command = |words: &[&str]| {
        let mut command = Command::new(loom);
        command.args(words).current_dir(folder.join("project")).env_clear();
        for (variable, name) in [("HOME", "user"), ("XDG_CONFIG_HOME", "config"), ("LOOM_STATE_DIR", "state")] {
            command.env(variable, folder.join(name));
        }
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("SCRIPTED_KEY", KEY).stdin(Stdio::null());
        command
    };
    let began = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1e3;
    let run = ["run", TASK, "--complexity", "trivial", "--policy", "review-final", "--no-input"];
    let done = command(&run).output().expect("loom starts");
    assert_eq!(done.status.code(), Some(3), "it waits at its gate: {}", String::from_utf8_lossy(&done.stderr));
    let last = |kind: &str| -> Value {
        let log = command(&["log", "--jsonl", "--kind", kind]).output().expect("loom starts");
        let text = String::from_utf8_lossy(&log.stdout).into_owned();
        serde_json::from_str(text.lines().last().expect("an event")).expect("JSON")
    };
    let stamp = |event: &Value| event["stamp"]["ms"].as_u64().expect("a stamp") as f64;
    let (requested, finished) = (last("spawn.requested"), last("spawn.finished"));
    assert_eq!(finished["body"]["outcome"], "ok", "{finished}");
    (stamp(&finished) - began, stamp(&finished) - stamp(&requested))
}
