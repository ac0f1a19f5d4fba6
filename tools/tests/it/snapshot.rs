//! What an agent may do to its folder, and that the tree tells.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use loom_tools::{By, Error, Limits, Skipped, Why, Workspace};

use crate::rig::{Rig, changed, differing, show, snapshot, write};

fn check(work: impl FnOnce(&Rig, &Workspace), expected: &str) {
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    work(&rig, &workspace);
    assert_eq!(changed(&workspace), expected);
}

#[test]
fn untouched_folder_has_the_base_tree() {
    needs!("git");
    let rig = Rig::new();
    let (project, workspace) = rig.workspace();
    assert_eq!(snapshot(&workspace).tree, project.head().tree);
    assert_eq!(snapshot(&workspace).skipped, []);
}

#[test]
fn edits_are_told_by_kind() {
    needs!("git");
    check(
        |_, workspace| {
            let work = workspace.work();
            write(&work.join("README.md"), "other\n");
            write(&work.join("src/new.rs"), "");
            fs::remove_file(work.join("src/lib.rs")).unwrap();
            fs::remove_file(work.join(".gitignore")).unwrap();
            symlink("README.md", work.join(".gitignore")).unwrap();
        },
        "T .gitignore, M README.md, D src/lib.rs, A src/new.rs",
    );
}

#[test]
fn executable_bit_is_a_change() {
    needs!("git");
    check(
        |_, workspace| {
            fs::set_permissions(workspace.work().join("README.md"), fs::Permissions::from_mode(0o755)).unwrap();
        },
        "M README.md",
    );
}

#[test]
fn index_flags_hide_nothing() {
    needs!("git");
    check(
        |rig, workspace| {
            rig.agent(workspace, &["update-index", "--assume-unchanged", "README.md"]);
            rig.agent(workspace, &["update-index", "--skip-worktree", "src/lib.rs"]);
            write(&workspace.work().join("README.md"), "hidden\n");
            write(&workspace.work().join("src/lib.rs"), "hidden\n");
        },
        "M README.md, M src/lib.rs",
    );
}

#[test]
fn ignore_rules_of_the_agent_hide_nothing() {
    needs!("git");
    check(
        |rig, workspace| {
            let work = workspace.work();
            write(&work.join(".git/info/exclude"), "*\n");
            write(&work.join(".gitignore"), "*\n");
            write(&work.join("src/.gitignore"), "*\n");
            rig.agent(workspace, &["config", "core.excludesFile", "/dev/stdin"]);
            write(&work.join("src/new.rs"), "");
            write(&work.join("evil"), "");
        },
        "M .gitignore, A evil, A src/.gitignore, A src/new.rs",
    );
}

#[test]
fn ignore_rules_of_the_base_leave_build_output_out_even_when_the_agent_drops_them() {
    needs!("git");
    check(
        |_, workspace| {
            let work = workspace.work();
            fs::remove_file(work.join(".gitignore")).unwrap();
            write(&work.join("target/debug/big"), "");
            write(&work.join("src/trace.log"), "");
            write(&work.join("src/target/kept"), "");
        },
        "D .gitignore, A src/target/kept",
    );
}

#[test]
fn tracked_files_count_though_ignored() {
    needs!("git");
    let rig = Rig::empty();
    rig.write(".gitignore", "/build/\n*.log\n");
    rig.write("build/deep/tracked", "1\n");
    rig.write("kept.log", "1\n");
    rig.commit();
    let (_project, workspace) = rig.workspace();
    write(&workspace.work().join("build/deep/tracked"), "2\n");
    write(&workspace.work().join("build/deep/output"), "");
    write(&workspace.work().join("build/output"), "");
    fs::remove_file(workspace.work().join("kept.log")).unwrap();
    assert_eq!(changed(&workspace), "M build/deep/tracked, D kept.log");
}

#[test]
fn edit_with_same_size_and_old_time_stamp_shows() {
    needs!("git");
    check(
        |_, workspace| {
            let path = workspace.work().join("README.md");
            let before = fs::metadata(&path).unwrap().modified().unwrap();
            write(&path, "read ME\n");
            File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(before)).unwrap();
        },
        "M README.md",
    );
}

/// What may be done to a file that has been still for long, its size and the time of its content being as they were.
#[test]
fn times_that_nobody_can_set_show_what_became_of_files_that_were_still() {
    needs!("git");
    let rig = Rig::new();
    for name in ["edited", "replaced", "made-executable", "made-a-link", "removed", "moved-over", "kept"] {
        rig.write(name, format!("{name:-<20}"));
    }
    rig.commit();
    let (_project, workspace) = rig.workspace();
    let (base, work) = (workspace.base_tree(), workspace.work());
    let by = |by| workspace.snapshot(base, &Limits::default(), by).unwrap().tree;
    let kept = work.join("kept");
    let since = || fs::metadata(&kept).unwrap().modified().unwrap().elapsed().unwrap();
    while since() < Duration::from_millis(2_100) {
        thread::yield_now();
    }
    // Read when they had been still, they are known by their times.
    assert_eq!((by(By::Content), by(By::Times)), (base, base));
    let quietly = |name: &str, change: &dyn Fn(&Path)| {
        let path = work.join(name);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        change(&path);
        let times = FileTimes::new().set_modified(modified);
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
    };
    quietly("edited", &|path| fs::write(path, "x".repeat(20)).unwrap());
    quietly("replaced", &|path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "y".repeat(20)).unwrap();
    });
    quietly("made-executable", &|path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap());
    quietly("moved-over", &|path| {
        fs::write(work.join("other"), "z".repeat(20)).unwrap();
        fs::rename(work.join("other"), path).unwrap();
    });
    fs::remove_file(work.join("removed")).unwrap();
    fs::remove_file(work.join("made-a-link")).unwrap();
    symlink("kept", work.join("made-a-link")).unwrap();
    let tree = by(By::Times);
    assert_eq!(
        differing(&workspace, base, tree),
        "M edited, T made-a-link, M made-executable, M moved-over, D removed, M replaced"
    );
    assert_eq!(by(By::Content), tree);
    // Read again within the same moment: nothing is believed that could still change unseen.
    fs::write(&kept, "w".repeat(20)).unwrap();
    let first = by(By::Times);
    fs::write(&kept, "v".repeat(20)).unwrap();
    let second = by(By::Times);
    assert_ne!(first, second);
    assert_eq!(by(By::Content), second);
}

#[test]
fn nested_repository_is_counted_file_by_file() {
    needs!("git");
    check(
        |rig, workspace| {
            let nested = workspace.work().join("src/nested");
            fs::create_dir(&nested).unwrap();
            crate::rig::git(&nested, &rig.path("home"), &["init", "-q"]);
            write(&nested.join("inner"), "x");
            crate::rig::git(&nested, &rig.path("home"), &["add", "-A"]);
            crate::rig::git(&nested, &rig.path("home"), &["commit", "-q", "-m", "x"]);
            write(&nested.join("outer/.git"), "gitdir: /nowhere\n");
            write(&nested.join("outer/file"), "x");
        },
        "A src/nested/inner, A src/nested/outer/file",
    );
}

#[test]
fn agent_commits_and_configuration_change_nothing() {
    needs!("git");
    check(
        |rig, workspace| {
            let (canary, trace) = rig.canary();
            let canary = canary.to_str().unwrap();
            for name in ["core.fsmonitor", "filter.x.clean", "diff.external", "core.pager"] {
                rig.agent(workspace, &["config", name, canary]);
            }
            rig.agent(workspace, &["config", "core.worktree", "/"]);
            for hook in ["pre-commit", "post-index-change", "reference-transaction"] {
                let hook = workspace.work().join(".git/hooks").join(hook);
                write(&hook, "");
                fs::copy(canary, hook).unwrap();
            }
            write(&workspace.work().join(".gitattributes"), "* filter=x diff=x text eol=crlf ident\n");
            write(&workspace.work().join("README.md"), "$Id$\r\n");
            changed(workspace);
            workspace.diff_text(workspace.base_tree(), snapshot(workspace).tree, 1000).unwrap();
            assert!(!trace.exists());
        },
        "A .gitattributes, M README.md",
    );
}

#[test]
fn odd_names_are_kept_byte_for_byte() {
    needs!("git");
    let names: [&[u8]; 8] = [
        b"\xff\xfe.bin",
        b"a b",
        b"new\nline",
        b"tab\t\"q\"",
        "h\u{e4}\u{1f980}".as_bytes(),
        b"-rf",
        b":!x",
        b"back\\slash",
    ];
    let rig = Rig::empty();
    for name in names {
        write(&rig.root().join(OsStr::from_bytes(name)), "1");
    }
    rig.commit();
    let (project, workspace) = rig.workspace();
    assert_eq!(snapshot(&workspace).tree, project.head().tree);
    for name in names {
        write(&workspace.work().join(OsStr::from_bytes(name)), "2");
        write(&workspace.work().join("git~1").join(OsStr::from_bytes(name)), "3");
    }
    let changes = snapshot(&workspace).changes;
    for name in names {
        assert!(changes.iter().any(|change| change.path == name));
        assert!(changes.iter().any(|change| change.path == [b"git~1/", name].concat()));
    }
    assert_eq!(changes.len(), 2 * names.len());
}

#[test]
fn links_are_kept_as_links_and_never_followed() {
    needs!("git");
    check(
        |rig, workspace| {
            let work = workspace.work();
            write(&rig.path("outside/secret"), "secret");
            symlink(rig.path("outside"), work.join("folder")).unwrap();
            symlink("/no/such/thing", work.join("dangling")).unwrap();
            fs::remove_dir_all(work.join("src")).unwrap();
            symlink(rig.path("outside"), work.join("src")).unwrap();
        },
        "A dangling, A folder, A src, D src/lib.rs",
    );
}

#[test]
fn what_no_tree_can_hold_is_reported() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    let work = workspace.work();
    rustix::fs::mknodat(rustix::fs::CWD, work.join("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let _socket = UnixListener::bind(work.join("socket")).unwrap();
    write(&work.join("src/.GIT/evil"), "");
    symlink("x", work.join(".gitmodules")).unwrap();
    let taken = snapshot(&workspace);
    let skipped = |path: &str, why| Skipped { path: path.into(), why };
    assert_eq!(
        taken.skipped,
        [
            skipped(".gitmodules", Why::Name),
            skipped("fifo", Why::Special),
            skipped("socket", Why::Special),
            skipped("src/.GIT", Why::Name)
        ]
    );
    assert_eq!(taken.tree, workspace.base_tree());
}

#[test]
fn what_the_owner_may_not_read_is_read_all_the_same() {
    needs!("git");
    check(
        |_, workspace| {
            let work = workspace.work();
            write(&work.join("shut/file"), "x");
            write(&work.join("src/lib.rs"), "changed");
            for (path, mode) in [("shut/file", 0o000), ("shut", 0o000), ("src/lib.rs", 0o200)] {
                fs::set_permissions(work.join(path), fs::Permissions::from_mode(mode)).unwrap();
            }
        },
        "A shut/file, M src/lib.rs",
    );
}

#[test]
fn deleted_work_folder_is_a_typed_error_and_can_be_restored() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    fs::remove_dir_all(workspace.work()).unwrap();
    assert!(matches!(
        workspace.snapshot(workspace.base_tree(), &Limits::default(), By::Content),
        Err(Error::Deleted { .. })
    ));
    symlink("/etc", workspace.work()).unwrap();
    assert!(matches!(
        workspace.snapshot(workspace.base_tree(), &Limits::default(), By::Content),
        Err(Error::Deleted { .. })
    ));
    workspace.reset_to(workspace.base_tree()).unwrap();
    assert_eq!(snapshot(&workspace).tree, workspace.base_tree());
}

#[test]
fn emptied_folder_is_a_deletion_of_everything() {
    needs!("git");
    check(
        |_, workspace| {
            for entry in fs::read_dir(workspace.work()).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
            }
        },
        "D .gitignore, D README.md, D src/lib.rs",
    );
}

#[test]
fn limits_are_typed_errors() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    // A hole: it has a size and no blocks.
    File::create(workspace.work().join("huge")).unwrap().set_len(1 << 40).unwrap();
    let error = workspace.snapshot(workspace.base_tree(), &Limits::default(), By::Content).unwrap_err();
    assert!(
        matches!(&error, Error::FileTooLarge { path, bytes, .. } if path == "huge" && *bytes == 1 << 40),
        "{error}"
    );
    fs::remove_file(workspace.work().join("huge")).unwrap();
    let few = Limits { files_max: 2, ..Limits::default() };
    assert!(matches!(
        workspace.snapshot(workspace.base_tree(), &few, By::Content),
        Err(Error::TooManyFiles { files_max: 2 })
    ));
    let small = Limits { tree_bytes_max: 20, ..Limits::default() };
    assert!(matches!(
        workspace.snapshot(workspace.base_tree(), &small, By::Content),
        Err(Error::TreeTooLarge { bytes_max: 20 })
    ));
}

#[test]
fn submodules_stay_as_they_are_until_files_stand_in_their_place() {
    needs!("git");
    let rig = Rig::new();
    let head = rig.user(&["rev-parse", "HEAD"]);
    rig.user(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},vendor/sub")]);
    rig.user(&["commit", "-q", "-m", "submodule"]);
    let (project, workspace) = rig.workspace();
    assert!(workspace.work().join("vendor/sub").is_dir());
    assert_eq!(snapshot(&workspace).tree, project.head().tree);
    write(&workspace.work().join("vendor/sub/.git"), "gitdir: elsewhere\n");
    assert_eq!(snapshot(&workspace).tree, project.head().tree);
    write(&workspace.work().join("vendor/sub/code"), "x");
    assert_eq!(changed(&workspace), "D vendor/sub, A vendor/sub/code");
}

#[test]
fn ignore_rules_mean_what_git_means() {
    needs!("git");
    let rig = Rig::empty();
    let rules = "# comment\n\\#literal\n*.o\n!keep.o\n/root-only\nfolder-only/\na/**/z\n**/any\nmid/dle\n[ab].txt\n?.one\n\
                 trailing \nspace\\ \n\\!bang\nno/*\n!no/yes\ncrlf\r\n*.tmp\n!/*.tmp\n[!x]-not\nfoo*bar\n/deep/**\n";
    rig.write(".gitignore", rules);
    rig.write("inner/.gitignore", "!*.o\n/here\nouter/*.x\n*.tmp\n");
    rig.write("inner/deeper/.gitignore", "*.o\n!here\n");
    rig.commit();
    let names = [
        "#literal",
        "x.o",
        "keep.o",
        "s/x.o",
        "s/keep.o",
        "root-only",
        "s/root-only",
        "folder-only/f",
        "s/folder-only/f",
        "t/folder-only",
        "a/z",
        "a/b/c/z",
        "s/a/z",
        "any",
        "s/any/f",
        "mid/dle",
        "s/mid/dle",
        "a.txt",
        "c.txt",
        "x.one",
        "xx.one",
        "trailing",
        "space ",
        "space",
        "!bang",
        "no/yes",
        "no/no",
        "no/sub/f",
        "crlf",
        "x.tmp",
        "s/x.tmp",
        "x-not",
        "y-not",
        "foo-x-bar",
        "fo/obar",
        "deep/f",
        "s/deep/f",
        "inner/x.o",
        "inner/here",
        "inner/s/here",
        "inner/outer/1.x",
        "outer/1.x",
        "inner/x.tmp",
        "inner/deeper/x.o",
        "inner/deeper/here",
        "inner/deeper/s/x.o",
    ];
    let (_project, workspace) = rig.workspace();
    for name in names {
        write(&workspace.work().join(name), "x");
        rig.write(name, "x");
    }
    let expected = rig.user(&["-c", "core.quotePath=false", "ls-files", "--others", "--exclude-standard"]);
    let expected: Vec<String> = expected.lines().map(|name| format!("A {}", name.as_bytes().escape_ascii())).collect();
    let taken = show(&snapshot(&workspace).changes);
    assert_eq!(taken.split(", ").collect::<Vec<_>>(), expected);
}

/// Names that git orders otherwise as folders than as files.
const NAMES: [&str; 8] = ["a", "a-", "a.b", "a0", "b", "a~", "aa", "\u{e9}"];

/// Edits of all kinds, one after the other: each tree is the one that git makes of the folder.
#[test]
fn trees_are_those_of_git_whatever_is_edited() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    let (work, git_folder) = (workspace.work(), workspace.objects().parent().unwrap().to_owned());
    let index = rig.path("index-of-git");
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .envs([("GIT_DIR", git_folder.as_path()), ("GIT_WORK_TREE", work), ("GIT_INDEX_FILE", index.as_path())])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let mut state = 1_u64;
    let mut chance = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut known, mut trees) = (workspace.base_tree(), BTreeSet::new());
    for round in 0..40 {
        for _ in 0..1 + chance(4) {
            let depth = 1 + chance(4);
            let path = (0..depth).fold(work.to_owned(), |path, _| path.join(NAMES[chance(NAMES.len())]));
            // Whatever is in the way goes.
            let above: Vec<&Path> = path.ancestors().take_while(|above| *above != work).collect();
            for above in above.into_iter().rev() {
                if !above.symlink_metadata().is_ok_and(|found| found.is_dir()) || above == path {
                    loom_tools::remove_tree(above).unwrap();
                    break;
                }
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match chance(6) {
                0 => {}
                1 => symlink(format!("to-{round}"), &path).unwrap(),
                2 => {
                    write(&path, format!("{round}\n"));
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
                }
                3 => write(&path.join("inner"), format!("{round}\n").repeat(50_000)),
                _ => write(&path, format!("{}\n", chance(5))),
            }
        }
        let taken = workspace.snapshot(known, &Limits::default(), By::Content).unwrap();
        fs::remove_file(&index).ok();
        git(&["add", "--all", "--force", "."]);
        assert_eq!(taken.tree.to_string(), git(&["write-tree"]), "in round {round}");
        assert_eq!(differing(&workspace, known, taken.tree), show(&taken.changes));
        // Known from the time before, from long ago, or not at all.
        known = if chance(3) == 0 { workspace.base_tree() } else { taken.tree };
        trees.insert(taken.tree);
    }
    assert!(trees.len() > 30, "{}", trees.len());
    let names: Vec<String> = trees.iter().map(ToString::to_string).collect();
    let words: Vec<&str> =
        ["fsck", "--strict", "--no-dangling"].into_iter().chain(names.iter().map(String::as_str)).collect();
    assert_eq!(git(&words), "", "every object is one to git");
    for tree in trees.into_iter().step_by(6) {
        workspace.reset_to(tree).unwrap();
        let taken = workspace.snapshot(tree, &Limits::default(), By::Content).unwrap();
        assert_eq!((taken.tree, taken.changes), (tree, Vec::new()));
        fs::remove_file(&index).ok();
        git(&["add", "--all", "--force", "."]);
        assert_eq!(tree.to_string(), git(&["write-tree"]));
    }
}
