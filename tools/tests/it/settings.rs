//! Each way by which a repository's settings start a program: the user's own git starts it, Loom's calls do not.
//!
//! What only a transport or a question for a password would reach is in `tools/src/git.rs`, beside the switches.

use crate::rig::{Rig, SEARCH_PATH, commit, snapshot, write};
use loom_tools::Workspace;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The content of a file that is the canary too, but reads nothing: at the end of a pipe both would wait.
const DEAF: &str = "{deaf}";
/// `core.fsmonitor`, for the files that configuration can be in.
const FSMONITOR: &str = "[core]\n\tfsmonitor = {program}\n";

/// One setting, and the call that shows that it starts the canary.
struct Setting {
    name: &'static str,
    /// `.gitattributes`, committed.
    attributes: &'static str,
    /// What stands in `.git/config`; `{program}` is the canary, `{folder}` the folder that holds the project.
    config: &'static str,
    /// Other files, from the folder that holds the project.
    files: &'static [(&'static str, &'static str)],
    /// What the user calls.
    wakes: &'static [&'static str],
}

const SETTINGS: &[Setting] = &[
    Setting { name: "file system monitor", attributes: "", config: FSMONITOR, files: &[], wakes: &["status"] },
    Setting {
        name: "hook",
        attributes: "",
        config: "",
        files: &[("project/.git/hooks/reference-transaction", DEAF)],
        wakes: &["update-ref", "refs/heads/new", "HEAD"],
    },
    Setting {
        name: "folder of hooks",
        attributes: "",
        config: "[core]\n\thooksPath = {folder}/hooks\n",
        files: &[("hooks/reference-transaction", DEAF)],
        wakes: &["update-ref", "refs/heads/new", "HEAD"],
    },
    Setting {
        name: "clean filter",
        attributes: "* filter=evil\n",
        config: "[filter \"evil\"]\n\tclean = {program}\n",
        files: &[],
        wakes: &["add", "README.md"],
    },
    Setting {
        name: "smudge filter",
        attributes: "* filter=evil\n",
        config: "[filter \"evil\"]\n\tsmudge = {program}\n",
        files: &[],
        wakes: &["checkout", "--", "README.md"],
    },
    Setting {
        name: "filter process",
        attributes: "* filter=evil\n",
        config: "[filter \"evil\"]\n\tprocess = {program}\n",
        files: &[],
        wakes: &["add", "README.md"],
    },
    Setting {
        name: "attributes of the clone",
        attributes: "",
        config: "[filter \"evil\"]\n\tclean = {program}\n",
        files: &[("project/.git/info/attributes", "* filter=evil\n")],
        wakes: &["add", "README.md"],
    },
    Setting {
        name: "file of attributes",
        attributes: "",
        config: "[core]\n\tattributesFile = {folder}/attributes\n[filter \"evil\"]\n\tclean = {program}\n",
        files: &[("attributes", "* filter=evil\n")],
        wakes: &["add", "README.md"],
    },
    Setting {
        name: "external diff",
        attributes: "",
        config: "[diff]\n\texternal = {program}\n",
        files: &[],
        wakes: &["diff"],
    },
    Setting {
        name: "diff command",
        attributes: "* diff=evil\n",
        config: "[diff \"evil\"]\n\tcommand = {program}\n",
        files: &[],
        wakes: &["diff"],
    },
    Setting {
        name: "text conversion",
        attributes: "* diff=evil\n",
        config: "[diff \"evil\"]\n\ttextconv = {program}\n",
        files: &[],
        wakes: &["diff"],
    },
    Setting {
        name: "merge driver",
        attributes: "* merge=evil\n",
        config: "[merge \"evil\"]\n\tdriver = {program}\n",
        files: &[],
        wakes: &["merge-tree", "--write-tree", "main", "side"],
    },
    Setting {
        name: "editor",
        attributes: "",
        config: "[core]\n\teditor = {program}\n",
        files: &[],
        wakes: &["commit", "--allow-empty"],
    },
    Setting {
        name: "signature",
        attributes: "",
        config: "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = {program}\n",
        files: &[],
        wakes: &["commit", "--allow-empty", "-m", "signed"],
    },
    Setting {
        name: "included file",
        attributes: "",
        config: "[include]\n\tpath = {folder}/included\n",
        files: &[("included", FSMONITOR)],
        wakes: &["status"],
    },
    Setting {
        name: "file included on a condition",
        attributes: "",
        config: "[includeIf \"gitdir:**\"]\n\tpath = {folder}/included\n",
        files: &[("included", FSMONITOR)],
        wakes: &["status"],
    },
    Setting {
        name: "configuration of the work tree",
        attributes: "",
        config: "[extensions]\n\tworktreeConfig = true\n",
        files: &[("project/.git/config.worktree", FSMONITOR)],
        wakes: &["status"],
    },
    Setting {
        name: "the user's own configuration",
        attributes: "",
        config: "",
        files: &[("home/.gitconfig", FSMONITOR)],
        wakes: &["status"],
    },
    Setting {
        name: "submodule's URL",
        attributes: "",
        config: "[submodule \"module\"]\n\tactive = true\n\turl = ext::{folder}/deaf\n",
        files: &[
            ("deaf", DEAF),
            ("project/.gitmodules", "[submodule \"module\"]\n\tpath = module\n\turl = ext::{folder}/deaf\n"),
            ("home/.gitconfig", "[protocol \"ext\"]\n\tallow = always\n"),
        ],
        wakes: &["submodule", "update", "module"],
    },
    Setting {
        name: "objects that another promised",
        attributes: "",
        config: "[protocol \"ext\"]\n\tallow = always\n[remote \"evil\"]\n\turl = ext::{folder}/deaf\n\tpromisor = true\n",
        files: &[("deaf", DEAF)],
        wakes: &["cat-file", "-e", "1234567890123456789012345678901234567890"],
    },
];

/// Calls git as the user does, whatever comes of it.
fn user(rig: &Rig, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(rig.root())
        .env_clear()
        .envs([("PATH", SEARCH_PATH), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0")])
        .envs([("GIT_AUTHOR_NAME", "u"), ("GIT_AUTHOR_EMAIL", "u@x")])
        .envs([("GIT_COMMITTER_NAME", "u"), ("GIT_COMMITTER_EMAIL", "u@x")])
        .env("HOME", rig.path("home"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A repository with two branches, a submodule, a change that is not committed, and the setting.
fn repository(setting: &Setting) -> (Rig, PathBuf) {
    let rig = Rig::new();
    if !setting.attributes.is_empty() {
        rig.write(".gitattributes", setting.attributes);
        rig.commit();
    }
    rig.user(&["checkout", "-q", "-b", "side"]);
    rig.write("README.md", "read this\n");
    rig.commit();
    rig.user(&["checkout", "-q", "main"]);
    rig.write("README.md", "read that\n");
    rig.commit();
    let head = rig.user(&["rev-parse", "HEAD"]);
    rig.user(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},module")]);
    rig.user(&["commit", "-q", "-m", "module"]);
    let (canary, trace) = rig.canary();
    let filled = |text: &str| {
        let folder = rig.folder.path().to_str().unwrap();
        text.replace("{program}", canary.to_str().unwrap()).replace("{folder}", folder)
    };
    for (path, content) in setting.files {
        let path = rig.path(path);
        if *content == DEAF {
            write(&path, fs::read_to_string(&canary).unwrap().replace("\ncat\n", "\n"));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        } else {
            write(&path, filled(content));
        }
    }
    let known = fs::read_to_string(rig.root().join(".git/config")).unwrap();
    rig.write(".git/config", format!("{known}{}", filled(setting.config)));
    rig.write("README.md", "changed\n");
    (rig, trace)
}

/// Does everything that Loom does with a repository.
fn work(rig: &Rig) {
    let (project, workspace) = rig.workspace();
    project.uncommitted().unwrap();
    project.submodules().unwrap();
    project.branch("side").unwrap();
    write(&workspace.work().join("README.md"), "by an agent\n");
    let tree = snapshot(&workspace).tree;
    workspace.diff_text(workspace.base_tree(), tree, 10_000).unwrap();
    drop(workspace);
    let workspace = Workspace::open(&project, &rig.path("run")).unwrap();
    workspace.reset_to(workspace.base_tree()).unwrap();
    workspace.reset_to(tree).unwrap();
    workspace.publish(&project, commit(&workspace, tree), "loom/x").unwrap();
    workspace.remove().unwrap();
}

#[test]
fn what_a_setting_starts_for_its_user_is_not_started_by_loom() {
    needs!("git", "sh");
    let mut started = Vec::new();
    for setting in SETTINGS {
        let (rig, trace) = repository(setting);
        let told = user(&rig, setting.wakes);
        assert!(trace.exists(), "{}: git {:?} does not wake the canary: {told}", setting.name, setting.wakes);
        fs::remove_file(&trace).unwrap();

        work(&rig);
        if let Ok(sung) = fs::read_to_string(&trace) {
            started.push(format!("{}: {sung}", setting.name));
        }
    }
    assert!(started.is_empty(), "{}", started.join("\n"));
}
