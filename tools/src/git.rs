//! Calls git so that nothing a repository says is executed.
//!
//! Two fences. The inner one is that git only ever works in git folders which we wrote (`git_folder.rs`), so no
//! configuration of a user or an agent is read at all. The outer one is here: an environment of our own, and switches on
//! each call that turn off everything by which git starts programs, should the inner fence have a hole.
//! Never: a shell, a pager, a prompt, a transport, a hook, the user's or the system's configuration.

use std::ffi::{OsStr, OsString};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use crate::error::Error;
use crate::process::{self, CancelToken, Command, Environment, Exit, Status};
use crate::repository::Project;

/// Git answers into memory; more than this is refused.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// No single call on a local repository takes this long unless the machine is stuck.
const TIMEOUT_MS: u64 = 30 * 60 * 1000;
const VERSION_MIN: (u32, u32) = (2, 38);

const SWITCHES: [&str; 20] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.sshCommand=false",
    "core.askPass=false",
    "core.alternateRefsCommand=false",
    "diff.external=",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.directory=*",
    // Nothing we made may be lost once we said that it is there.
    "core.fsync=objects,reference",
    "core.fsyncMethod=batch",
    "checkout.workers=4",
];

/// The installed git, and a folder of ours for what its calls need meanwhile.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    scratch: PathBuf,
    environment: Environment,
    never: CancelToken,
}

impl Git {
    /// Finds git on `search_path`. `scratch` is an existing folder that neither users nor agents write to.
    ///
    /// # Errors
    /// [`Error::ProgramMissing`] or [`Error::GitTooOld`].
    pub fn find(search_path: &OsStr, scratch: &Path) -> Result<Self, Error> {
        let git = Self::new(search_path, scratch)?;
        git.check()?;
        Ok(git)
    }

    /// Finds git as [`Git::find`] does, and meanwhile opens the repository that holds `path`.
    ///
    /// # Errors
    /// Those of [`Git::find`], which go before those of [`Project::open`].
    pub fn find_and_open(search_path: &OsStr, scratch: &Path, path: &Path) -> Result<(Self, Project), Error> {
        let git = Self::new(search_path, scratch)?;
        let (checked, project) = thread::scope(|scope| {
            let checking = scope.spawn(|| git.check());
            let project = Project::open(&git, path);
            (checking.join().unwrap_or_else(|panic| resume_unwind(panic)), project)
        });
        checked?;
        Ok((git, project?))
    }

    fn new(search_path: &OsStr, scratch: &Path) -> Result<Self, Error> {
        let environment = [
            ("PATH", search_path),
            ("HOME", OsStr::new("/nonexistent")),
            ("LC_ALL", OsStr::new("C")),
            ("TZ", OsStr::new("UTC")),
            ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
            ("GIT_CONFIG_SYSTEM", OsStr::new("/dev/null")),
            ("GIT_CONFIG_GLOBAL", OsStr::new("/dev/null")),
            ("GIT_ATTR_NOSYSTEM", OsStr::new("1")),
            ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
            ("GIT_OPTIONAL_LOCKS", OsStr::new("0")),
            ("GIT_NO_REPLACE_OBJECTS", OsStr::new("1")),
            ("GIT_NO_LAZY_FETCH", OsStr::new("1")),
            ("GIT_ALLOW_PROTOCOL", OsStr::new("none")),
            ("GIT_LITERAL_PATHSPECS", OsStr::new("1")),
            ("GIT_EDITOR", OsStr::new("false")),
            ("GIT_PAGER", OsStr::new("cat")),
        ]
        .map(|(name, value)| (name.into(), value.to_owned()))
        .into();
        Ok(Self { program: "git".into(), scratch: scratch.to_owned(), environment, never: CancelToken::new()? })
    }

    /// Whether it is there and new enough.
    fn check(&self) -> Result<(), Error> {
        let answer = self.call(&self.scratch, "version").run()?;
        let found = String::from_utf8_lossy(&answer).trim().to_owned();
        let mut numbers = found.trim_start_matches("git version ").split('.').map_while(|part| part.parse().ok());
        if (numbers.next(), numbers.next()) < (Some(VERSION_MIN.0), Some(VERSION_MIN.1)) {
            return Err(Error::GitTooOld { found });
        }
        Ok(())
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Prepares `git <name>` in a git folder that we wrote.
    pub(crate) fn call<'a>(&'a self, git_folder: &'a Path, name: &'a str) -> Call<'a> {
        let mut command = Command::new([&self.program], git_folder, self.environment.clone());
        command.timeout_ms = TIMEOUT_MS;
        command.output_max_bytes = ANSWER_BYTES_MAX;
        for switch in SWITCHES {
            command.argv.extend(["-c".into(), switch.into()]);
        }
        command.argv.push(name.into());
        Call { git: self, name, command }.variable("GIT_DIR", git_folder)
    }
}

/// A git call in the making.
pub(crate) struct Call<'a> {
    git: &'a Git,
    name: &'a str,
    command: Command,
}

impl Call<'_> {
    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.environment.insert(name.into(), value.into());
        self
    }

    pub(crate) fn work_tree(self, work: &Path) -> Self {
        self.variable("GIT_WORK_TREE", work)
    }

    pub(crate) fn index(self, index: &Path) -> Self {
        self.variable("GIT_INDEX_FILE", index)
    }

    pub(crate) fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.command.argv.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.command.stdin = bytes;
        self
    }

    pub(crate) fn answer_max(mut self, bytes: usize) -> Self {
        self.command.output_max_bytes = bytes;
        self
    }

    /// Runs the call and returns how it ended, success or not.
    pub(crate) fn exit(&self) -> Result<Exit, Error> {
        process::run(&self.command, &self.git.never)
    }

    /// Runs the call and returns how it ended; anything but exit code 0 is an error.
    pub(crate) fn success(&self) -> Result<Exit, Error> {
        let exit = self.exit()?;
        if exit.status != Status::Exited(0) {
            return Err(self.failure(&exit));
        }
        Ok(exit)
    }

    /// Runs the call and returns its whole answer.
    pub(crate) fn run(&self) -> Result<Vec<u8>, Error> {
        let stdout = self.success()?.stdout;
        if stdout.dropped_bytes > 0 {
            return Err(self.unusable(&format!("more than {ANSWER_BYTES_MAX} bytes")));
        }
        let mut answer = stdout.head;
        answer.extend_from_slice(&stdout.tail);
        Ok(answer)
    }

    /// Runs the call and returns the one line of its answer through `parse`.
    pub(crate) fn line<T>(&self, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Error> {
        let answer = self.run()?;
        let line = answer.strip_suffix(b"\n").unwrap_or(&answer);
        parse(line).ok_or_else(|| self.unusable(&String::from_utf8_lossy(line)))
    }

    pub(crate) fn failure(&self, exit: &Exit) -> Error {
        let message = String::from_utf8_lossy(&exit.stderr.to_bytes()).trim().to_owned();
        Error::Git { call: self.name.to_owned(), status: exit.status, message }
    }

    pub(crate) fn unusable(&self, why: &str) -> Error {
        Error::GitAnswer { call: self.name.to_owned(), why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Stdio;

    const QUESTION: &str = "protocol=https\nhost=example.invalid\n\n";
    const EXT: &str = "[protocol \"ext\"]\n\tallow = always\n";

    /// What is set, the call that it starts the canary in, and what that call is told. None of them leaves the machine.
    const SETTINGS: &[(&str, &[&str], &str)] = &[
        ("[core]\n\tfsmonitor = {program}\n", &["status"], ""),
        ("[core]\n\thooksPath = {folder}/hooks\n", &["update-ref", "refs/heads/new", "HEAD"], ""),
        ("[diff]\n\texternal = {program}\n", &["diff"], ""),
        ("[core]\n\teditor = {program}\n", &["commit", "--allow-empty"], ""),
        ("[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = {program}\n", &["commit", "--allow-empty", "-m", "x"], ""),
        ("[credential]\n\thelper = !{program}\n", &["credential", "fill"], QUESTION),
        ("[core]\n\taskPass = {program}\n", &["credential", "fill"], QUESTION),
        ("{ext}", &["ls-remote", "ext::{program}"], ""),
        ("{ext}[remote \"evil\"]\n\turl = ext::{program}\n", &["ls-remote", "evil"], ""),
        (
            "{ext}[url \"ext::{program} \"]\n\tinsteadOf = https://\n",
            &["ls-remote", "https://example.invalid/repository"],
            "",
        ),
        ("[core]\n\tsshCommand = {program}\n", &["ls-remote", "ssh://example.invalid/repository"], ""),
        ("[core]\n\tgitProxy = {program}\n", &["ls-remote", "git://example.invalid/repository"], ""),
        ("[remote \"evil\"]\n\turl = {folder}/repository\n\tuploadpack = {program}\n", &["ls-remote", "evil"], ""),
        (
            "{ext}[remote \"evil\"]\n\turl = ext::{program}\n\tpromisor = true\n",
            &["cat-file", "-e", "1234567890123456789012345678901234567890"],
            "",
        ),
    ];

    /// Calls git with nothing of ours around it, whatever comes of it.
    fn plainly(folder: &Path, arguments: &[String], stdin: &str) -> std::process::Output {
        let mut child = std::process::Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs([("PATH", SEARCH_PATH), ("HOME", "/nonexistent"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .envs([("GIT_AUTHOR_NAME", "u"), ("GIT_AUTHOR_EMAIL", "u@x")])
            .envs([("GIT_COMMITTER_NAME", "u"), ("GIT_COMMITTER_EMAIL", "u@x")])
            .envs([("GIT_TERMINAL_PROMPT", "0")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have ended without reading.
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
        child.wait_with_output().unwrap()
    }

    const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

    /// The outer fence alone: our calls in the user's own git folder, whose configuration git reads.
    #[test]
    fn switches_keep_a_repositorys_programs_from_being_started() {
        needs!("git", "sh");
        let mut started = Vec::new();
        for (config, call, stdin) in SETTINGS {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            let filled = |text: &str| {
                text.replace("{ext}", EXT)
                    .replace("{program}", path("canary").to_str().unwrap())
                    .replace("{folder}", folder.path().to_str().unwrap())
            };
            for inner in ["scratch", "hooks", "repository"] {
                fs::create_dir(path(inner)).unwrap();
            }
            let words = |words: &[&str]| words.iter().map(|word| filled(word)).collect::<Vec<_>>();
            for prepare in [&["init", "-q"][..], &["commit", "-q", "--allow-empty", "-m", "first"]] {
                let prepared = plainly(&path("repository"), &words(prepare), "");
                assert!(prepared.status.success(), "{prepared:?}");
            }
            fs::write(path("repository/file"), "one\n").unwrap();
            plainly(&path("repository"), &words(&["add", "file"]), "");
            fs::write(path("repository/file"), "two\n").unwrap();
            let trace = path("trace");
            for program in ["canary", "hooks/reference-transaction"] {
                fs::write(path(program), format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\n", trace.display())).unwrap();
                fs::set_permissions(path(program), fs::Permissions::from_mode(0o755)).unwrap();
            }
            let git_folder = path("repository/.git");
            let known = fs::read_to_string(git_folder.join("config")).unwrap();
            fs::write(git_folder.join("config"), format!("{known}{}", filled(config))).unwrap();

            let plain = plainly(&path("repository"), &words(call), stdin);
            assert!(trace.exists(), "{call:?} does not wake the canary: {plain:?}");
            fs::remove_file(&trace).unwrap();

            let git = Git::find(OsStr::new(SEARCH_PATH), &path("scratch")).unwrap();
            let call = words(call);
            let mut prepared = git.call(&git_folder, &call[0]).work_tree(&path("repository"));
            for (name, value) in [("NAME", "u"), ("EMAIL", "u@x")] {
                prepared = prepared.variable(&format!("GIT_AUTHOR_{name}"), value);
                prepared = prepared.variable(&format!("GIT_COMMITTER_{name}"), value);
            }
            prepared.arguments(&call[1..]).stdin(stdin.as_bytes().to_vec()).exit().unwrap();
            if let Ok(sung) = fs::read_to_string(&trace) {
                started.push(format!("{call:?}: {sung}"));
            }
        }
        assert!(started.is_empty(), "{}", started.join("\n"));
    }
}
