//! The user's repository: read through a view, changed by one branch.
//!
//! A view is a git folder of ours (our configuration, attributes, no hooks) whose `objects`, `refs` and `packed-refs` are
//! symbolic links to the user's. So git works on the user's data and locks, yet never reads the user's configuration,
//! which can name programs in a dozen ways. Discovery needs no git; of the configuration three settings are read as text.
//! Never: moves HEAD, touches the index or the work tree, changes or deletes a ref.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, file};
use crate::git::Git;
use crate::git_folder::{self, For};
use crate::object_id::{CommitId, EntryId, ObjectFormat, TreeId};
use crate::process::Status;
use crate::tree::{Listing, Mode};

/// More folders of objects than anybody borrows from.
const ALTERNATES_MAX: usize = 64;

/// A user's repository as it was when opened. Later commits of the user show in [`Project::present_head`] alone.
#[derive(Debug)]
pub struct Project {
    git: Git,
    root: PathBuf,
    /// Holds HEAD and index; for a linked work tree not the same as `common_folder`.
    git_folder: PathBuf,
    /// Holds objects and refs.
    common_folder: PathBuf,
    view: TempDir,
    format: ObjectFormat,
    head: Head,
}

/// Where HEAD stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch that it is on; absent where it is detached.
    pub branch: Option<Vec<u8>>,
    /// Its commit.
    pub commit: CommitId,
    /// The tree of that commit.
    pub tree: TreeId,
    /// The names in the top folder of that tree.
    pub names: Vec<Vec<u8>>,
}

/// How many paths of the work tree a run that starts from HEAD will not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncommitted {
    /// Tracked paths that differ from HEAD, in the index or in the work tree.
    pub changed: u64,
    /// Paths that are neither tracked nor ignored; a whole folder counts once.
    pub untracked: u64,
}

/// What asking for a branch led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// It is new.
    Created,
    /// It was there, at the same commit.
    AlreadyThere,
}

impl Project {
    /// Opens the repository that holds `path`.
    ///
    /// # Errors
    /// [`Error::NotARepository`], [`Error::Bare`], [`Error::Empty`], [`Error::RefFormat`], or what git says.
    pub fn open(git: &Git, path: &Path) -> Result<Self, Error> {
        let path = fs::canonicalize(path).map_err(file("find", path))?;
        let (root, git_folder) = discover(&path)?;
        let common_folder = common_folder(&git_folder)?;
        let head = read_head(&git_folder)?;

        let view = tempfile::Builder::new()
            .prefix("view-")
            .tempdir_in(git.scratch())
            .map_err(file("create a folder in", git.scratch()))?;
        git_folder::write(view.path(), For::Loom, ObjectFormat::Sha1, &head)?;
        let settings = read_settings(git, view.path(), &common_folder)?;
        let setting = |name: &str| settings.get(name).map(String::as_str);
        // A linked work tree of a bare repository is a work tree all the same.
        if git_folder == common_folder && setting("core.bare").is_some_and(is_true) {
            return Err(Error::Bare { path: git_folder });
        }
        if let Some(format) = setting("extensions.refstorage").filter(|format| *format != "files") {
            return Err(Error::RefFormat { path: root, format: format.to_owned() });
        }
        let format = match setting("extensions.objectformat") {
            Some("sha256") => ObjectFormat::Sha256,
            _ => ObjectFormat::Sha1,
        };
        git_folder::write(view.path(), For::Loom, format, &head)?;
        link_view(view.path(), &common_folder)?;
        let head = resolve(git, view.path(), &root, &head)?;
        Ok(Self { git: git.clone(), root, git_folder, common_folder, view, format, head })
    }

    /// Reads again where HEAD stands; what was opened stays.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Empty`], or what git says.
    pub fn present_head(&self) -> Result<Head, Error> {
        let text = self.show_head()?;
        resolve(&self.git, self.view.path(), &self.root, &text)
    }

    /// Returns the top folder of the work tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the hash that the repository names its objects by.
    pub fn object_format(&self) -> ObjectFormat {
        self.format
    }

    /// Returns where HEAD stood when the repository was opened.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Counts what is in the work tree and not in HEAD.
    ///
    /// Bytes are compared, not what filters would make of them: in a project with line-ending or content filters a
    /// touched but unchanged file may count.
    ///
    /// # Errors
    /// What git says, for example of a damaged index.
    pub fn uncommitted(&self) -> Result<Uncommitted, Error> {
        self.show_head()?;
        let answer = self
            .git
            .call(self.view.path(), "status")
            .work_tree(&self.root)
            .index(&self.git_folder.join("index"))
            .arguments(["--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=all"])
            .run()?;
        let entries = || answer.split(|&byte| byte == 0).filter(|entry| !entry.is_empty());
        let untracked = entries().filter(|entry| entry.starts_with(b"??")).count() as u64;
        Ok(Uncommitted { changed: entries().count() as u64 - untracked, untracked })
    }

    /// Returns the paths of the submodules in HEAD. A workspace holds an empty folder for each and leaves it as it is.
    ///
    /// # Errors
    /// What git says.
    pub fn submodules(&self) -> Result<Vec<Vec<u8>>, Error> {
        let entries = Listing::read(&self.git, self.view.path(), self.head.tree)?.entries;
        Ok(entries.into_iter().filter(|(_, entry)| entry.mode == Mode::Submodule).map(|(path, _)| path).collect())
    }

    /// Returns the commit of a branch, or `None` when there is no such branch.
    ///
    /// # Errors
    /// [`Error::BranchInvalid`], or what git says.
    pub fn branch(&self, name: &str) -> Result<Option<CommitId>, Error> {
        let full = full_name(name);
        let invalid = || Error::BranchInvalid { name: name.to_owned() };
        // No argument can carry a NUL, and no command line a branch with a leading dash.
        if name.contains('\0') || name.starts_with('-') {
            return Err(invalid());
        }
        let valid = self.git.call(self.view.path(), "check-ref-format").arguments([&full]).exit()?;
        if valid.status != Status::Exited(0) {
            return Err(invalid());
        }
        let call =
            self.git.call(self.view.path(), "for-each-ref").arguments(["--format=%(objectname) %(refname)", &full]);
        let answer = call.run()?;
        // The argument also matches what lies beneath it.
        answer
            .split(|&byte| byte == b'\n')
            .find_map(|line| line.strip_suffix(full.as_bytes())?.strip_suffix(b" "))
            .map(|id| CommitId::from_hex(id).ok_or_else(|| call.unusable("not a commit id")))
            .transpose()
    }

    /// Creates the branch `name` at a commit whose objects are in the repository, if it is absent. No hook runs, no
    /// reflog is written, nothing else changes.
    ///
    /// # Errors
    /// [`Error::BranchExists`] when it is there with another commit, [`Error::BranchInvalid`], or what git says, for
    /// example that a branch `loom` is in the way of `loom/x`.
    pub fn branch_create(&self, name: &str, commit: CommitId) -> Result<Branch, Error> {
        if let Some(there) = self.branch(name)? {
            return already_there(name, there, commit);
        }
        let call = self
            .git
            .call(self.view.path(), "update-ref")
            .arguments(["--stdin", "-z"])
            .stdin(format!("create {}\0{commit}\0", full_name(name)).into_bytes());
        let exit = call.exit()?;
        if exit.status == Status::Exited(0) {
            let heads = self.common_folder.join("refs/heads");
            let branch = heads.join(name);
            // Every folder between may be new.
            for folder in branch.ancestors().skip(1).take_while(|folder| folder.starts_with(&heads)) {
                git_folder::sync_folder(folder)?;
            }
            return Ok(Branch::Created);
        }
        match self.branch(name)? {
            Some(there) => already_there(name, there, commit),
            None => Err(call.failure(&exit)),
        }
    }

    /// Returns the object folder that workspaces borrow from. It may borrow in turn, as its `info/alternates` says.
    pub fn objects(&self) -> PathBuf {
        self.common_folder.join("objects")
    }

    /// Returns the object folder and those that it borrows from, as far as they are there: all that a workspace's git reads.
    pub fn object_folders(&self) -> Vec<PathBuf> {
        let mut found = vec![self.objects()];
        let mut next = 0;
        while let Some(folder) = found.get(next).cloned() {
            next += 1;
            let listed = fs::read(folder.join("info/alternates")).unwrap_or_default();
            for line in listed.split(|&byte| byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
                let path = folder.join(OsStr::from_bytes(&git_folder::unquote(line)));
                if path.is_dir() && !found.contains(&path) && found.len() < ALTERNATES_MAX {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Lets the view's HEAD be what the user's is, and returns its text.
    fn show_head(&self) -> Result<Vec<u8>, Error> {
        let text = read_head(&self.git_folder)?;
        let place = self.view.path().join("HEAD");
        // Another thread may be reading it, for the same reason.
        let next =
            tempfile::NamedTempFile::new_in(self.view.path()).map_err(file("make a file in", self.view.path()))?;
        git_folder::write_file(next.path(), &[&text[..], b"\n"].concat())?;
        next.persist(&place).map_err(|error| file("write", &place)(error.error))?;
        Ok(text)
    }

    pub(crate) fn git(&self) -> &Git {
        &self.git
    }

    pub(crate) fn view(&self) -> &Path {
        self.view.path()
    }

    pub(crate) fn shallow(&self) -> PathBuf {
        self.common_folder.join("shallow")
    }
}

/// Reads blobs, in one call and in order.
pub(crate) fn blobs(git: &Git, git_folder: &Path, ids: impl Iterator<Item = EntryId>) -> Result<Vec<Vec<u8>>, Error> {
    let wanted: Vec<u8> = ids.flat_map(|id| format!("{id}\n").into_bytes()).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let call = git.call(git_folder, "cat-file").arguments(["--batch=%(objectsize)"]).stdin(wanted);
    let answer = call.run()?;
    let mut rest = &answer[..];
    let mut blobs = Vec::new();
    while !rest.is_empty() {
        let (blob, after) =
            split_blob(rest).ok_or_else(|| call.unusable("neither a size and a blob, nor the whole of it"))?;
        blobs.push(blob.to_vec());
        rest = after;
    }
    Ok(blobs)
}

/// Takes `SIZE LF BLOB LF` apart.
fn split_blob(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answer.iter().position(|&byte| byte == b'\n')?;
    let size: usize = std::str::from_utf8(&answer[..end]).ok()?.parse().ok()?;
    let (blob, rest) = answer[end + 1..].split_at_checked(size)?;
    Some((blob, rest.strip_prefix(b"\n")?))
}

fn already_there(name: &str, there: CommitId, wanted: CommitId) -> Result<Branch, Error> {
    if there == wanted {
        Ok(Branch::AlreadyThere)
    } else {
        Err(Error::BranchExists { name: name.to_owned(), commit: there })
    }
}

fn full_name(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// Finds the nearest `.git` at or above `path`: the work tree and its git folder. A folder that is itself a git folder
/// is a bare repository to us.
fn discover(path: &Path) -> Result<(PathBuf, PathBuf), Error> {
    for folder in path.ancestors() {
        let dot_git = folder.join(".git");
        if is_git_folder(&dot_git) {
            return Ok((folder.to_owned(), fs::canonicalize(&dot_git).map_err(file("find", &dot_git))?));
        }
        if let Ok(text) = fs::read(&dot_git)
            && let Some(target) = text.strip_prefix(b"gitdir: ")
        {
            let target = folder.join(OsStr::from_bytes(target.trim_ascii_end()));
            return Ok((folder.to_owned(), fs::canonicalize(&target).map_err(file("find", &target))?));
        }
        if is_git_folder(folder) {
            return Err(Error::Bare { path: folder.to_owned() });
        }
    }
    Err(Error::NotARepository { path: path.to_owned() })
}

fn is_git_folder(path: &Path) -> bool {
    path.join("HEAD").exists() && path.join("objects").is_dir() && path.join("refs").is_dir()
}

fn common_folder(git_folder: &Path) -> Result<PathBuf, Error> {
    let pointer = git_folder.join("commondir");
    match fs::read(&pointer) {
        Ok(text) => {
            let common = git_folder.join(OsStr::from_bytes(text.trim_ascii_end()));
            fs::canonicalize(&common).map_err(file("find", &common))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(git_folder.to_owned()),
        Err(error) => Err(file("read", &pointer)(error)),
    }
}

fn read_head(git_folder: &Path) -> Result<Vec<u8>, Error> {
    let head = git_folder.join("HEAD");
    Ok(fs::read(&head).map_err(file("read", &head))?.trim_ascii_end().to_vec())
}

/// Finds where HEAD, which has this text, stands in a view that has it too.
fn resolve(git: &Git, view: &Path, root: &Path, text: &[u8]) -> Result<Head, Error> {
    let branch = text.strip_prefix(b"ref: ").map(<[u8]>::trim_ascii);
    let both = git.call(view, "cat-file").arguments(["--batch"]).stdin(b"HEAD^{commit}\nHEAD^{tree}\n".to_vec());
    let answer = both.run()?;
    let Some((commit, tree, names)) = commit_and_tree(&answer) else {
        // Which of two things is missing is asked only now: a commit, or one that the repository should have.
        let one = git.call(view, "rev-parse").arguments(["--verify", "--quiet", "HEAD^{tree}"]);
        let exit = one.exit()?;
        return Err(match exit.status {
            Status::Exited(1) if branch.is_some() => Error::Empty { path: root.to_owned() },
            Status::Exited(0) => both.unusable("not a commit and its tree"),
            _ => one.failure(&exit),
        });
    };
    let branch = branch.map(|name| name.strip_prefix(b"refs/heads/").unwrap_or(name).to_vec());
    Ok(Head { branch, commit, tree, names })
}

/// Takes a commit, its tree and the names in it from the two objects as `cat-file --batch` tells them.
fn commit_and_tree(answer: &[u8]) -> Option<(CommitId, TreeId, Vec<Vec<u8>>)> {
    let (commit, _, rest) = split_object(answer, b"commit")?;
    let (tree, mut entries, _) = split_object(rest, b"tree")?;
    let tree = TreeId::from_hex(tree)?;
    let mut names = Vec::new();
    // `MODE NAME NUL ID`, the id in raw bytes.
    while !entries.is_empty() {
        let end = entries.iter().position(|&byte| byte == 0)?;
        let start = entries[..end].iter().position(|&byte| byte == b' ')? + 1;
        names.push(entries[start..end].to_vec());
        entries = entries.get(end + 1 + tree.as_bytes().len()..)?;
    }
    Some((CommitId::from_hex(commit)?, tree, names))
}

/// Takes `ID KIND SIZE LF CONTENT LF` apart: the id, the content, what follows.
fn split_object<'a>(answer: &'a [u8], kind: &[u8]) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let end = answer.iter().position(|&byte| byte == b'\n')?;
    let mut words = answer[..end].split(|&byte| byte == b' ');
    let id = words.next()?;
    if words.next()? != kind {
        return None;
    }
    let size = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let (content, rest) = answer[end + 1..].split_at_checked(size)?;
    Some((id, content, rest.strip_prefix(b"\n")?))
}

/// Reads the user's configuration file as text, by names in small letters: no includes, nothing applied. The last of
/// several values holds, as for git.
fn read_settings(git: &Git, view: &Path, common: &Path) -> Result<BTreeMap<String, String>, Error> {
    let config = common.join("config");
    if !config.exists() {
        return Ok(BTreeMap::new());
    }
    let call = git.call(view, "config").arguments([OsStr::new("--file"), config.as_os_str()]).arguments([
        "--no-includes",
        "--list",
        "-z",
    ]);
    let answer = call.run()?;
    let entries = answer.split(|&byte| byte == 0).filter(|entry| !entry.is_empty()).map(String::from_utf8_lossy);
    let pair = |entry: &str| match entry.split_once('\n') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        // A name alone is a true.
        None => (entry.to_owned(), "true".to_owned()),
    };
    Ok(entries.map(|entry| pair(&entry)).collect())
}

/// Whether git takes a value for true.
fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on")
        || value.parse::<i64>().is_ok_and(|number| number != 0)
}

fn link_view(view: &Path, common: &Path) -> Result<(), Error> {
    for folder in ["objects", "refs"] {
        fs::remove_dir_all(view.join(folder)).map_err(file("remove", &view.join(folder)))?;
    }
    // The last two need not exist: a dangling link reads as no file, and follows when the file appears.
    for name in ["objects", "refs", "packed-refs", "shallow"] {
        symlink(common.join(name), view.join(name)).map_err(file("link", &view.join(name)))?;
    }
    git_folder::copy_if_present(&common.join("info/exclude"), &view.join("info/exclude"))
}
