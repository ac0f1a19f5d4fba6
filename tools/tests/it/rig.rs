//! A user's repository in a temporary folder, and what a careless or hostile owner does to it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use loom_tools::{By, Change, CommitId, CommitMeta, Git, How, Limits, Person, Project, Snapshot, TreeId, Workspace};

pub(crate) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) git: Git,
}

impl Rig {
    /// An empty repository with nothing committed.
    pub(crate) fn empty() -> Self {
        Self::with_format("sha1")
    }

    pub(crate) fn with_format(format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["scratch", "project", "home"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let git = Git::find(OsStr::new(SEARCH_PATH), &folder.path().join("scratch")).unwrap();
        let rig = Self { folder, git };
        rig.user(&["init", "-q", "-b", "main", "--object-format", format]);
        rig
    }

    /// A repository with one commit of some files.
    pub(crate) fn new() -> Self {
        let rig = Self::empty();
        rig.write("README.md", "read me\n");
        rig.write("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n");
        rig.write(".gitignore", "/target/\n*.log\n");
        rig.commit();
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("project")
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        write(&self.root().join(name), text);
    }

    pub(crate) fn commit(&self) {
        self.user(&["add", "-A", "-f"]);
        self.user(&["commit", "-q", "-m", "more"]);
    }

    /// Git as the user calls it in the project.
    pub(crate) fn user(&self, arguments: &[&str]) -> String {
        git(&self.root(), &self.path("home"), arguments)
    }

    /// Git as an agent calls it in its workspace.
    pub(crate) fn agent(&self, workspace: &Workspace, arguments: &[&str]) -> String {
        git(workspace.work(), &self.path("home"), arguments)
    }

    pub(crate) fn project(&self) -> Project {
        Project::open(&self.git, &self.root()).unwrap()
    }

    pub(crate) fn workspace(&self) -> (Project, Workspace) {
        let project = self.project();
        let workspace = Workspace::create(&self.path("run"), &project, project.head().commit).unwrap();
        (project, workspace)
    }

    /// Writes an executable that leaves a trace when it runs, and returns it with the trace's path.
    pub(crate) fn canary(&self) -> (PathBuf, PathBuf) {
        let trace = self.path("canary-has-sung");
        let program = self.path("canary");
        write(&program, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", trace.display()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (program, trace)
    }
}

pub(crate) fn git(folder: &Path, home: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "u"), ("GIT_AUTHOR_EMAIL", "u@x"), ("GIT_AUTHOR_DATE", "1700000000 +0000")])
        .envs([("GIT_COMMITTER_NAME", "u"), ("GIT_COMMITTER_EMAIL", "u@x"), ("GIT_COMMITTER_DATE", "1700000000 +0000")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn snapshot(workspace: &Workspace) -> Snapshot {
    workspace.snapshot(workspace.base_tree(), &Limits::default(), By::Content).unwrap()
}

/// What the work folder differs in from its base, one line a path, lossily; git says the same of the two trees.
pub(crate) fn changed(workspace: &Workspace) -> String {
    let taken = snapshot(workspace);
    let shown = show(&taken.changes);
    assert_eq!(differing(workspace, workspace.base_tree(), taken.tree), shown);
    shown
}

/// What git says two trees of a workspace differ in, as [`show`] shows it.
pub(crate) fn differing(workspace: &Workspace, from: TreeId, to: TreeId) -> String {
    let output = Command::new("git")
        .env("GIT_DIR", workspace.objects().parent().unwrap())
        .args(["diff-tree", "-r", "-z", "--no-renames", "--name-status", &from.to_string(), &to.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let words: Vec<&[u8]> = output.stdout.split(|&byte| byte == 0).collect();
    let line = |pair: &[&[u8]]| format!("{} {}", pair[0].escape_ascii(), pair[1].escape_ascii());
    words.chunks_exact(2).map(line).collect::<Vec<_>>().join(", ")
}

pub(crate) fn show(changes: &[Change]) -> String {
    let line = |change: &Change| {
        let letter = match change.how {
            How::Added => "A",
            How::Modified => "M",
            How::Deleted => "D",
            How::TypeChanged => "T",
        };
        format!("{letter} {}", change.path.escape_ascii())
    };
    changes.iter().map(line).collect::<Vec<_>>().join(", ")
}

pub(crate) fn meta(message: &str) -> CommitMeta {
    let person = Person { name: "Loom".into(), email: "loom@loom.invalid".into() };
    CommitMeta { author: person.clone(), committer: person, date_ms: 1_700_000_000_999, message: message.into() }
}

/// Commits the tree on top of the base.
pub(crate) fn commit(workspace: &Workspace, tree: TreeId) -> CommitId {
    workspace.commit(tree, &[workspace.base_commit()], &meta("work")).unwrap()
}

/// Every file, link and folder below a folder with its content.
pub(crate) fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let bytes = if kind.is_dir() {
                folders.push(path.clone());
                b"folder".to_vec()
            } else if kind.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            all.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
        }
    }
    all
}
