//! Repositories that are hostile, odd or none, through whole runs: nothing of them is executed, nothing of them is
//! changed but for new objects and one branch.

use crate::project::{Footprint, Going, Project, WORKS, by_person, code, person, write};
use loom_core::id::hex;
use loom_core::word::Answer;
use loom_host::error::HostError;
use loom_host::local::told;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Drives a run to its branch, and looks whether the project is as it was but for that.
#[track_caller]
fn assert_runs(project: &Project) -> Going {
    let before = project.footprint();
    let mut going = project.go(WORKS);
    assert_eq!(going.gate().map(|gate| gate.role).as_deref(), Some("final"), "{:?}", going.raised());
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"), "{:?}", going.gate().map(|_| going.why()));
    before.assert_kept(&project.footprint(), Some(&going.branch()));
    assert_eq!(project.git(&["diff", "--name-only", "HEAD", &going.branch()]), "notes.txt");
    going
}

/// The project cannot be opened, says why, and is as it was; no store is left in it.
#[track_caller]
fn assert_refused(project: &Project, why: &str) {
    let before = Footprint::of(project.root());
    let error = project.session(WORKS).err().expect("it is refused");
    let said = told(&error).replace(&fs::canonicalize(project.root()).unwrap().display().to_string(), "HERE");
    assert_eq!(said, why);
    assert_eq!(before, Footprint::of(project.root()));
    assert!(!project.root().join(".loom").exists());
}

/// Makes an object of the bytes, whatever they are, and returns its name.
fn object(project: &Project, kind: &str, bytes: &[u8]) -> String {
    let mut child = Command::new("git")
        .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
        .current_dir(project.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_string()
}

/// Returns an entry of a tree object.
fn entry(mode: &str, name: &str, id: &str) -> Vec<u8> {
    let id: Vec<u8> = (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()).collect();
    [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &id].concat()
}

/// Puts the branch at a commit of this tree, behind git's back.
fn stand_on(project: &Project, tree: &[u8]) {
    let tree = object(project, "tree", tree);
    let who = "u <u@x> 1700000000 +0000";
    let commit = object(project, "commit", format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nodd\n").as_bytes());
    fs::write(project.root().join(".git/refs/heads/main"), format!("{commit}\n")).unwrap();
}

#[test]
fn nothing_that_a_repository_names_is_executed() {
    needs!("git", "sh");
    let project = Project::new();
    let (canary, trace) = project.canary();
    let program = canary.display();
    project.write(".gitattributes", "* filter=evil diff=evil merge=evil text eol=crlf ident\n");
    let modules = format!("[submodule \"s\"]\n\tpath = s\n\turl = ext::{program}\n\tupdate = !{program}\n");
    project.write(".gitmodules", modules);
    project.commit();
    let head = project.git(&["rev-parse", "HEAD"]);
    project.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},s")]);
    project.git(&["commit", "-q", "-m", "submodule"]);
    project.write(".gitmodules", "");
    let hooks = project.beside("hooks");
    write(&project.beside("included"), format!("[core]\n\tfsmonitor = {program}\n\thooksPath = {}\n", hooks.display()));
    for folder in [project.root().join(".git/hooks"), hooks] {
        let names = "post-checkout reference-transaction post-index-change pre-commit commit-msg post-commit pre-push \
                     fsmonitor-watchman pre-auto-gc post-rewrite post-merge update pre-receive post-receive post-update";
        for hook in names.split_whitespace() {
            write(&folder.join(hook), "");
            fs::copy(&canary, folder.join(hook)).unwrap();
        }
    }
    let config = format!(
        "[core]\n\tfsmonitor = {program}\n\tpager = {program}\n\teditor = {program}\n\tsshCommand = {program}\n\
         \taskPass = {program}\n\talternateRefsCommand = {program}\n\tgitProxy = {program}\n\
         [filter \"evil\"]\n\tclean = {program}\n\tsmudge = {program}\n\tprocess = {program}\n\trequired = true\n\
         [diff]\n\texternal = {program}\n[diff \"evil\"]\n\ttextconv = {program}\n\tcommand = {program}\n\
         [merge \"evil\"]\n\tdriver = {program}\n[credential]\n\thelper = !{program}\n\
         [gpg]\n\tprogram = {program}\n[commit]\n\tgpgSign = true\n[sequence]\n\teditor = {program}\n\
         [alias]\n\tstatus = !{program}\n\tdiff-tree = !{program}\n\trev-parse = !{program}\n\
         [hook \"evil\"]\n\tcommand = {program}\n\tevent = reference-transaction\n\
         [uploadpack]\n\tpackObjectsHook = {program}\n[extensions]\n\tpartialClone = evil\n\tworktreeConfig = true\n\
         [remote \"evil\"]\n\turl = ext::{program}\n\tpromisor = true\n\tuploadpack = {program}\n[protocol]\n\
         \tallow = always\n[protocol \"ext\"]\n\tallow = always\n[url \"ext::{program}\"]\n\tinsteadOf = https://\n\
         [submodule \"s\"]\n\tactive = true\n\turl = ext::{program}\n\tupdate = !{program}\n\
         [include]\n\tpath = {included}\n[includeIf \"gitdir:**\"]\n\tpath = {included}\n",
        included = project.beside("included").display()
    );
    let known = fs::read_to_string(project.root().join(".git/config")).unwrap();
    project.write(".git/config", format!("{known}{config}"));
    project.write(".git/config.worktree", &config);
    // And the same in the user's own configuration, which a driver is not to read either.
    write(&project.beside("home/.gitconfig"), &config);
    // Touched, so that a status has to look at it.
    project.write("README.md", "changed\n");
    // A user who works here does wake the canary; so it can sing.
    let status = Command::new("git").arg("status").current_dir(project.root()).output().unwrap();
    assert!(trace.exists(), "{status:?}");
    fs::remove_file(&trace).unwrap();

    let before = project.footprint();
    let mut going = project.go(WORKS);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"), "{:?}", going.raised());
    drop(going);
    assert_eq!(fs::read_to_string(&trace).unwrap_or_default(), "");
    let branch = fs::read_dir(project.root().join(".git/refs/heads/loom")).unwrap().next().unwrap().unwrap();
    before.assert_kept(&project.footprint(), Some(&format!("loom/{}", branch.file_name().display())));
    // The attributes ask for other line ends; what was merged is what was written.
    let merged = fs::read_to_string(branch.path()).unwrap();
    project.write(".git/config", known);
    fs::remove_file(project.beside("home/.gitconfig")).unwrap();
    fs::remove_dir_all(project.root().join(".git/hooks")).unwrap();
    assert_eq!(project.git(&["cat-file", "blob", &format!("{}:notes.txt", merged.trim())]), "a note\nmore");
}

#[test]
fn a_store_that_came_with_the_repository_is_not_opened() {
    needs!("git", "sh");
    const WHY: &str = "HERE/.loom is a link or under version control; a store that came with a repository is not \
                       opened: remove it from the repository (`git rm -r --cached`, commit) and move it away";
    for name in [".loom/store.redb", ".LOOM/x", ".loom"] {
        let project = Project::new();
        project.write(name, "theirs");
        project.commit();
        fs::remove_dir_all(project.root().join(name.split('/').next().unwrap()))
            .or_else(|_| fs::remove_file(project.root().join(name)))
            .unwrap();
        assert_refused(&project, WHY);
    }
    let project = Project::new();
    let elsewhere = project.beside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, project.root().join(".loom")).unwrap();
    let error = project.session(WORKS).err().unwrap();
    assert!(matches!(error, HostError::StoreForeign { .. }), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn what_is_no_repository_to_work_in_is_refused_and_left_alone() {
    needs!("git", "sh");
    let none = Project::empty(OsStr::new("none"));
    assert_refused(&none, "HERE is not in a git repository");
    let fresh = Project::empty(OsStr::new("fresh"));
    fresh.git(&["init", "-q"]);
    assert_refused(&fresh, "HERE has no commit yet");
    let bare = Project::empty(OsStr::new("bare"));
    bare.git(&["init", "-q", "--bare"]);
    assert_refused(&bare, "HERE is a bare repository");
}

#[test]
fn a_repository_that_keeps_its_refs_in_tables_is_refused_and_left_alone() {
    needs!("git 2.45", "sh");
    let tables = Project::empty(OsStr::new("tables"));
    tables.git(&["init", "-q", "--ref-format=reftable"]);
    assert_refused(&tables, "HERE keeps refs as reftable, which is not supported");
}

#[test]
fn a_head_that_leads_nowhere_is_an_error_and_not_a_way_out() {
    needs!("git", "sh");
    let secret = "ref: refs/heads/../../../secret";
    for head in [secret, "ref: /etc/hostname", "nonsense", "", "ref: ", "0000000000000000000000000000000000000000"] {
        let project = Project::new();
        let before = project.git(&["rev-parse", "HEAD"]);
        write(&project.beside("secret"), &before);
        project.write(".git/HEAD", head);
        let footprint = project.footprint();
        let error = project.session(WORKS).err().map(|error| told(&error)).expect(head);
        assert!(!error.is_empty());
        assert_eq!(footprint, project.footprint());
        assert!(!project.root().join(".loom").exists(), "{head}");
    }
}

#[test]
fn a_detached_head_is_a_place_to_start_from() {
    needs!("git", "sh");
    let project = Project::new();
    project.git(&["checkout", "-q", "--detach"]);
    assert_runs(&project);
}

#[test]
fn a_dirty_tree_in_the_middle_of_everything_is_left_as_it_is() {
    needs!("git", "sh");
    let project = Project::new();
    project.write("README.md", "to be stashed\n");
    project.git(&["stash", "push", "-q"]);
    project.write("README.md", "changed\n");
    project.write("staged", "staged\n");
    project.git(&["add", "staged"]);
    project.write("new", "new\n");
    project.git(&["add", "--intent-to-add", "new"]);
    project.git(&["update-index", "--assume-unchanged", "notes.txt"]);
    project.write("notes.txt", "something else\n");
    fs::remove_file(project.root().join("check.sh")).unwrap();
    let head = project.git(&["rev-parse", "HEAD"]);
    // A merge under way, and another git that holds its lock, or died with it.
    for (name, text) in
        [("MERGE_HEAD", head.as_str()), ("MERGE_MSG", "m"), ("index.lock", ""), ("packed-refs.lock", "")]
    {
        project.write(format!(".git/{name}"), text);
    }
    assert_runs(&project);
}

#[test]
fn what_is_not_committed_is_said_to_be_unseen() {
    needs!("git", "sh");
    let project = Project::new();
    let session = project.session("").unwrap();
    // Loom's own folder is there by now, and nobody has committed it.
    assert!(project.root().join(".loom").is_dir());
    assert_eq!(session.unseen().join().unwrap().unwrap(), None);
    project.write("notes.txt", "changed\n");
    project.write("new", "new\n");
    let before = project.footprint();
    let told = session.unseen().join().unwrap().unwrap().unwrap().to_string();
    let wanted = "1 changed and 1 untracked paths are not committed: \
                  the run starts from the last commit and does not see them";
    assert_eq!(told, wanted);
    before.assert_kept(&project.footprint(), None);
    project.commit();
    assert_eq!(session.unseen().join().unwrap().unwrap(), None);
}

#[test]
fn packed_refs_and_objects_are_enough() {
    needs!("git", "sh");
    let project = Project::new();
    project.git(&["branch", "other"]);
    project.git(&["tag", "-a", "-m", "t", "v1"]);
    project.git(&["gc", "-q", "--prune=now"]);
    assert!(!project.root().join(".git/refs/heads/main").exists());
    assert_runs(&project);
}

#[test]
fn a_shallow_clone_is_enough() {
    needs!("git", "sh");
    let source = Project::new();
    source.write("notes.txt", "a note of two\n");
    source.commit();
    let project = Project::empty(OsStr::new("clone"));
    let url = format!("file://{}", source.root().display());
    project.git(&["clone", "-q", "--depth", "1", &url, "."]);
    assert!(project.root().join(".git/shallow").exists());
    assert_runs(&project);
    project.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_repository_that_borrows_its_objects_is_enough() {
    needs!("git", "sh");
    for relative in [false, true] {
        let project = Project::new();
        let borrower = project.beside("project-of-others");
        project.git(&["clone", "-q", "--shared", ".", borrower.to_str().unwrap()]);
        if relative {
            write(&borrower.join(".git/objects/info/alternates"), "../../../project/.git/objects\n");
        }
        let borrower = project.neighbour("project-of-others");
        assert_runs(&borrower);
    }
}

#[test]
fn objects_that_are_not_there_are_said_to_be_missing_and_not_fetched() {
    needs!("git", "sh");
    let source = Project::new();
    source.git(&["config", "uploadpack.allowFilter", "true"]);
    let project = Project::empty(OsStr::new("clone"));
    let url = format!("file://{}", source.root().display());
    project.git(&["clone", "-q", "--filter=blob:none", "--no-checkout", &url, "."]);
    let before = project.footprint();
    let mut session = project.session(WORKS).unwrap();
    let error = session.open_run(b"r".to_vec(), person(), "Write a note", code(), by_person("trivial")).unwrap_err();
    assert!(told(&error).starts_with("git read-tree ended with"), "{}", told(&error));
    assert_eq!(session.engine().runs().count(), 0);
    assert_eq!(before, project.footprint());
    assert_eq!(workspaces(&project), 0, "nothing half made is left");
}

/// Returns how many workspaces there are.
fn workspaces(project: &Project) -> usize {
    let stores = fs::read_dir(project.beside("state/stores")).unwrap();
    stores.map(|store| fs::read_dir(store.unwrap().path().join("workspaces")).unwrap().count()).sum()
}

#[test]
fn submodules_are_left_to_their_owner() {
    needs!("git", "sh");
    let project = Project::new();
    let library = Project::new();
    let path = library.root().display().to_string();
    project.git(&["-c", "protocol.file.allow=always", "submodule", "-q", "add", &path, "vendor/library"]);
    project.commit();
    let going = assert_runs(&project);
    let entry = project.git(&["ls-tree", &going.branch(), "vendor/library"]);
    assert!(entry.starts_with("160000 commit "), "{entry}");
}

#[test]
fn a_linked_work_tree_runs_from_its_own_head_and_leaves_the_main_one_alone() {
    needs!("git", "sh");
    let project = Project::new();
    let side = project.beside("side");
    project.git(&["worktree", "add", "-q", "-b", "side", side.to_str().unwrap()]);
    write(&side.join("notes.txt"), "a note of the side\n");
    project.git_in(&side, &["commit", "-q", "-a", "-m", "side"]);
    let main = project.footprint();
    let linked = project.neighbour("side");
    let before = linked.footprint();
    let mut going = linked.go(WORKS);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    assert_eq!(before, linked.footprint());
    main.assert_kept(&project.footprint(), Some(&going.branch()));
    assert_eq!(project.git(&["show", &format!("{}:notes.txt", going.branch())]), "a note of the side\nmore");
    assert_eq!(project.git(&["rev-parse", &format!("{}^", going.branch())]), project.git(&["rev-parse", "side"]));
}

#[test]
fn projects_in_folders_with_odd_names_run() {
    needs!("git", "sh");
    let names: [&[u8]; 4] = ["n\u{e4}m\u{1f980} ".as_bytes(), b"\"li\nne\\", b"-co:lon;#$x'", b"b\xff\xfed"];
    for name in names {
        let project = Project::named(OsStr::from_bytes(name));
        assert_runs(&project);
    }
}

#[test]
fn files_with_odd_names_and_modes_come_through_a_run_as_they_are() {
    needs!("git", "sh");
    let project = Project::new();
    let names: [&[u8]; 12] = [
        b"with space",
        b" leading and trailing ",
        "n\u{e4}m\u{1f980}".as_bytes(),
        b"line\nfeed",
        b"tab\tstop",
        b"\"quoted\\",
        b"-dash",
        b":(glob)**",
        b"b\xff\xfed",
        b"esc\x1b[31m",
        b"folder/with\nfeed/\xfffile",
        b"#comment",
    ];
    for name in names {
        project.write(OsStr::from_bytes(name), "a\n");
    }
    project.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(project.root().join("run.sh"), Permissions::from_mode(0o755)).unwrap();
    write(&project.beside("outside"), "outside\n");
    fs::create_dir(project.beside("folder-outside")).unwrap();
    for (target, link) in [("notes.txt", "in"), ("nowhere", "dangling"), ("../outside", "out"), ("/", "root")] {
        symlink(target, project.root().join(link)).unwrap();
    }
    symlink("../folder-outside", project.root().join("out-folder")).unwrap();
    project.commit();
    let before = project.footprint();
    // Every odd file is edited, and a new one beside it made; links are replaced or left.
    let script = "
[[turn]]
agent = 'implementer'
say = '{\"summary\": \"done\"}'
run = ['sh', '-c', '''
find . -path ./.git -prune -o -type f ! -name check.sh -print0 | xargs -0 -n 1 sh -c 'printf b >> \"$0\"; cp -p \"$0\" \"$0.new\"'
rm in out; ln -s ../outside in; echo file > out; chmod -x run.sh; chmod +x README.md
''']
";
    let mut going = project.go(script);
    assert_eq!(going.outcomes(), ["ok"], "{:?} {:?}", going.raised(), going.changes());
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"), "{:?}", going.raised());
    before.assert_kept(&project.footprint(), Some(&going.branch()));
    assert_eq!(fs::read(project.beside("outside")).unwrap(), b"outside\n");
    assert_eq!(fs::read_dir(project.beside("folder-outside")).unwrap().count(), 0);
    project.git(&["checkout", "-q", &going.branch()]);
    for name in names {
        let path = project.root().join(OsStr::from_bytes(name));
        assert_eq!(fs::read(&path).unwrap(), b"a\nb", "{path:?}");
        let new = [name, b".new"].concat();
        assert_eq!(fs::read(project.root().join(OsStr::from_bytes(&new))).unwrap(), b"a\nb", "{path:?}");
    }
    let mode = |name: &str| fs::symlink_metadata(project.root().join(name)).unwrap().permissions().mode() & 0o100;
    assert_eq!((mode("run.sh"), mode("README.md")), (0, 0o100));
    let link = |name: &str| fs::read_link(project.root().join(name)).unwrap();
    assert_eq!(link("in"), Path::new("../outside"));
    assert_eq!(link("out-folder"), Path::new("../folder-outside"));
    assert_eq!((link("dangling"), link("root")), (Path::new("nowhere").into(), Path::new("/").into()));
    assert!(project.root().join("out").is_file());
}

/// A project that can be put on trees that no git would write, with a folder beside it that nobody is to write to.
struct Odd {
    project: Project,
    outside: PathBuf,
    canary: PathBuf,
    trace: PathBuf,
}

impl Odd {
    fn new() -> Self {
        let project = Project::new();
        let (canary, trace) = project.canary();
        let outside = project.beside("outside");
        fs::create_dir(&outside).unwrap();
        Odd { project, outside, canary, trace }
    }

    /// Opens a run on this tree and drives it as far as it goes, and looks that it wrote nothing where it is not to.
    #[track_caller]
    fn go(&self, tree: &[u8]) -> Result<Going, HostError> {
        stand_on(&self.project, tree);
        let before = self.project.footprint();
        let opened = self.project.session(WORKS).and_then(|mut session| {
            let stream = session.open_run(b"r".to_vec(), person(), "Write a note", code(), by_person("trivial"))?;
            let mut going = Going { session, stream };
            going.drive();
            Ok(going)
        });
        assert_eq!(fs::read_dir(&self.outside).unwrap().count(), 0);
        assert!(!self.trace.exists());
        assert_eq!(before, self.project.footprint());
        opened
    }
}

#[test]
fn trees_that_no_git_would_write_are_refused_and_write_nothing_elsewhere() {
    needs!("git", "sh");
    let odd = Odd::new();
    let blob = object(&odd.project, "blob", b"theirs");
    let config = format!("[core]\n\tfsmonitor = {}\n", odd.canary.display());
    let config = object(&odd.project, "blob", config.as_bytes());
    let git = object(&odd.project, "tree", &entry("100644", "config", &config));
    let inner = object(&odd.project, "tree", &entry("100644", "file", &blob));
    let trees = [
        (entry("40000", ".git", &git), ".git/config"),
        (entry("100644", ".git", &blob), ".git"),
        (entry("40000", ".GIT", &git), ".GIT/config"),
        (entry("100644", "../outside/file", &blob), "../outside/file"),
        (entry("40000", "..", &inner), "../file"),
        (entry("100644", "/etc/file", &blob), "/etc/file"),
    ];
    for (tree, path) in trees {
        let error = odd.go(&tree).err().unwrap_or_else(|| panic!("{path} is taken"));
        let why = format!("git read-tree ended with exit code 128: error: invalid path '{path}'");
        assert!(told(&error).starts_with(&why), "{path}: {}", told(&error));
        assert_eq!(workspaces(&odd.project), 0, "{path}: nothing half made is left");
    }
}

/// Git takes such a tree, and the folder wins; what is in it is not written through the link.
#[test]
fn a_tree_with_a_link_and_a_folder_of_one_name_writes_nothing_elsewhere() {
    needs!("git", "sh");
    let odd = Odd::new();
    let blob = object(&odd.project, "blob", b"theirs");
    let inner = object(&odd.project, "tree", &entry("100644", "file", &blob));
    let link = object(&odd.project, "blob", odd.outside.as_os_str().as_bytes());
    let going = odd.go(&[entry("120000", "a", &link), entry("40000", "a", &inner)].concat()).unwrap();
    assert_eq!(going.gate().map(|gate| gate.role).as_deref(), Some("final"), "{:?}", going.raised());
    let work = only(&only(&odd.project.beside("state/stores")).join("workspaces")).join("workspace/work");
    assert_eq!(fs::read(work.join("a/file")).unwrap(), b"theirs");
    assert!(!work.join("a").is_symlink());
}

/// Returns the one thing in a folder.
fn only(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder).unwrap();
    let first = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none(), "{}", folder.display());
    first
}

#[test]
fn a_branch_in_the_way_of_the_runs_branch_asks_a_person_and_is_left_alone() {
    needs!("git", "sh");
    let project = Project::new();
    project.git(&["branch", "loom"]);
    let before = project.footprint();
    let mut going = project.go(WORKS);
    going.answer(Answer::Accept);
    assert_eq!(going.gate().map(|gate| gate.role).as_deref(), Some("ask"));
    assert!(going.why().contains("refs/heads/loom"), "{}", going.why());
    before.assert_kept(&project.footprint(), None);
    project.git(&["branch", "-m", "loom", "elsewhere"]);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"), "{:?}", going.gate().map(|_| going.why()));
    assert_eq!(project.git(&["rev-parse", &format!("{}^", going.branch())]), project.git(&["rev-parse", "main"]));
}

#[test]
fn what_a_user_commits_meanwhile_is_not_touched_and_voids_nothing() {
    needs!("git", "sh");
    let project = Project::new();
    let base = project.git(&["rev-parse", "HEAD"]);
    let mut going = project.go(WORKS);
    project.write("notes.txt", "my own note\n");
    project.commit();
    project.git(&["checkout", "-q", "-b", "another"]);
    project.git(&["branch", "-q", "-D", "main"]);
    let before = project.footprint();
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    before.assert_kept(&project.footprint(), Some(&going.branch()));
    assert_eq!(project.git(&["rev-parse", &format!("{}^", going.branch())]), base);
}

#[test]
fn tasks_of_any_text_make_a_branch_with_a_plain_name() {
    needs!("git", "sh");
    let project = Project::new();
    let long = "long ".repeat(200_000);
    let tasks = [
        ("\u{1b}[31mred\u{7}\u{202e} \r\n../../etc\n", "31mred-etc"),
        ("---", "task"),
        ("\u{1f980}.lock", "lock"),
        ("-rf $(touch x) `id` ; @{-1} ~^:?*[\\", "rf-touch-x-id-1"),
        (long.as_str(), "long-long-long-long-long-long-long-long"),
    ];
    for (task, slug) in tasks {
        let mut session = project.session(WORKS).unwrap();
        let stream = session
            .open_run(task.as_bytes()[..8.min(task.len())].to_vec(), person(), task, code(), by_person("trivial"))
            .unwrap();
        let mut going = Going { session, stream };
        going.drive();
        let prompt = going.spawns()[0].prompt.unwrap();
        let prompt = going.session.engine().store().blob(&prompt).unwrap().unwrap();
        assert!(
            String::from_utf8_lossy(&prompt).contains(task.trim()),
            "{slug}: the prompt has the task as it was given"
        );
        going.answer(Answer::Accept);
        assert_eq!(going.closing(), Some("accepted"));
        let branch = format!("loom/{slug}-{}", hex(&stream.0[..4]));
        project.git(&["rev-parse", "--verify", "-q", &format!("refs/heads/{branch}")]);
    }
}
