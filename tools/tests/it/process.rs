//! Children that behave, hang, flood, fork and hide.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use loom_tools::{CancelToken, Command, Environment, Error, Exit, Guard, Status, minimal_environment, run};

use crate::rig::SEARCH_PATH;

fn guard() -> Guard {
    Guard::Path(env!("CARGO_BIN_EXE_loom-guard").into())
}

fn both() -> [Guard; 2] {
    [Guard::None, guard()]
}

fn shell(folder: &Path, guard: Guard, script: &str) -> Command {
    let environment = minimal_environment(SEARCH_PATH.as_ref(), folder, folder);
    let mut command = Command::new(["sh", "-c", script], folder, environment);
    command.guard = guard;
    command.timeout_ms = 60_000;
    command.grace_ms = 200;
    command
}

fn go(command: &Command) -> Exit {
    run(command, &CancelToken::new().unwrap()).unwrap()
}

fn text(exit: &Exit) -> String {
    String::from_utf8(exit.stdout.to_bytes()).unwrap()
}

/// Waits until a condition holds; a minute is only for a machine that stands still.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::yield_now();
    }
}

/// Runs a command and cancels it as soon as a file is there.
fn cancel_at(command: &Command, file: &Path) -> Exit {
    let cancel = CancelToken::new().unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| run(command, &cancel).unwrap());
        until("the child starts", || file.exists());
        cancel.cancel();
        running.join().unwrap()
    })
}

/// Reads a pid once it has been written whole.
fn pid_in(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.strip_suffix('\n')?.to_owned())
}

fn is_alive(pid: &str) -> bool {
    // A zombie is dead; who has to reap it is another question.
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit(") ").next().unwrap().starts_with('Z')
}

#[test]
fn child_gets_its_input_and_answers_with_output_and_code() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        let mut command = shell(folder.path(), guard, "cat; pwd >&2; exit 7");
        command.stdin = vec![b'x'; 300_000];
        let exit = go(&command);
        assert_eq!(exit.status, Status::Exited(7));
        assert_eq!(exit.stdout.to_bytes(), command.stdin);
        let cwd = PathBuf::from(String::from_utf8(exit.stderr.to_bytes()).unwrap().trim());
        assert_eq!(cwd, fs::canonicalize(folder.path()).unwrap());
    }
}

#[test]
fn child_sees_the_given_environment_and_nothing_else() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        let mut command = shell(folder.path(), guard, "");
        command.argv = vec!["env".into()];
        command.environment = Environment::from([("PATH".into(), SEARCH_PATH.into()), ("ONLY".into(), "this".into())]);
        assert_eq!(text(&go(&command)), format!("ONLY=this\nPATH={SEARCH_PATH}\n"));
    }
    let minimal = minimal_environment(SEARCH_PATH.as_ref(), Path::new("/h"), Path::new("/t"));
    assert!(!minimal.contains_key(&OsString::from("TERM")));
}

#[test]
fn arguments_are_not_read_by_a_shell() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        let mut command = shell(folder.path(), guard, "");
        command.argv = ["echo", "$(id)", "a b", ";", "*"].map(Into::into).into();
        assert_eq!(text(&go(&command)), "$(id) a b ; *\n");
    }
}

#[test]
fn child_that_ignores_its_input_is_no_error() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        let mut command = shell(folder.path(), guard, "exec 0<&-; exit 0");
        command.stdin = vec![b'x'; 5_000_000];
        assert_eq!(go(&command).status, Status::Exited(0));
    }
}

#[test]
fn signal_is_told_from_exit_code() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        for signal in [9, 15, 11] {
            let exit = go(&shell(folder.path(), guard.clone(), &format!("kill -{signal} $$")));
            assert_eq!(exit.status, Status::Signalled(signal));
        }
    }
}

#[test]
fn missing_program_or_folder_is_a_typed_error() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        for program in ["no-such-program-here", "./no-such-file", "", "/etc/passwd"] {
            let mut command = shell(folder.path(), guard.clone(), "");
            command.argv = vec![program.into()];
            let error = run(&command, &CancelToken::new().unwrap()).unwrap_err();
            assert!(matches!(&error, Error::ProgramMissing { program: named } if named == program), "{error}");
        }
        let mut command = shell(folder.path(), guard, "");
        command.cwd = folder.path().join("gone");
        let error = run(&command, &CancelToken::new().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Start { .. }), "{error}");
    }
}

#[test]
fn hundred_megabytes_of_output_are_capped_at_both_ends() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        let mut command =
            shell(folder.path(), guard, "printf first; head -c 104857600 /dev/zero; printf last; echo err >&2");
        command.output_max_bytes = 1001;
        let exit = go(&command);
        assert_eq!(exit.status, Status::Exited(0));
        assert!(exit.stdout.head.starts_with(b"first") && exit.stdout.tail.ends_with(b"last"));
        assert_eq!((exit.stdout.head.len(), exit.stdout.tail.len()), (501, 500));
        assert_eq!(exit.stdout.dropped_bytes, 100 * 1024 * 1024 + 9 - 1001);
        assert_eq!(exit.stderr.to_bytes(), b"err\n");
    }
}

#[test]
fn output_below_the_cap_is_whole() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    for bytes_max in [0, 1, 5, 6, 7] {
        let mut command = shell(folder.path(), Guard::None, "printf abc; printf def");
        command.output_max_bytes = bytes_max;
        let stdout = go(&command).stdout;
        assert_eq!(stdout.dropped_bytes, 6_u64.saturating_sub(bytes_max as u64));
        assert_eq!([stdout.head, stdout.tail].concat().len(), bytes_max.min(6));
    }
}

#[test]
fn hang_past_the_time_kills_the_whole_group() {
    needs!("sh", "sleep");
    for guard in both() {
        let script = "trap '' TERM; (trap '' TERM; exec sleep 1000) & echo $! > pid; echo up; wait; wait";
        // On a machine under load the child may not come to its first line in the shortest time.
        let hung = [200, 2_000, 20_000].into_iter().find_map(|timeout_ms| {
            let folder = tempfile::tempdir().unwrap();
            let mut command = shell(folder.path(), guard.clone(), script);
            command.timeout_ms = timeout_ms;
            let exit = go(&command);
            assert_eq!(exit.status, Status::TimedOut);
            Some(pid_in(&folder.path().join("pid"))?).filter(|_| text(&exit) == "up\n")
        });
        let pid = hung.unwrap();
        until("the background child dies", || !is_alive(&pid));
    }
}

#[test]
fn a_child_that_is_silent_for_too_long_is_stopped_and_one_that_speaks_is_not() {
    needs!("sh", "sleep");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        // On a machine under load the child may not come to its first line in the shortest time.
        let spoke = [200, 2_000, 20_000].into_iter().any(|idle_ms| {
            let mut command = shell(folder.path(), guard.clone(), "echo one; sleep 600");
            command.idle_ms = Some(idle_ms);
            let exit = go(&command);
            assert_eq!(exit.status, Status::Idle);
            assert!(exit.duration_ms >= idle_ms, "{} ms", exit.duration_ms);
            text(&exit) == "one\n"
        });
        assert!(spoke);
        // It speaks on either stream, and for longer than it may be silent.
        let script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; echo $i >&2; sleep 0.3; done";
        let mut command = shell(folder.path(), guard, script);
        command.idle_ms = Some(3_000);
        let exit = go(&command);
        assert_eq!(exit.status, Status::Exited(0));
        assert!(exit.duration_ms >= 3_000, "{} ms", exit.duration_ms);
    }
}

#[test]
fn child_that_minds_the_asking_may_say_goodbye() {
    needs!("sh", "sleep");
    for guard in both() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo bye; exit 3' TERM; echo > ready; while :; do sleep 0.01; done";
        let mut command = shell(folder.path(), guard, script);
        command.grace_ms = 50_000;
        let exit = cancel_at(&command, &folder.path().join("ready"));
        assert_eq!((exit.status, text(&exit).as_str()), (Status::Cancelled, "bye\n"));
        assert!(exit.duration_ms < 40_000, "{}", exit.duration_ms);
    }
}

#[test]
fn cancelled_token_stops_the_next_child_at_once() {
    needs!("sh", "sleep");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        let cancel = CancelToken::new().unwrap();
        assert!(!cancel.is_cancelled());
        cancel.clone().cancel();
        assert!(cancel.is_cancelled());
        let exit = run(&shell(folder.path(), guard, "sleep 1000"), &cancel).unwrap();
        assert_eq!(exit.status, Status::Cancelled);
    }
}

#[test]
fn background_child_does_not_outlive_a_normal_exit() {
    needs!("sh", "sleep");
    let folder = tempfile::tempdir().unwrap();
    for guard in both() {
        let exit = go(&shell(folder.path(), guard, "sleep 1000 & echo $! > pid; echo done"));
        assert_eq!((exit.status, text(&exit).as_str()), (Status::Exited(0), "done\n"));
        let pid = pid_in(&folder.path().join("pid")).unwrap();
        until("the background child dies", || !is_alive(&pid));
    }
}

/// Starts a grandchild in a session of its own that holds the output pipes, and waits for it to be there.
const RUNAWAY: &str = "setsid sh -c 'echo $$ > pid.new; mv pid.new pid; exec sleep 1000' & \
                       while ! test -e pid; do sleep 0.01; done; echo done";

#[test]
fn runaway_that_holds_the_pipes_does_not_hold_us() {
    needs!("sh", "sleep", "setsid");
    let folder = tempfile::tempdir().unwrap();
    let exit = go(&shell(folder.path(), Guard::None, RUNAWAY));
    assert_eq!((exit.status, text(&exit).as_str()), (Status::Exited(0), "done\n"));
    assert!(exit.duration_ms < 30_000);
    // Without a guard it does survive, which is why there is one.
    let pid = pid_in(&folder.path().join("pid")).unwrap();
    assert!(is_alive(&pid));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[test]
fn guard_kills_runaways_after_a_normal_exit() {
    needs!("sh", "sleep", "setsid");
    let folder = tempfile::tempdir().unwrap();
    let exit = go(&shell(folder.path(), guard(), RUNAWAY));
    assert_eq!((exit.status, text(&exit).as_str()), (Status::Exited(0), "done\n"));
    assert!(!is_alive(&pid_in(&folder.path().join("pid")).unwrap()));
}

#[test]
fn guard_kills_runaways_when_stopped() {
    needs!("sh", "sleep", "setsid");
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut command = shell(folder.path(), guard(), &format!("{RUNAWAY}; sleep 1000"));
    // More than a pipe holds, never read: the order to stop must get past it.
    command.stdin = vec![b'x'; 5_000_000];
    assert_eq!(cancel_at(&command, &pid).status, Status::Cancelled);
    assert!(!is_alive(&pid_in(&pid).unwrap()));
}

#[test]
fn guard_kills_everything_when_the_driver_dies() {
    needs!("sh", "sleep", "setsid");
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    // `cat` is the driver: it holds the lifeline of a guard and is killed.
    let script = format!(
        "{{ printf '\\0\\0\\0\\0\\0\\0\\0\\0'; exec cat; }} | '{}' __guard 100 plain /bin/sh -c \"$1\"",
        env!("CARGO_BIN_EXE_loom-guard")
    );
    let mut driver = std::process::Command::new("sh")
        .args(["-c", &script, "sh", &format!("{RUNAWAY}; sleep 1000")])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(driver.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "done\n");
    let pid = pid_in(&pid).unwrap();
    assert!(is_alive(&pid));
    drop(driver.stdin.take());
    driver.wait().unwrap();
    until("the runaway dies", || !is_alive(&pid));
}

#[test]
fn guard_that_is_asked_to_stop_takes_its_child_along() {
    needs!("sh", "sleep", "setsid");
    let folder = tempfile::tempdir().unwrap();
    let exit = go(&shell(folder.path(), guard(), &format!("{RUNAWAY}; kill -TERM $PPID; sleep 1000")));
    assert_eq!(exit.status, Status::Signalled(15));
    assert!(!is_alive(&pid_in(&folder.path().join("pid")).unwrap()));
}

#[test]
fn many_children_at_once_keep_their_outputs_apart() {
    needs!("sh");
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for number in 0..32 {
            let command = shell(folder.path(), Guard::None, &format!("echo {number}"));
            scope.spawn(move || assert_eq!(text(&go(&command)), format!("{number}\n")));
        }
    });
}
