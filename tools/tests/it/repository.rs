//! What a user's repository may look like.

use std::fs;
use std::os::unix::fs::symlink;

use loom_tools::{Branch, Error, ObjectFormat, Project, Uncommitted};

use crate::rig::{Rig, content, write};

#[test]
fn head_is_reported_with_its_branch() {
    needs!("git");
    let rig = Rig::new();
    let project = rig.project();
    assert_eq!(project.root(), fs::canonicalize(rig.root()).unwrap());
    assert_eq!(project.head().branch.as_deref(), Some(&b"main"[..]));
    assert_eq!(project.object_format(), ObjectFormat::Sha1);
    assert_eq!(project.head().commit.to_string(), rig.user(&["rev-parse", "HEAD"]));
    assert_eq!(project.head().tree.to_string(), rig.user(&["rev-parse", "HEAD^{tree}"]));
}

#[test]
fn project_is_found_from_a_folder_inside_it() {
    needs!("git");
    let rig = Rig::new();
    let project = Project::open(&rig.git, &rig.root().join("src")).unwrap();
    assert_eq!(project.root(), fs::canonicalize(rig.root()).unwrap());
}

#[test]
fn detached_head_has_no_branch() {
    needs!("git");
    let rig = Rig::new();
    rig.user(&["checkout", "-q", "--detach"]);
    assert_eq!(rig.project().head().branch, None);
}

#[test]
fn packed_refs_are_read() {
    needs!("git");
    let rig = Rig::new();
    rig.user(&["branch", "other"]);
    rig.user(&["gc", "-q"]);
    let project = rig.project();
    assert_eq!(project.branch("other").unwrap(), Some(project.head().commit));
}

#[test]
fn what_is_no_repository_is_refused_by_kind() {
    needs!("git");
    let rig = Rig::empty();
    let open = |name: &str| Project::open(&rig.git, &rig.path(name)).unwrap_err();
    assert!(matches!(open("home"), Error::NotARepository { .. }));
    assert!(matches!(open("project"), Error::Empty { .. }));
    assert!(matches!(open("missing"), Error::File { .. }));
    rig.user(&["init", "-q", "--bare", "../bare"]);
    assert!(matches!(open("bare"), Error::Bare { .. }));
    assert!(matches!(open("project/.git"), Error::Bare { .. }));
    rig.user(&["config", "core.bare", "yes"]);
    assert!(matches!(open("project"), Error::Bare { .. }));
}

#[test]
fn refs_in_tables_are_refused() {
    needs!("git 2.45");
    let rig = Rig::empty();
    rig.user(&["init", "-q", "--ref-format=reftable", "../tables"]);
    let error = Project::open(&rig.git, &rig.path("tables")).unwrap_err();
    assert!(matches!(error, Error::RefFormat { format, .. } if format == "reftable"));
}

#[test]
fn dirty_tree_is_counted_and_not_refused() {
    needs!("git");
    let rig = Rig::new();
    let clean = Uncommitted { changed: 0, untracked: 0 };
    assert_eq!(rig.project().uncommitted().unwrap(), clean);
    rig.write("README.md", "changed\n");
    rig.write("staged", "staged\n");
    rig.user(&["add", "staged"]);
    rig.write("new/one", "1");
    rig.write("new/two", "2");
    rig.write("noise.log", "ignored");
    rig.write("mine", "excluded");
    rig.write(".git/info/exclude", "/mine\n");
    assert_eq!(rig.project().uncommitted().unwrap(), Uncommitted { changed: 2, untracked: 1 });
}

#[test]
fn linked_work_tree_is_a_project_of_its_own_head() {
    needs!("git");
    let rig = Rig::new();
    rig.user(&["worktree", "add", "-q", "-b", "side", "../side"]);
    write(&rig.path("side/more"), "more");
    crate::rig::git(&rig.path("side"), &rig.path("home"), &["add", "more"]);
    crate::rig::git(&rig.path("side"), &rig.path("home"), &["commit", "-q", "-m", "side"]);
    let side = Project::open(&rig.git, &rig.path("side")).unwrap();
    assert_eq!(side.head().branch.as_deref(), Some(&b"side"[..]));
    assert_ne!(side.head().commit, rig.project().head().commit);
    assert_eq!(side.uncommitted().unwrap(), Uncommitted { changed: 0, untracked: 0 });
    side.branch_create("loom/x", side.head().commit).unwrap();
    assert_eq!(rig.user(&["rev-parse", "loom/x"]), side.head().commit.to_string());
}

#[test]
fn submodules_are_listed() {
    needs!("git");
    let rig = Rig::new();
    let head = rig.user(&["rev-parse", "HEAD"]);
    rig.user(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},vendor/sub")]);
    rig.user(&["commit", "-q", "-m", "submodule"]);
    assert_eq!(rig.project().submodules().unwrap(), [b"vendor/sub"]);
}

#[test]
fn branch_is_created_only_if_absent() {
    needs!("git");
    let rig = Rig::new();
    let first = rig.project().head().commit;
    rig.write("more", "more");
    rig.commit();
    let project = rig.project();
    let second = project.head().commit;
    assert_eq!(project.branch("loom/x").unwrap(), None);
    assert_eq!(project.branch_create("loom/x", first).unwrap(), Branch::Created);
    assert_eq!(project.branch_create("loom/x", first).unwrap(), Branch::AlreadyThere);
    let error = project.branch_create("loom/x", second).unwrap_err();
    assert!(matches!(error, Error::BranchExists { commit, .. } if commit == first));
    assert_eq!(project.branch("loom/x").unwrap(), Some(first));
    // A branch cannot be a folder of branches, nor the other way round.
    assert!(matches!(project.branch_create("loom", first), Err(Error::Git { .. })));
    assert!(matches!(project.branch_create("loom/x/y", first), Err(Error::Git { .. })));
    for name in ["", "-x", "a..b", "a b", "x.lock", "/x", "a\nb", "@{-1}", "x\0y"] {
        let error = project.branch_create(name, first).unwrap_err();
        assert!(matches!(error, Error::BranchInvalid { .. }), "{name:?}: {error}");
    }
}

#[test]
fn creating_a_branch_changes_one_file() {
    needs!("git");
    let rig = Rig::new();
    rig.user(&["gc", "-q"]);
    let mut before = content(&rig.root());
    let commit = rig.project().head().commit;
    rig.project().branch_create("loom/x", commit).unwrap();
    before.insert(".git/refs/heads/loom".into(), b"folder".to_vec());
    before.insert(".git/refs/heads/loom/x".into(), format!("{commit}\n").into_bytes());
    assert_eq!(content(&rig.root()), before);
}

#[test]
fn repository_behind_a_link_is_found() {
    needs!("git");
    let rig = Rig::new();
    symlink(rig.root(), rig.path("link")).unwrap();
    let project = Project::open(&rig.git, &rig.path("link/src")).unwrap();
    assert_eq!(project.root(), fs::canonicalize(rig.root()).unwrap());
}
