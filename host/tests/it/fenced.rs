//! Whole runs in each fence: checks and a real agent's program work in them, reach nothing outside, and what held is on
//! record.

use crate::agent::{KEY, go_on};
use crate::project::{Going, Project, SEARCH_PATH, WORKS, by_person, code, guard, person, scripted};
use loom_core::commit::Blob;
use loom_core::kind::{CheckFinished, Event};
use loom_core::word::CheckOutcome;
use loom_endpoint::{Endpoint, Reply, Script};
use loom_host::HostError;
use loom_host::bounds::Leave;
use loom_host::caches::Cache;
use loom_host::session::{Keepers, Session, request_id};
use loom_tools::{Error, Guard, Mode};
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Returns a search path by which each fence is the one that is chosen: all of this machine's programs, and all but the
/// helper.
fn search_paths(project: &Project) -> [(&'static str, OsString); 2] {
    let bare = project.beside("programs");
    fs::create_dir(&bare).unwrap();
    for entry in fs::read_dir("/usr/bin").unwrap().flatten().filter(|entry| entry.file_name() != "bwrap") {
        std::os::unix::fs::symlink(entry.path(), bare.join(entry.file_name())).unwrap();
    }
    let own = std::env::var_os("PATH").unwrap_or_else(|| SEARCH_PATH.into());
    let others = std::env::split_paths(&own).filter(|folder| !folder.join("bwrap").exists());
    let without = std::env::join_paths([bare].into_iter().chain(others)).unwrap();
    [("bubblewrap", own), ("landlock", without)]
}

fn keepers(guard: Guard) -> Keepers {
    Keepers { guard, fence: Mode::Required, leave: Leave::default() }
}

fn checks(going: &Going) -> Vec<CheckFinished> {
    let check = |event: loom_core::event::Envelope| match event.body {
        Event::CheckFinished(finished) => Some(finished),
        _ => None,
    };
    going.events().into_iter().filter_map(check).collect()
}

/// What a hostile script does, and where it would show.
fn hostile(project: &Project) -> (String, [PathBuf; 3]) {
    let traces = [project.root().join("escaped"), project.beside("escaped"), project.beside("state/escaped")];
    let [first, second, third] = traces.each_ref().map(|path| path.display().to_string());
    let root = project.root().display();
    let script = format!(
        "echo out > '{first}'; echo out > '{second}'; echo out > '{third}'\n\
         cat '{root}/notes.txt' '{root}/.git/config' '{root}/.loom/'* && exit 9\n"
    );
    (script, traces)
}

#[test]
fn a_check_works_in_each_fence_and_reaches_nothing_outside() {
    needs!("git", "sh", "grep", "true");
    let Some(guard) = guard() else { return };
    for fence in ["bubblewrap", "landlock"] {
        let project = Project::new();
        let (script, traces) = hostile(&project);
        // The user's cache of packages can be read, and is as it was.
        let cache = tempfile::tempdir().unwrap();
        fs::write(cache.path().join("package"), "cached\n").unwrap();
        let cached = "grep cached \"$GRADLE_RO_DEP_CACHE/package\" && ! echo > \"$GRADLE_RO_DEP_CACHE/package\"";
        // Cargo's folder is the run's own: what the user has is there to be read, what is added lies beside it.
        let cargo = tempfile::tempdir().unwrap();
        for (name, text) in
            [("registry/cache/host/one.crate", "one\n"), ("credentials.toml", "secret\n"), ("config.toml", "# c\n")]
        {
            fs::create_dir_all(cargo.path().join(name).parent().unwrap()).unwrap();
            fs::write(cargo.path().join(name), text).unwrap();
        }
        let users = cargo.path().join("registry/cache/host");
        let fetched = format!(
            "grep one \"$CARGO_HOME/registry/cache/host/one.crate\" && grep c \"$CARGO_HOME/config.toml\" && \
             ! cat \"$CARGO_HOME/credentials.toml\" && ! cat '{0}/credentials.toml' && \
             echo two > \"$CARGO_HOME/registry/cache/host/two.crate\" && ! echo > '{1}/two.crate' && \
             ! echo > \"$CARGO_HOME/registry/cache/host/one.crate\"",
            cargo.path().display(),
            users.display()
        );
        let words = format!(
            "{script}grep more notes.txt && git log --oneline -n 1 && echo kept > kept && {cached} && {fetched}\n"
        );
        project.write("check.sh", words);
        project.commit();
        let search_path = search_paths(&project).into_iter().find(|(name, _)| *name == fence).unwrap().1;
        let mut environment = project.environment();
        environment.search_path = search_path;
        environment.caches = vec![Cache {
            folder: cache.path().to_path_buf(),
            variable: "GRADLE_RO_DEP_CACHE",
            value: cache.path().into(),
        }];
        environment.toolchain = vec![("CARGO_HOME".into(), cargo.path().into())];
        let provider = Arc::new(scripted(WORKS));
        let mut session = match Session::open(&environment, project.root(), provider, keepers(guard.clone())) {
            Ok(session) if session.fence().fence.name() == fence => session,
            Ok(session) => {
                crate::missing::skip(fence, session.fence().why.as_deref().unwrap_or("nothing is said"));
                continue;
            }
            Err(error) => {
                crate::missing::skip(fence, &error.to_string());
                continue;
            }
        };
        let stream = session.open_run(request_id(), person(), "Write a note", code(), by_person("trivial")).unwrap();
        let mut going = Going { session, stream };
        going.drive();
        let check = checks(&going).remove(0);
        let said = going.session.engine().store().blob(&check.output.unwrap()).unwrap();
        let said = String::from_utf8_lossy(said.as_deref().and_then(Blob::content).unwrap_or_default()).into_owned();
        assert_eq!(check.outcome, CheckOutcome::Pass, "{fence}: {said}");
        assert_eq!(check.fence.as_deref(), Some(fence));
        for word in ["write", "read", "network", "signals", "privileges", "syscalls", "memory", "file-size"] {
            assert!(check.enforced.iter().any(|found| found == word), "{word} in {:?}", check.enforced);
        }
        for trace in traces {
            assert!(!trace.exists(), "{} was written in {fence}", trace.display());
        }
        let names: Vec<_> = fs::read_dir(users).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["one.crate"], "the user's cache is as it was");
    }
}

#[test]
fn a_run_without_a_fence_has_that_on_record() {
    needs!("git", "sh");
    let Some(guard) = guard() else { return };
    let project = Project::new();
    let off = Keepers { guard, fence: Mode::Off, leave: Leave::default() };
    let mut session = project.session_with(Arc::new(scripted(WORKS)), off).unwrap();
    let stream = session.open_run(request_id(), person(), "Write a note", code(), by_person("trivial")).unwrap();
    let mut going = Going { session, stream };
    going.drive();
    let check = checks(&going).remove(0);
    assert_eq!((check.fence.as_deref(), check.enforced.len()), (Some("none"), 0));
}

#[test]
fn the_network_is_had_by_those_whom_the_settings_name_and_by_nobody_else() {
    needs!("git", "sh", "true");
    let Some(guard) = guard() else { return };
    for named in ["implementer", "test"] {
        let project = Project::new();
        let works = format!("{WORKS}run = [\"true\"]\n");
        let leave = Leave { network_for: vec![named.to_string()], ..Leave::default() };
        let keepers = Keepers { leave, ..keepers(guard.clone()) };
        let mut session = match project.session_with(Arc::new(scripted(&works)), keepers) {
            Ok(session) => session,
            Err(error) => return crate::missing::skip("a fence", &error.to_string()),
        };
        let stream = session.open_run(request_id(), person(), "Write a note", code(), by_person("trivial")).unwrap();
        let mut going = Going { session, stream };
        going.drive();
        let (spawn, check) = (going.spawns().remove(0), checks(&going).remove(0));
        for (who, enforced) in [("implementer", spawn.enforced), (check.check.as_str(), check.enforced)] {
            assert!(enforced.iter().any(|word| word == "write"), "{who}: {enforced:?}");
            assert_eq!(enforced.iter().any(|word| word == "network"), who != named, "{who}: {enforced:?}");
        }
    }
}

#[test]
fn where_a_fence_is_required_and_none_works_nothing_is_done() {
    needs!("git", "sh");
    let project = Project::new();
    // Without a guard there is no stage.
    let opened = project.session_with(Arc::new(scripted(WORKS)), keepers(Guard::None));
    assert!(matches!(opened, Err(HostError::Tool(Error::FenceMissing { .. }))));
    assert!(!project.root().join(".loom").exists());
}

#[test]
fn a_real_agent_works_in_each_fence_and_asks_its_model_through_a_door() {
    needs!("claude", "git", "sh", "setsid", "true");
    let Some(guard) = guard() else { return };
    for fence in ["bubblewrap", "landlock"] {
        let project = Project::new();
        let (hostile, traces) = hostile(&project);
        let call = format!("{hostile}echo more >> notes.txt; git commit -qam more && git log --oneline | head -n 1");
        let script = Script::new()
            .then(Reply::call("Read", json!({"file_path": "notes.txt"})))
            .then(Reply::call("Bash", json!({"command": call, "description": "edit"})))
            .then(Reply::text("{\"summary\": \"done\"}"));
        let endpoint = Endpoint::start(KEY, script).unwrap();
        let search_path = search_paths(&project).into_iter().find(|(name, _)| *name == fence).unwrap().1;
        let going = go_on(&project, &endpoint, keepers(guard.clone()), &[], search_path);
        if going.session.fence().fence.name() != fence {
            crate::missing::skip(fence, going.session.fence().why.as_deref().unwrap_or("nothing is said"));
            continue;
        }
        assert_eq!(going.outcomes(), ["ok"], "{fence}: {:?}", going.spawns());
        assert_eq!(going.changes(), ["modified notes.txt"]);
        let spawn = going.spawns().remove(0);
        assert_eq!(spawn.fence.as_deref(), Some(fence));
        assert!(spawn.enforced.iter().any(|word| word == "network"), "{:?}", spawn.enforced);
        for trace in traces {
            assert!(!trace.exists(), "{} was written in {fence}", trace.display());
        }
    }
}
