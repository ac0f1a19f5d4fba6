//! Programs in fences: what they may do still works, and what holds is reported.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use loom_tools::{
    Bounds, CancelToken, Command, Exit, Fence, Fencing, Guard, Mode, Status, WORDS, choose, minimal_environment, run,
};

use crate::rig::SEARCH_PATH;

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

/// Makes a folder of programs with nothing in it but what the trial runs.
fn bare(folder: &Path) -> std::path::PathBuf {
    let place = folder.join("bare");
    if !place.exists() {
        fs::create_dir(&place).unwrap();
        std::os::unix::fs::symlink("/usr/bin/true", place.join("true")).unwrap();
    }
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
