//! A workspace's life, and that the user's repository does not notice until it is published.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use loom_tools::{Branch, By, Error, Limits, ObjectFormat, Project, Workspace};

use crate::rig::{Rig, changed, commit, content, differing, meta, snapshot, write};

#[test]
fn user_repository_is_equal_byte_for_byte_but_for_objects_and_the_branch() {
    needs!("git");
    let rig = Rig::new();
    rig.write("untracked", "mine");
    rig.write("README.md", "uncommitted\n");
    let before = content(&rig.root());
    let (project, workspace) = rig.workspace();
    project.uncommitted().unwrap();
    write(&workspace.work().join("src/new.rs"), "new\n");
    rig.agent(&workspace, &["add", "-A"]);
    rig.agent(&workspace, &["commit", "-q", "-m", "agent"]);
    rig.agent(&workspace, &["config", "user.name", "evil"]);
    rig.agent(&workspace, &["update-ref", "refs/heads/main", "HEAD"]);
    rig.agent(&workspace, &["gc", "-q", "--prune=now"]);
    let commit = commit(&workspace, snapshot(&workspace).tree);
    assert_eq!(content(&rig.root()), before, "before publishing");

    workspace.publish(&project, commit, "loom/x-1").unwrap();
    let mut after = content(&rig.root());
    after.retain(|path, _| !path.starts_with(".git/objects/pack") || before.contains_key(path));
    assert_eq!(after.remove(Path::new(".git/refs/heads/loom/x-1")), Some(format!("{commit}\n").into_bytes()));
    after.remove(Path::new(".git/refs/heads/loom"));
    assert_eq!(after, before, "after publishing");
    rig.user(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(rig.user(&["show", "loom/x-1:src/new.rs"]), "new");
    assert_eq!(
        rig.user(&["log", "-1", "--format=%an %ct %cd", "--date=iso", "loom/x-1"]),
        "Loom 1700000000 2023-11-14 22:13:20 +0000"
    );
}

#[test]
fn published_branch_outlives_the_workspace() {
    needs!("git");
    let rig = Rig::new();
    let (project, workspace) = rig.workspace();
    write(&workspace.work().join("src/new.rs"), "new\n");
    let first = commit(&workspace, snapshot(&workspace).tree);
    write(&workspace.work().join("src/new.rs"), "newer\n");
    let second = workspace.commit(snapshot(&workspace).tree, &[first], &meta("second\n")).unwrap();
    workspace.publish(&project, second, "loom/x").unwrap();
    workspace.remove().unwrap();
    assert!(!rig.path("run").exists());
    rig.user(&["fsck", "--strict"]);
    assert_eq!(rig.user(&["rev-list", "--count", "loom/x"]), "3");
}

#[test]
fn publishing_twice_is_publishing_once() {
    needs!("git");
    let rig = Rig::new();
    let (project, workspace) = rig.workspace();
    write(&workspace.work().join("a"), "a");
    let commit = commit(&workspace, snapshot(&workspace).tree);
    assert_eq!(workspace.publish(&project, commit, "loom/x").unwrap(), Branch::Created);
    let once = content(&rig.root());
    assert_eq!(workspace.publish(&project, commit, "loom/x").unwrap(), Branch::AlreadyThere);
    assert_eq!(content(&rig.root()), once);
    // A crash after the objects and before the branch.
    fs::remove_file(rig.root().join(".git/refs/heads/loom/x")).unwrap();
    assert_eq!(workspace.publish(&project, commit, "loom/x").unwrap(), Branch::Created);
    assert_eq!(content(&rig.root()), once);
}

#[test]
fn publishing_over_another_commit_is_refused() {
    needs!("git");
    let rig = Rig::new();
    let (project, workspace) = rig.workspace();
    let base = workspace.base_commit();
    project.branch_create("loom/x", base).unwrap();
    write(&workspace.work().join("a"), "a");
    let commit = commit(&workspace, snapshot(&workspace).tree);
    let before = content(&rig.root());
    let error = workspace.publish(&project, commit, "loom/x").unwrap_err();
    assert!(matches!(error, Error::BranchExists { commit, .. } if commit == base));
    assert_eq!(content(&rig.root()), before);
}

#[test]
fn base_commit_itself_can_be_published() {
    needs!("git");
    let rig = Rig::new();
    let (project, workspace) = rig.workspace();
    let base = workspace.base_commit();
    assert_eq!(workspace.publish(&project, base, "loom/nothing").unwrap(), Branch::Created);
}

#[test]
fn commit_is_a_function_of_its_arguments() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    let first = commit(&workspace, workspace.base_tree());
    assert_eq!(commit(&workspace, workspace.base_tree()), first);
    assert_eq!(first.to_string().len(), 40);
    let base = [workspace.base_commit()];
    assert_ne!(workspace.commit(workspace.base_tree(), &base, &meta("other")).unwrap(), first);
    let same = workspace.commit(workspace.base_tree(), &base, &meta("work\n")).unwrap();
    assert_eq!(same, first);
    let mut bad = meta("x");
    bad.author.name = "a\nb".into();
    assert!(matches!(
        workspace.commit(workspace.base_tree(), &base, &bad),
        Err(Error::CommitText { field: "name", .. })
    ));
    let error = workspace.commit(workspace.base_tree(), &base, &meta("a\0b")).unwrap_err();
    assert!(matches!(error, Error::CommitText { field: "message", .. }));
}

#[test]
fn hostile_repository_executes_nothing() {
    needs!("git");
    let rig = Rig::new();
    let (canary, trace) = rig.canary();
    let program = canary.to_str().unwrap();
    rig.write(".gitattributes", "* filter=evil diff=evil merge=evil text eol=crlf ident\n");
    rig.write(".gitmodules", format!("[submodule \"s\"]\n\tpath = s\n\turl = ext::{program}\n\tupdate = !{program}\n"));
    rig.commit();
    let head = rig.user(&["rev-parse", "HEAD"]);
    rig.user(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},s")]);
    rig.user(&["commit", "-q", "-m", "submodule"]);
    write(
        &rig.path("included"),
        format!("[core]\n\tfsmonitor = {program}\n\thooksPath = {}\n", rig.path("hooks").display()),
    );
    for folder in [rig.root().join(".git/hooks"), rig.path("hooks")] {
        let hooks = [
            "post-checkout",
            "reference-transaction",
            "post-index-change",
            "pre-commit",
            "post-commit",
            "fsmonitor-watchman",
            "pre-auto-gc",
            "post-rewrite",
            "update",
            "pre-receive",
            "post-receive",
            "post-update",
        ];
        for hook in hooks {
            write(&folder.join(hook), "");
            fs::copy(&canary, folder.join(hook)).unwrap();
        }
    }
    let config = format!(
        "[core]\n\tfsmonitor = {program}\n\tpager = {program}\n\teditor = {program}\n\tsshCommand = {program}\n\taskPass = {program}\n\
         \talternateRefsCommand = {program}\n\tgitProxy = {program}\n\
         [filter \"evil\"]\n\tclean = {program}\n\tsmudge = {program}\n\tprocess = {program}\n\trequired = true\n\
         [diff]\n\texternal = {program}\n[diff \"evil\"]\n\ttextconv = {program}\n\tcommand = {program}\n\
         [merge \"evil\"]\n\tdriver = {program}\n[credential]\n\thelper = !{program}\n\
         [gpg]\n\tprogram = {program}\n[commit]\n\tgpgSign = true\n[alias]\n\tstatus = !{program}\n\tdiff-tree = !{program}\n\
         [hook \"evil\"]\n\tcommand = {program}\n\tevent = reference-transaction\n\
         [uploadpack]\n\tpackObjectsHook = {program}\n[extensions]\n\tpartialClone = evil\n\
         [remote \"evil\"]\n\turl = ext::{program}\n\tpromisor = true\n\tuploadpack = {program}\n[protocol]\n\tallow = always\n\
         [protocol \"ext\"]\n\tallow = always\n[url \"ext::{program}\"]\n\tinsteadOf = https://\n[include]\n\tpath = {}\n",
        rig.path("included").display()
    );
    let known = fs::read_to_string(rig.root().join(".git/config")).unwrap();
    rig.write(".git/config", format!("{known}{config}"));
    // Touched, so that a status has to look at it.
    rig.write("README.md", "changed\n");
    // A user who works here does wake the canary; so it can sing.
    let status = std::process::Command::new("git").arg("status").current_dir(rig.root()).output().unwrap();
    assert!(trace.exists(), "{status:?}");
    fs::remove_file(&trace).unwrap();

    let (project, workspace) = rig.workspace();
    assert_eq!(fs::read(workspace.work().join("README.md")).unwrap(), b"read me\n");
    project.uncommitted().unwrap();
    project.submodules().unwrap();
    write(&workspace.work().join("src/lib.rs"), "$Id$\r\n");
    let tree = snapshot(&workspace).tree;
    assert_eq!(differing(&workspace, workspace.base_tree(), tree), "M src/lib.rs");
    let patch = workspace.diff_text(workspace.base_tree(), tree, 10_000).unwrap().to_bytes();
    assert!(String::from_utf8(patch).unwrap().contains("+$Id$\r\n"));
    workspace.reset_to(tree).unwrap();
    assert_eq!(snapshot(&workspace).tree, tree);
    workspace.publish(&project, commit(&workspace, tree), "loom/x").unwrap();
    workspace.remove().unwrap();
    let sung = fs::read_to_string(&trace).unwrap_or_default();
    assert_eq!(sung, "");
}

#[test]
fn hostile_work_tree_setting_leads_nowhere() {
    needs!("git");
    let rig = Rig::new();
    write(&rig.path("elsewhere/secret"), "secret");
    rig.user(&["config", "core.worktree", rig.path("elsewhere").to_str().unwrap()]);
    assert_eq!(rig.project().root(), fs::canonicalize(rig.root()).unwrap());
}

#[test]
fn agent_sees_a_clean_repository_of_its_own() {
    needs!("git");
    let rig = Rig::new();
    let (project, workspace) = rig.workspace();
    assert_eq!(rig.agent(&workspace, &["status", "--porcelain"]), "");
    assert_eq!(rig.agent(&workspace, &["rev-parse", "HEAD"]), project.head().commit.to_string());
    write(&workspace.work().join("README.md"), "other\n");
    assert_eq!(rig.agent(&workspace, &["diff", "--name-only"]), "README.md");
    assert_eq!(rig.agent(&workspace, &["log", "--format=%s"]), "more");
}

#[test]
fn files_are_written_by_content() {
    needs!("git");
    let rig = Rig::empty();
    rig.write(".gitattributes", "*.crlf text eol=crlf\n*.id ident\n*.u16 text working-tree-encoding=UTF-16\n");
    rig.write("a.crlf", "one\ntwo\n");
    rig.write("a.id", "$Id$\n");
    rig.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(rig.root().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run.sh", rig.root().join("link")).unwrap();
    rig.commit();
    let (project, workspace) = rig.workspace();
    let mut files = content(workspace.work());
    files.retain(|path, _| !path.starts_with(".git"));
    let expected = content(&rig.root());
    assert_eq!(files.len(), 5);
    assert!(files.iter().all(|(path, bytes)| expected[path] == *bytes), "{files:?}");
    assert!(workspace.work().join("link").is_symlink());
    assert_eq!(fs::metadata(workspace.work().join("run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(snapshot(&workspace).tree, project.head().tree);
}

#[test]
fn reset_removes_everything_that_is_not_in_the_tree() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    let work = workspace.work();
    write(&work.join("src/new.rs"), "new\n");
    let tree = snapshot(&workspace).tree;
    let recorded = content(&work.join("src"));
    write(&work.join("target/debug/output"), "x");
    write(&work.join("shut/file"), "x");
    fs::set_permissions(work.join("shut"), fs::Permissions::from_mode(0o000)).unwrap();
    write(&work.join("src/lib.rs"), "broken");
    fs::remove_dir_all(work.join(".git")).unwrap();
    workspace.reset_to(tree).unwrap();
    assert_eq!(content(&work.join("src")), recorded);
    assert!(!work.join("target").exists() && !work.join("shut").exists());
    assert_eq!(snapshot(&workspace).tree, tree);
    assert_eq!(rig.agent(&workspace, &["status", "--porcelain"]), "A  src/new.rs");
}

#[test]
fn reset_leaves_equal_files_alone_and_believes_no_time_stamp() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    let (equal, edited) = (workspace.work().join("src/lib.rs"), workspace.work().join("README.md"));
    let inode = fs::metadata(&equal).unwrap().ino();
    let before = fs::metadata(&edited).unwrap().modified().unwrap();
    write(&edited, "read ME\n");
    let times = fs::FileTimes::new().set_modified(before);
    fs::File::options().write(true).open(&edited).unwrap().set_times(times).unwrap();
    workspace.reset_to(workspace.base_tree()).unwrap();
    assert_eq!(fs::read(edited).unwrap(), b"read me\n");
    assert_eq!(fs::metadata(equal).unwrap().ino(), inode);
}

#[test]
fn reset_puts_right_what_became_something_else() {
    needs!("git");
    let rig = Rig::new();
    let head = rig.user(&["rev-parse", "HEAD"]);
    rig.write("deep/er/file", "x");
    rig.write("tool", "x");
    symlink("tool", rig.root().join("link")).unwrap();
    rig.user(&["add", "-A"]);
    rig.user(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},vendor/sub")]);
    rig.user(&["commit", "-q", "-m", "more"]);
    let (_project, workspace) = rig.workspace();
    let work = workspace.work();
    // The index holds time stamps.
    let files = |work| {
        let mut files = content(work);
        files.remove(Path::new(".git/index"));
        files
    };
    let recorded = files(work);
    write(&rig.path("outside/er/file"), "outside");
    fs::remove_dir_all(work.join("deep")).unwrap();
    symlink(rig.path("outside"), work.join("deep")).unwrap();
    fs::remove_file(work.join("README.md")).unwrap();
    write(&work.join("README.md/inner"), "x");
    fs::remove_file(work.join("link")).unwrap();
    write(&work.join("link"), "tool");
    fs::remove_file(work.join("tool")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, work.join("tool"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::remove_dir_all(work.join("vendor")).unwrap();
    write(&work.join("src/.git/config"), "x");
    fs::create_dir_all(work.join("empty/empty")).unwrap();
    fs::set_permissions(work.join("src/lib.rs"), fs::Permissions::from_mode(0o777)).unwrap();
    workspace.reset_to(workspace.base_tree()).unwrap();
    assert_eq!(files(work), recorded);
    assert_eq!(fs::read(rig.path("outside/er/file")).unwrap(), b"outside");
    assert_eq!(snapshot(&workspace).tree, workspace.base_tree());
    assert_eq!(rig.agent(&workspace, &["status", "--porcelain"]), "");
}

/// Folders within folders, deeper than any path can say; two at each level.
fn nest(folder: &Path) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let name = "n".repeat(100);
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let mut inner = openat(CWD, folder, flags, Mode::empty()).unwrap();
    for _ in 0..100 {
        mkdirat(&inner, "side", Mode::RWXU).unwrap();
        mkdirat(&inner, &name, Mode::RWXU).unwrap();
        inner = openat(&inner, &name, flags, Mode::empty()).unwrap();
    }
}

#[test]
fn folders_nested_deeper_than_a_path_can_say_are_refused_and_removed() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    write(&workspace.work().join("lifted-0"), "a name that is taken");
    fs::create_dir(workspace.work().join("top")).unwrap();
    nest(&workspace.work().join("top"));
    assert!(matches!(
        workspace.snapshot(workspace.base_tree(), &Limits::default(), By::Content),
        Err(Error::File { .. })
    ));
    workspace.reset_to(workspace.base_tree()).unwrap();
    assert_eq!(snapshot(&workspace).tree, workspace.base_tree());
    nest(workspace.work());
    workspace.remove().unwrap();
    assert!(!rig.path("run").exists());
}

#[test]
fn reset_to_an_unknown_tree_leaves_the_folder_alone() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    write(&workspace.work().join("new"), "new\n");
    let unknown = loom_tools::TreeId::from_bytes(&[7; 20]).unwrap();
    assert!(matches!(workspace.reset_to(unknown), Err(Error::Git { .. })));
    assert_eq!(changed(&workspace), "A new");
}

#[test]
fn diff_text_is_a_patch_cut_in_the_middle() {
    needs!("git");
    let rig = Rig::new();
    let (_project, workspace) = rig.workspace();
    write(&workspace.work().join("README.md"), "read you\n");
    let tree = snapshot(&workspace).tree;
    let whole = workspace.diff_text(workspace.base_tree(), tree, 10_000).unwrap();
    let text = String::from_utf8(whole.to_bytes()).unwrap();
    assert!(text.ends_with("--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-read me\n+read you\n"), "{text}");
    let cut = workspace.diff_text(workspace.base_tree(), tree, 20).unwrap();
    assert_eq!((cut.head.len(), cut.tail.len(), cut.dropped_bytes), (10, 10, text.len() as u64 - 20));
}

#[test]
fn workspace_can_be_opened_again() {
    needs!("git");
    let rig = Rig::new();
    let (project, workspace) = rig.workspace();
    write(&workspace.work().join("new"), "new\n");
    let tree = snapshot(&workspace).tree;
    drop(workspace);
    let workspace = Workspace::open(&project, &rig.path("run")).unwrap();
    assert_eq!((workspace.base_commit(), workspace.base_tree()), (project.head().commit, project.head().tree));
    assert_eq!(snapshot(&workspace).tree, tree);
    assert_eq!(changed(&workspace), "A new");
}

#[test]
fn workspace_is_not_made_over_something_nor_left_half_made() {
    needs!("git");
    let rig = Rig::new();
    let (project, _workspace) = rig.workspace();
    let again = Workspace::create(&rig.path("run"), &project, project.head().commit);
    assert!(matches!(again, Err(Error::WorkspaceExists { .. })));
    let unknown = loom_tools::CommitId::from_bytes(&[7; 20]).unwrap();
    assert!(matches!(Workspace::create(&rig.path("bad"), &project, unknown), Err(Error::Git { .. })));
    assert!(!rig.path("bad").exists());
}

#[test]
fn sha256_repository_works_all_the_way() {
    needs!("git");
    let rig = Rig::with_format("sha256");
    rig.write("a", "a");
    rig.commit();
    let (project, workspace) = rig.workspace();
    assert_eq!(project.object_format(), ObjectFormat::Sha256);
    assert_eq!(project.head().tree.as_bytes().len(), 32);
    write(&workspace.work().join("b"), "b");
    let commit = commit(&workspace, snapshot(&workspace).tree);
    workspace.publish(&project, commit, "loom/x").unwrap();
    assert_eq!(rig.user(&["show", "loom/x:b"]), "b");
    assert_eq!(rig.agent(&workspace, &["status", "--porcelain"]), "?? b");
}

#[test]
fn shallow_clone_works_all_the_way() {
    needs!("git");
    let rig = Rig::new();
    rig.write("more", "more");
    rig.commit();
    rig.user(&["clone", "-q", "--depth", "1", &format!("file://{}", rig.root().display()), "../shallow"]);
    let project = Project::open(&rig.git, &rig.path("shallow")).unwrap();
    let workspace = Workspace::create(&rig.path("run"), &project, project.head().commit).unwrap();
    write(&workspace.work().join("b"), "b");
    workspace.publish(&project, commit(&workspace, snapshot(&workspace).tree), "loom/x").unwrap();
    assert_eq!(crate::rig::git(&rig.path("shallow"), &rig.path("home"), &["rev-list", "--count", "loom/x"]), "2");
    assert_eq!(rig.agent(&workspace, &["log", "--format=%s"]), "more");
}

#[test]
fn project_in_a_folder_with_an_odd_name_works() {
    needs!("git");
    let rig = Rig::new();
    let odd = rig.path("\"odd\\ na\nme #:");
    fs::rename(rig.root(), &odd).unwrap();
    let project = Project::open(&rig.git, &odd).unwrap();
    let workspace = Workspace::create(&rig.path("ru\"n:\n"), &project, project.head().commit).unwrap();
    write(&workspace.work().join("b"), "b");
    workspace.publish(&project, commit(&workspace, snapshot(&workspace).tree), "loom/x").unwrap();
    assert_eq!(rig.agent(&workspace, &["status", "--porcelain"]), "?? b");
}

#[test]
fn sixty_four_workspaces_at_once_do_not_disturb_each_other() {
    needs!("git");
    let rig = Rig::new();
    let project = rig.project();
    std::thread::scope(|scope| {
        for number in 0..64 {
            let (rig, project) = (&rig, &project);
            scope.spawn(move || {
                let folder = rig.path(&format!("run-{number}"));
                let workspace = Workspace::create(&folder, project, project.head().commit).unwrap();
                write(&workspace.work().join("number"), number.to_string());
                let commit = commit(&workspace, snapshot(&workspace).tree);
                workspace.publish(project, commit, &format!("loom/{number}")).unwrap();
            });
        }
    });
    for number in 0..64 {
        assert_eq!(rig.user(&["show", &format!("loom/{number}:number")]), number.to_string());
    }
    rig.user(&["fsck", "--strict"]);
}

#[test]
fn five_thousand_files_come_through_a_whole_life() {
    needs!("git");
    let rig = Rig::empty();
    let path = |number: u32| format!("d{}/e{}/f{number}.rs", number % 50, number % 7);
    for number in 0..5_000 {
        rig.write(&path(number), format!("// {number}\n").repeat(100));
    }
    rig.commit();
    let (project, workspace) = rig.workspace();
    assert_eq!(snapshot(&workspace).tree, project.head().tree);
    for number in 0..100 {
        write(&workspace.work().join(format!("new/{number}")), number.to_string());
        write(&workspace.work().join(path(number)), "// other\n");
        fs::remove_file(workspace.work().join(path(4_900 + number))).unwrap();
    }
    let tree = snapshot(&workspace).tree;
    assert_eq!(differing(&workspace, workspace.base_tree(), tree).split(", ").count(), 300);
    workspace.reset_to(workspace.base_tree()).unwrap();
    assert_eq!(snapshot(&workspace).tree, project.head().tree);
    workspace.reset_to(tree).unwrap();
    assert_eq!(snapshot(&workspace).tree, tree);
    workspace.publish(&project, commit(&workspace, tree), "loom/x").unwrap();
    assert_eq!(rig.user(&["diff", "--no-renames", "--name-only", "main", "loom/x"]).lines().count(), 300);
}
