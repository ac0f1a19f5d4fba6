//! The escape suite: what a hostile program tries from inside a fence, each really made, and the table of what stops it.
//!
//! Each attempt is this test's own executable, started again inside. What none stops must be seen to work without a fence,
//! or the row says nothing. The table stands in `specs/fences.golden.txt`; `LOOM_UPDATE=1` writes it anew.

mod attempts;
mod raw;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use loom_tools::{CancelToken, Command, Fence, Fencing, Guard, Open, Status, minimal_environment, run};

use crate::fence::{fences, stage};
use crate::rig::SEARCH_PATH;
use attempts::{ATTEMPTS, Attempt, Judge};
use world::World;

const GOT_OUT: &str = "attempt: it worked";
/// Stopped everywhere only where all processes can be counted together.
const NEED_GROUPS: &[&str] = &["fork bomb", "memory bombs"];
const KEPT_IN: &str = "attempt: it failed: ";

/// Not a test by itself: makes the attempt that it is told to.
#[test]
fn attempt() {
    let Ok(name) = std::env::var("ESCAPE_ATTEMPT") else { return };
    let attempt = ATTEMPTS.iter().find(|attempt| attempt.name == name).unwrap();
    match (attempt.go)() {
        Ok(()) => println!("{GOT_OUT}"),
        Err(error) => println!("{KEPT_IN}{error}"),
    }
    // What it started is left to whoever watches.
    std::process::exit(0);
}

/// Not a test by itself: takes its share of memory, says so, and holds it until its input ends.
#[test]
fn hold() {
    if std::env::var_os("ESCAPE_HOLD").is_none() {
        return;
    }
    attempts::memory_bomb().unwrap();
    use std::io::Write;
    std::io::stdout().write_all(b"!").unwrap();
    std::io::stdout().flush().unwrap();
    let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(0);
}

/// Makes an attempt; returns whether it got out, and what it said.
fn made(fence: &Arc<dyn Fence>, attempt: &Attempt) -> (bool, String) {
    let (got_out, said, _) = made_by(&stage(), fence, attempt);
    (got_out, said)
}

/// The same with another guard; returns what was enforced too.
fn made_by(guard: &Guard, fence: &Arc<dyn Fence>, attempt: &Attempt) -> (bool, String, Vec<String>) {
    let mut world = World::new();
    let mut environment = minimal_environment(SEARCH_PATH.as_ref(), &world.path("home"), &world.path("tmp"));
    environment.insert("ESCAPE_ATTEMPT".into(), attempt.name.into());
    environment.extend(world.variables().into_iter().map(|(name, value)| (name.into(), value.into())));
    let own = std::env::current_exe().unwrap();
    let argv = [own.as_os_str(), "escape::attempt".as_ref(), "--exact".as_ref(), "--nocapture".as_ref()];
    let mut command = Command::new(argv, &world.path("work"), environment);
    command.guard = guard.clone();
    command.timeout_ms = 60_000;
    let mut bounds = world.bounds();
    bounds.read.push(env!("CARGO_BIN_EXE_loom-guard").into());
    command.fence = Some(Fencing { fence: fence.clone(), bounds });
    let exit = run(&command, &CancelToken::new().unwrap()).unwrap();
    let said = String::from_utf8_lossy(&[exit.stdout.to_bytes(), exit.stderr.to_bytes()].concat()).into_owned();
    let is_told = said.contains(GOT_OUT) || said.contains(KEPT_IN);
    // A limit ends the program itself; so does whoever it killed.
    assert!(is_told || exit.status != Status::Exited(0), "{}: {said}", attempt.name);
    let got_out = match attempt.judge {
        Judge::Inside => said.contains(GOT_OUT),
        Judge::Outside => world.shows(attempt.name),
    };
    let said = format!("{}: {}", exit.status, said.lines().filter(|line| line.contains("attempt")).collect::<String>());
    (got_out, said, exit.fence.map(|fenced| fenced.enforced).unwrap_or_default())
}

/// Writes a guard that sees no control groups, as where none are mounted. Inside a fence it is our own binary.
fn without_groups(folder: &Path) -> Guard {
    let script = "#!/bin/sh\n[ \"$1\" = __guard ] || exec 'OURS' \"$@\"\nexec unshare --mount sh -c \
                  'mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$@\"' 'OURS' \"$@\"\n";
    let path = folder.join("guard");
    std::fs::write(&path, script.replace("OURS", env!("CARGO_BIN_EXE_loom-guard"))).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Guard::Path(path)
}

/// What `specs/fences.md` says of the administrator: the kernel does not count his processes, and limits memory of each.
#[test]
fn without_control_groups_the_administrator_has_no_limit_of_all_processes_together() {
    needs!("sh", "unshare", "mount", "sleep", "setsid");
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only the administrator can hide control groups (run as root)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let guard = without_groups(folder.path());
    for fence in fences() {
        for (name, gets_out) in [("fork bomb", true), ("memory bombs", true), ("memory bomb", false)] {
            let attempt = ATTEMPTS.iter().find(|attempt| attempt.name == name).unwrap();
            let (got_out, said, enforced) = made_by(&guard, &fence, attempt);
            assert_eq!(got_out, gets_out, "{name} in {}: {said}", fence.name());
            let holds = |word: &str| enforced.iter().any(|enforced| enforced == word);
            assert_eq!((holds("process-count"), holds("memory")), (false, true), "{enforced:?}");
        }
    }
}

/// Whether control groups can be made here. Only the administrator's processes are counted by nothing else.
fn has_groups(fence: &Arc<dyn Fence>) -> bool {
    let world = World::new();
    let environment = minimal_environment(SEARCH_PATH.as_ref(), &world.path("home"), &world.path("tmp"));
    let mut command = Command::new(["true"], &world.path("work"), environment);
    command.guard = stage();
    command.fence = Some(Fencing { fence: fence.clone(), bounds: world.bounds() });
    let fenced = run(&command, &CancelToken::new().unwrap()).unwrap().fence.unwrap();
    rustix::process::geteuid().is_root() && fenced.enforced.iter().any(|word| word == "process-count")
}

fn word(got_out: bool) -> &'static str {
    if got_out { "not stopped" } else { "stopped" }
}

#[test]
fn what_each_fence_stops_is_as_the_table_says() {
    needs!("sleep", "setsid", "unshare");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/fences.golden.txt");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let open: Arc<dyn Fence> = Arc::new(Open);
    let fences = fences();
    let is_whole = fences.len() == 2;
    let has_groups = fences.first().is_none_or(has_groups);
    let mut lines = vec![line(["attempt", "bubblewrap", "landlock", "none"])];
    for attempt in ATTEMPTS {
        let (got_out, bare) = made(&open, attempt);
        let mut cells = BTreeMap::from([("none", got_out)]);
        let mut said = format!("none {bare}");
        for fence in &fences {
            let (got_out, words) = made(fence, attempt);
            cells.insert(fence.name(), got_out);
            let _ = write!(said, "; {} {words}", fence.name());
        }
        let cell = |name: &str| cells.get(name).map_or("?", |&got_out| word(got_out));
        let found = line([attempt.says, cell("bubblewrap"), cell("landlock"), cell("none")]);
        let before = known.lines().find(|line| line.starts_with(&format!("{:<58}", attempt.says)));
        let before_bare =
            before.and_then(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).last());
        if !got_out && before_bare == Some("not stopped") {
            // The user, or the kernel, is another one than where the table was written.
            println!("skipped: {} does not work here without a fence either ({bare})", attempt.says);
            lines.extend(before.map(str::to_owned));
            continue;
        }
        if !has_groups && NEED_GROUPS.contains(&attempt.name) {
            println!("skipped: {}: no control group can be made here ({said})", attempt.says);
            lines.extend(before.map(str::to_owned));
            continue;
        }
        println!("{found}   ({said})");
        lines.push(found);
    }
    let found = lines.join("\n") + "\n";
    if std::env::var_os("LOOM_UPDATE").is_some() && is_whole {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    for (found, known) in found.lines().zip(known.lines()) {
        let same = found.split("  ").zip(known.split("  ")).all(|(found, known)| found == known || found.trim() == "?");
        assert!(same, "specs/fences.golden.txt says\n{known}\nand it is\n{found}\n(LOOM_UPDATE=1 writes it anew)");
    }
    assert_eq!(found.lines().count(), known.lines().count(), "specs/fences.golden.txt has other rows");
}

fn line(cells: [&str; 4]) -> String {
    let [attempt, bubblewrap, landlock, none] = cells;
    format!("{attempt:<58}  {bubblewrap:<12}  {landlock:<12}  {none}").trim_end().to_owned()
}
