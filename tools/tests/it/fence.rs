//! Programs in fences: what they may do still works, and what holds is reported.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use loom_tools::{
    Bounds, CancelToken, Command, Door, Error, Exit, Fence, Fencing, Guard, Mode, Status, WORDS, Watch, choose,
    find_program, minimal_environment, run,
};

use crate::rig::{Rig, SEARCH_PATH};

pub(crate) fn stage() -> Guard {
    Guard::Path(env!("CARGO_BIN_EXE_loom-guard").into())
}

/// Returns both fences; one that does not work here is said and left out.
pub(crate) fn fences() -> Vec<Arc<dyn Fence>> {
    let folder = tempfile::tempdir().unwrap();
    let best = choose(Mode::Auto, &stage(), SEARCH_PATH.as_ref(), folder.path()).unwrap();
    // Where there is no helper on the search path, the other one is chosen.
    let bare = bare(folder.path());
    let other = choose(Mode::Auto, &stage(), bare.as_os_str(), folder.path()).unwrap();
    let mut found: Vec<Arc<dyn Fence>> = Vec::new();
    for (name, choice) in [("bubblewrap", best), ("landlock", other)] {
        if choice.fence.name() == name {
            found.push(choice.fence);
        } else {
            crate::missing::skip(name, choice.why.as_deref().unwrap_or("nothing is said"));
        }
    }
    found
}

/// Makes a folder of programs with nothing in it.
fn bare(folder: &Path) -> std::path::PathBuf {
    let place = folder.join("bare");
    fs::create_dir(&place).unwrap();
    place
}

/// A folder with a workspace, a home, a folder for temporary files, and a file outside.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["work", "home", "tmp", "outside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("outside/canary"), "canary\n").unwrap();
        Place { folder }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            write: ["work", "home", "tmp"].map(|name| self.path(name)).to_vec(),
            canary: self.path("outside/canary"),
            ..Bounds::default()
        }
    }

    pub(crate) fn command(&self, fence: &Arc<dyn Fence>, bounds: Bounds, argv: &[&str]) -> Command {
        let environment = minimal_environment(SEARCH_PATH.as_ref(), &self.path("home"), &self.path("tmp"));
        let mut command = Command::new(argv, &self.path("work"), environment);
        command.guard = stage();
        command.timeout_ms = 60_000;
        command.fence = Some(Fencing { fence: fence.clone(), bounds });
        command
    }
}

pub(crate) fn go(command: &Command) -> Exit {
    run(command, &CancelToken::new().unwrap()).unwrap()
}

fn said(exit: &Exit) -> String {
    let bytes = [exit.stdout.to_bytes(), exit.stderr.to_bytes()].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_program_works_in_its_workspace_and_its_fence_is_reported() {
    needs!("sh");
    for fence in fences() {
        let place = Place::new();
        let mut command = place.command(
            &fence,
            place.bounds(),
            &["sh", "-c", "cat > got; echo in $HOME > $HOME/x; echo $PWD; echo y > $TMPDIR/y; exit 7"],
        );
        command.stdin = vec![b'x'; 300_000];
        let exit = go(&command);
        assert_eq!(exit.status, Status::Exited(7), "{}", said(&exit));
        assert_eq!(fs::read(place.path("work/got")).unwrap(), command.stdin);
        assert!(place.path("home/x").exists() && place.path("tmp/y").exists());
        let fenced = exit.fence.unwrap();
        assert_eq!(fenced.name, fence.name());
        let mut wanted = vec!["write", "read", "network", "sockets", "signals", "privileges", "syscalls"];
        if fence.name() == "bubblewrap" {
            wanted.push("processes");
        }
        for word in wanted {
            assert!(fenced.enforced.iter().any(|found| found == word), "{word} in {fenced:?}");
        }
        assert!(fenced.enforced.iter().all(|word| WORDS.iter().any(|(known, _)| known == word)));
        let left: Vec<_> = fs::read_dir(place.path("outside")).unwrap().collect();
        assert_eq!(left.len(), 1, "the probe leaves nothing");
    }
}

#[test]
fn folders_that_are_named_twice_or_lie_in_each_other_are_shown_once() {
    needs!("sh");
    for fence in fences() {
        let place = Place::new();
        fs::create_dir_all(place.path("tools/bin")).unwrap();
        fs::write(place.path("tools/bin/tool"), "#!/bin/sh\necho tool\n").unwrap();
        let mut bounds = place.bounds();
        bounds.read = ["/bin", "/usr", "/usr/bin", "/usr/bin/env"].map(Into::into).to_vec();
        bounds.read.extend([place.path("tools/bin"), place.path("tools"), place.path("not there")]);
        let tool = place.path("tools/bin/tool");
        let exit = go(&place.command(&fence, bounds, &["sh", "-c", &format!("sh '{}'", tool.display())]));
        assert_eq!((exit.status, said(&exit).as_str()), (Status::Exited(0), "tool\n"));
    }
}

#[test]
fn a_search_path_with_nothing_but_the_helper_is_enough() {
    needs!("bwrap");
    let works = fences().iter().any(|fence| fence.name() == "bubblewrap");
    let folder = tempfile::tempdir().unwrap();
    let bare = bare(folder.path());
    let helper = find_program("bwrap".as_ref(), Some(SEARCH_PATH.as_ref()), folder.path()).unwrap();
    std::os::unix::fs::symlink(helper, bare.join("bwrap")).unwrap();
    let chosen = choose(Mode::Auto, &stage(), bare.as_os_str(), folder.path()).unwrap();
    assert!(!works || chosen.fence.name() == "bubblewrap", "{chosen:?}");
}

#[test]
fn what_is_asked_for_is_chosen_or_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let bare = bare(folder.path());
    let off = choose(Mode::Off, &stage(), bare.as_os_str(), folder.path()).unwrap();
    assert_eq!((off.fence.name(), off.why), ("none", None));
    // Without a stage nothing can be confined.
    let auto = choose(Mode::Auto, &Guard::None, bare.as_os_str(), folder.path()).unwrap();
    assert_eq!(auto.fence.name(), "none");
    assert!(auto.why.unwrap().contains("bubblewrap is not installed"));
    let required = choose(Mode::Required, &Guard::None, bare.as_os_str(), folder.path());
    assert!(matches!(required, Err(Error::FenceMissing { .. })), "{required:?}");
    // A helper that does not work is no helper.
    std::os::unix::fs::symlink("/usr/bin/false", bare.join("bwrap")).unwrap();
    let broken = choose(Mode::Auto, &stage(), bare.as_os_str(), folder.path()).unwrap();
    assert!(broken.fence.name() != "bubblewrap" && broken.why.unwrap().contains("bubblewrap does not work here"));
    let open = Arc::new(loom_tools::Open) as Arc<dyn Fence>;
    let place = Place::new();
    let exit = go(&place.command(&open, place.bounds(), &["true"]));
    assert_eq!(exit.fence.map(|fenced| (fenced.name, fenced.enforced)), Some(("none", Vec::new())));
}

#[test]
fn a_fence_that_does_not_hold_is_an_error_and_nothing_runs() {
    needs!("sh");
    for fence in fences() {
        let place = Place::new();
        let mut bounds = place.bounds();
        if fence.name() == "landlock" {
            // Nothing of it can fail here that would not fail for every program.
            continue;
        }
        bounds.doors = vec![Door { port: 9, socket: place.path("outside/no socket") }];
        let command = place.command(&fence, bounds, &["sh", "-c", "echo ran > ran"]);
        let refused = run(&command, &CancelToken::new().unwrap());
        assert!(matches!(&refused, Err(Error::Fence { name, .. }) if *name == fence.name()), "{refused:?}");
        assert!(!place.path("work/ran").exists());
    }
}

/// Asks what listens at the port in `$1` from a shell, where there is no other program that could.
const ASK: &str = r#"set -e; exec 3<>/dev/tcp/127.0.0.1/$1; echo hello >&3; read answer <&3; echo "$answer""#;

/// Answers one line.
fn serve<S>(from: &S)
where
    for<'a> &'a S: Read + Write,
{
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line).unwrap();
    let mut to = from;
    to.write_all(format!("outside got {line}").as_bytes()).unwrap();
}

#[test]
fn a_door_leads_to_its_socket_and_nowhere_else() {
    needs!("bash");
    for fence in fences() {
        let place = Place::new();
        let socket = place.path("outside/door.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let through = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = through.local_addr().unwrap().port();
        let is_namespace = fence.watch() == Watch::Namespace;
        let served = thread::spawn(move || {
            if is_namespace { serve(&listener.accept().unwrap().0) } else { serve(&through.accept().unwrap().0) }
        });
        let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let other = elsewhere.local_addr().unwrap().port();
        let mut bounds = place.bounds();
        bounds.doors = vec![Door { port, socket }];
        let exit = go(&place.command(&fence, bounds.clone(), &["bash", "-c", ASK, "bash", &port.to_string()]));
        assert_eq!((exit.status, said(&exit).as_str()), (Status::Exited(0), "outside got hello\n"));
        assert!(exit.fence.unwrap().enforced.iter().any(|word| word == "network"));
        served.join().unwrap();
        let exit = go(&place.command(&fence, bounds, &["bash", "-c", ASK, "bash", &other.to_string()]));
        assert_ne!(exit.status, Status::Exited(0), "{}", said(&exit));
    }
}

#[test]
fn with_a_network_it_is_not_said_that_there_is_none() {
    needs!("bash");
    for fence in fences() {
        let place = Place::new();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = thread::spawn(move || (&listener.accept().unwrap().0).write_all(b"answer\n").unwrap());
        let bounds = Bounds { network: true, ..place.bounds() };
        let exit = go(&place.command(&fence, bounds, &["bash", "-c", ASK, "bash", &port.to_string()]));
        assert_eq!((exit.status, said(&exit).as_str()), (Status::Exited(0), "answer\n"));
        served.join().unwrap();
        let enforced = exit.fence.unwrap().enforced;
        assert!(!enforced.iter().any(|word| word == "network"), "{enforced:?}");
        assert!(
            ["write", "read", "sockets"].iter().all(|word| enforced.iter().any(|found| found == word)),
            "{enforced:?}"
        );
    }
}

#[test]
fn who_is_asked_to_stop_inside_may_say_goodbye_and_nothing_is_left() {
    needs!("sh", "sleep", "setsid");
    for fence in fences() {
        let place = Place::new();
        let script = "setsid sleep 86399 & trap 'echo bye; exit 3' TERM; echo > ready; while :; do sleep 0.01; done";
        let mut command = place.command(&fence, place.bounds(), &["sh", "-c", script]);
        command.grace_ms = 30_000;
        let cancel = CancelToken::new().unwrap();
        let exit = thread::scope(|scope| {
            let running = scope.spawn(|| run(&command, &cancel).unwrap());
            let deadline = Instant::now() + Duration::from_secs(60);
            while !place.path("work/ready").exists() {
                assert!(Instant::now() < deadline, "it never began");
                thread::yield_now();
            }
            cancel.cancel();
            running.join().unwrap()
        });
        let last = String::from_utf8(exit.stdout.to_bytes()).unwrap();
        assert_eq!((exit.status, last.as_str()), (Status::Cancelled, "bye\n"));
        assert!(exit.fence.is_some_and(|fenced| !fenced.enforced.is_empty()), "it was measured before");
        let lines = fs::read_dir("/proc").unwrap().flatten();
        let left = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        assert_eq!(left.filter(|line| line == b"sleep\x0086399\0").count(), 0);
    }
}

#[test]
fn git_works_in_a_workspace_and_cannot_change_the_project() {
    needs!("git", "sh");
    for fence in fences() {
        let rig = Rig::new();
        let (project, workspace) = rig.workspace();
        let place = Place::new();
        let before = crate::rig::content(&rig.root());
        let mut bounds = place.bounds();
        bounds.write.push(workspace.work().to_path_buf());
        bounds.read.push(workspace.objects());
        bounds.read.extend(project.object_folders());
        let script = "echo more >> README.md && git status --short && git add -A && git commit -q -m more && \
                      git log --oneline | wc -l && git diff HEAD~1 --stat | tail -n 1";
        let mut command = place.command(&fence, bounds, &["sh", "-c", script]);
        command.cwd = workspace.work().to_path_buf();
        let exit = go(&command);
        assert_eq!(exit.status, Status::Exited(0), "{}", said(&exit));
        assert!(said(&exit).contains("1 insertion"), "{}", said(&exit));
        assert_eq!(crate::rig::changed(&workspace), "M README.md");
        assert_eq!(crate::rig::content(&rig.root()), before);
    }
}

#[test]
fn what_is_left_for_the_host_is_not_executed_and_a_hidden_edit_is_seen() {
    needs!("git", "sh", "touch", "chmod");
    let open = Arc::new(loom_tools::Open) as Arc<dyn Fence>;
    for fence in fences().into_iter().chain([open]) {
        let rig = Rig::new();
        let (project, workspace) = rig.workspace();
        let (canary, trace) = rig.canary();
        let place = Place::new();
        let mut bounds = place.bounds();
        bounds.write.push(workspace.work().to_path_buf());
        bounds.read.extend([workspace.objects()].into_iter().chain(project.object_folders()));
        let script = format!(
            "set -e; sing='{}'
             for key in core.fsmonitor core.editor core.pager diff.external filter.x.clean filter.x.smudge gpg.program
             do git config $key \"$sing\"; git config --global $key \"$sing\"; done
             git config core.hooksPath hooks; git config commit.gpgSign true
             mkdir -p hooks .git/hooks; echo '* filter=x diff=x merge=x' > .gitattributes
             for hook in pre-commit post-commit post-checkout reference-transaction update post-update
             do printf '#!/bin/sh\\n%s\\n' \"$sing\" | tee hooks/$hook > .git/hooks/$hook; done
             chmod +x hooks/* .git/hooks/*
             touch -r src/lib.rs before; printf 'pub fn one() -> u32 {{\\n    2\\n}}\\n' > src/lib.rs
             touch -r before src/lib.rs; rm before",
            canary.display()
        );
        let mut command = place.command(&fence, bounds, &["sh", "-c", &script]);
        command.cwd = workspace.work().to_path_buf();
        let exit = go(&command);
        assert_eq!(exit.status, Status::Exited(0), "{}", said(&exit));
        let tree = crate::rig::snapshot(&workspace).tree;
        let seen = crate::rig::changed(&workspace);
        assert!(seen.contains("M src/lib.rs"), "{seen}");
        let commit = crate::rig::commit(&workspace, tree);
        workspace.publish(&project, commit, "loom/left").unwrap();
        workspace.reset_to(workspace.base_tree()).unwrap();
        assert!(!trace.exists(), "{}", fs::read_to_string(&trace).unwrap());
    }
}

/// Prints what a fence adds to a program that does nothing; far below what anybody would notice.
#[test]
fn a_fence_costs_little() {
    needs!("true");
    let place = Place::new();
    let median = |fence: &Arc<dyn Fence>| {
        let command = place.command(fence, place.bounds(), &["true"]);
        let mut times: Vec<Duration> = (0..20)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(go(&command).status, Status::Exited(0));
                began.elapsed()
            })
            .collect();
        times.sort();
        times[times.len() / 2]
    };
    let open = Arc::new(loom_tools::Open) as Arc<dyn Fence>;
    let bare = median(&open);
    println!("none: {bare:?}");
    for fence in fences() {
        let fenced = median(&fence);
        println!("{}: {fenced:?}, {:?} more", fence.name(), fenced.saturating_sub(bare));
        assert!(fenced < Duration::from_secs(2), "{fenced:?}");
    }
}

/// Returns every folder of control groups that has one of these names.
fn groups(names: &[String]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if names.iter().any(|name| *name == entry.file_name().to_string_lossy()) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn a_control_group_is_gone_when_its_program_has_ended() {
    needs!("cat");
    for fence in fences().into_iter().filter(|fence| fence.name() == "landlock") {
        let place = Place::new();
        let limits =
            loom_tools::FenceLimits { memory_max_bytes: Some(1 << 30), processes_max: Some(64), ..Default::default() };
        let bounds = Bounds { limits, ..place.bounds() };
        let exit = go(&place.command(&fence, bounds, &["cat", "/proc/self/cgroup"]));
        let told = said(&exit);
        let names: Vec<String> =
            told.split(['/', '\n']).filter(|word| word.starts_with("loom-")).map(str::to_owned).collect();
        if names.is_empty() {
            println!("skipped: no control group can be made here (run as root)");
        }
        assert_eq!(groups(&names), Vec::<std::path::PathBuf>::new(), "{told}");
    }
}
