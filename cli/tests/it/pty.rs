//! `loom run` at a terminal, as whoever sits there sees it: what stands on the screen, what is typed, Ctrl-C.

use crate::driven::{Driven, until};
use loom_server::{RemoteStore, Told, socket_of};
use loom_store::Store;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

/// Columns of the terminal; no line of these runs is longer.
const COLUMNS: u16 = 200;

/// A terminal with a command in its foreground.
struct Terminal {
    keys: File,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn begin(driven: &Driven, arguments: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = std::ffi::OsString::from_vec(ptsname(&master, Vec::new()).unwrap().into_bytes());
        tcsetwinsize(&master, Winsize { ws_row: 50, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let line = File::options().read(true).write(true).open(name).unwrap();
        // In a session of its own whose terminal this is: then Ctrl-C comes as a signal.
        let mut command = Command::new("setsid");
        driven.prepare(&mut command);
        command.args(["--ctty", env!("CARGO_BIN_EXE_loom")]).args(arguments.split_whitespace());
        command.stdin(line.try_clone().unwrap()).stdout(line.try_clone().unwrap()).stderr(line);
        let child = command.spawn().unwrap();
        let keys = File::from(master);
        let (mut screen, seen) = (keys.try_clone().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = seen.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // The terminal is gone once nobody has it open any more.
            while let Ok(bytes @ 1..) = screen.read(&mut piece) {
                kept.lock().unwrap().extend_from_slice(&piece[..bytes]);
            }
        });
        Terminal { keys, child, seen }
    }

    /// Returns the lines that stand on the screen now, the last one where the cursor is.
    fn screen(&self) -> Vec<String> {
        let seen = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        let (mut lines, mut column) = (vec![Vec::new()], 0);
        let mut rest = seen.chars().peekable();
        while let Some(letter) = rest.next() {
            let line: &mut Vec<char> = lines.last_mut().unwrap();
            match letter {
                '\r' => column = 0,
                '\n' => lines.push(Vec::new()),
                '\u{1b}' if rest.next_if_eq(&'[').is_some() => {
                    let mut order = String::new();
                    while order.chars().last().is_none_or(|end| !end.is_ascii_alphabetic()) {
                        let Some(letter) = rest.next() else { break };
                        order.push(letter);
                    }
                    // Everything else is colour.
                    if order == "2K" {
                        line.clear();
                    }
                }
                letter => {
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = letter;
                    column += 1;
                }
            }
        }
        lines.into_iter().map(String::from_iter).collect()
    }

    #[track_caller]
    fn shows(&self, what: &str, is_there: impl Fn(&[String]) -> bool) {
        assert!(until(|| is_there(&self.screen())), "{what}: {:#?}", self.screen());
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn ends(&mut self) -> Option<i32> {
        let mut ended = None;
        until(|| {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.and_then(|status| status.code().or_else(|| Some(128 + status.signal()?)))
    }
}

/// A project whose implementer is at work until there is a file `go`, and then has changed something.
fn project() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    let waits = format!("until [ -e '{}' ]; do sleep 0.05; done", driven.path("go").display());
    let turn = format!(
        "model = \"m\"\n[[turn]]\nagent = \"implementer\"\nrun = [\"sh\", \"-c\", \"{waits}\"]\n\
         edit = [{{ append = \"notes.sh\", content = \"# more\\n\" }}]\nsay = '{{\"summary\": \"done\"}}'\n"
    );
    fs::write(driven.path("model.toml"), turn).unwrap();
    driven
}

fn run(driven: &Driven) -> String {
    let script = driven.path("model.toml");
    format!("run a-task --script {} --complexity trivial --policy review-final", script.display())
}

/// Returns the status line: what stands where the cursor is.
fn status(screen: &[String]) -> &str {
    screen.last().map_or("", String::as_str)
}

#[test]
fn a_line_says_who_works_for_how_long_and_a_gate_takes_what_is_typed() {
    needs!("git", "sh", "setsid");
    let driven = project();
    let mut terminal = Terminal::begin(&driven, &run(&driven));
    terminal.shows("the stage is told", |screen| screen.iter().any(|line| line.contains("implement · round 1")));
    terminal.shows("who works", |screen| status(screen).starts_with("  implementer · 0:0"));
    terminal.shows("and how much it took", |screen| status(screen).contains(" · 0 tokens · "));
    terminal.shows("time moves on", |screen| {
        status(screen).starts_with("  implementer · 0:") && !status(screen).contains(" · 0:00 ")
    });
    fs::write(driven.path("go"), "").unwrap();
    terminal.shows("it asks", |screen| status(screen).ends_with(ASKS));
    terminal.types("accept\n");
    assert_eq!(terminal.ends(), Some(0), "{:#?}", terminal.screen());
    terminal.shows("it says how the run ended", |screen| screen.iter().any(|line| line.ends_with(" accepted")));
    let left: Vec<String> = terminal.screen().into_iter().filter(|line| line.contains(" tokens · ")).collect();
    assert_eq!(left, Vec::<String>::new(), "nothing of the line is left");
    driven.is_whole();
}

const ASKS: &str = "accept, revise NOTE, reject, abandon, or diff? ";

#[test]
fn whoever_looks_on_sees_model_tokens_cost_and_the_last_line_of_the_agent() {
    needs!("git", "sh", "setsid");
    let driven = project();
    let says = "echo '{\\\"summary\\\": \\\"done\\\"}'";
    let go = driven.path("go").display().to_string();
    let turn = format!(
        "model = \"m\"\n[[turn]]\nagent = \"implementer\"\ntokens_in = 1200\ntokens_out = 34\nmoney_micro = 1200\n\
         run = [\"sh\", \"-c\", \"{says}; until [ -e '{go}' ]; do sleep 0.05; done; rm '{go}'\"]\n\
         edit = [{{ append = \"notes.sh\", content = \"# more\\n\" }}]\n"
    );
    fs::write(driven.path("model.toml"), turn).unwrap();
    let mut terminal = Terminal::begin(&driven, &run(&driven));
    let works = |screen: &[String], spent: &str| {
        let line = status(screen);
        line.starts_with("  implementer · 0:")
            && line.ends_with(&format!(" · m · 1234 tokens · {spent} so far · {{\"summary\": \"done\"}}"))
    };
    terminal.shows("what the agent does", |screen| works(screen, "$0.00"));
    let socket = socket_of(&driven.path("state"), &driven.store_folder()).unwrap();
    let holder = RemoteStore::connect(&socket).unwrap();
    let (mut seen, stream) = (None, holder.runs(1).unwrap()[0].stream);
    let followed = holder.follow(Some(stream), 0, &mut |told| match told {
        Told::Live { live, .. } if live.model.is_some() => {
            seen = Some(live);
            ControlFlow::Break(())
        }
        Told::Live { .. } | Told::Event(_) | Told::Sign => ControlFlow::Continue(()),
    });
    assert!(followed.is_ok(), "{followed:?}");
    let seen = seen.unwrap();
    assert_eq!((seen.model.as_deref(), seen.tokens_in, seen.tokens_out), (Some("m"), Some(1200), Some(34)));
    assert_eq!(seen.line, "{\"summary\": \"done\"}");
    let mut onlooker = Terminal::begin(&driven, "log run:last --follow");
    onlooker.shows("the same from elsewhere", |screen| works(screen, "$0.00"));

    fs::write(driven.path("go"), "").unwrap();
    terminal.shows("it asks", |screen| status(screen).ends_with(ASKS));
    let ended = "implementer ended: ok, 1234 tokens, $0.0012, the tree changed";
    terminal.shows("what it cost", |screen| screen.iter().any(|line| line.ends_with(ended)));
    onlooker.shows("nothing is left of the line", |screen| {
        status(screen).is_empty() && screen.iter().any(|line| line.contains("gate.opened"))
    });
    terminal.types("revise more\n");
    terminal.shows("the run's cost so far", |screen| works(screen, "$0.0012"));
    fs::write(driven.path("go"), "").unwrap();
    terminal.shows("it asks again", |screen| status(screen).ends_with(ASKS));
    terminal.types("accept\n");
    assert_eq!(terminal.ends(), Some(0), "{:#?}", terminal.screen());
    let ended = |line: &String| line.contains("the run ended: accepted, $0.0024 (");
    terminal.shows("what the run cost", |screen| screen.iter().any(ended));
    assert_eq!(onlooker.ends(), Some(0), "{:#?}", onlooker.screen());
    driven.is_whole();
}

#[test]
fn a_run_that_another_process_drives_is_answered_like_ones_own_and_survives_it() {
    needs!("git", "sh", "setsid");
    let driven = project();
    fs::write(driven.path("go"), "").unwrap();
    let mut first = Terminal::begin(&driven, &run(&driven));
    first.shows("it asks", |screen| status(screen).ends_with(ASKS));

    let mut second = Terminal::begin(&driven, &run(&driven));
    second.shows("it asks", |screen| status(screen).ends_with(ASKS));
    assert!(second.screen().iter().any(|line| line.contains("which another process drives")));
    second.types("diff\n");
    second.shows("the work, and the question again", |screen| {
        screen.iter().any(|line| line == "+# more")
            && screen.iter().filter(|line| line.contains(ASKS)).count() == 2
            && status(screen).ends_with(ASKS)
    });
    let ran = driven.loom("answer run:last reject -m no");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(second.ends(), Some(1), "an answer given elsewhere is noticed: {:#?}", second.screen());

    let mut third = Terminal::begin(&driven, &run(&driven));
    third.shows("it asks", |screen| status(screen).ends_with(ASKS));
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    third.shows("who drove has gone, and it asks on", |screen| {
        screen.iter().any(|line| line.ends_with("who drove it has gone")) && status(screen).ends_with(ASKS)
    });
    third.types("accept\n");
    assert_eq!(third.ends(), Some(0), "{:#?}", third.screen());
    assert_eq!(
        third.screen().iter().filter(|line| line.contains("implementer works")).count(),
        1,
        "nothing is told twice"
    );
    driven.is_whole();
}

#[test]
fn ctrl_c_once_holds_the_run_when_what_is_under_way_has_ended() {
    needs!("git", "sh", "setsid");
    let driven = project();
    let mut terminal = Terminal::begin(&driven, &run(&driven));
    terminal.shows("somebody works", |screen| status(screen).starts_with("  implementer · "));
    terminal.types("\u{3}");
    terminal.shows("it says so", |screen| screen.iter().any(|line| line.contains("holding: what is under way ends")));
    assert!(terminal.child.try_wait().unwrap().is_none(), "what is under way ends first");
    fs::write(driven.path("go"), "").unwrap();
    assert_eq!(terminal.ends(), Some(130), "{:#?}", terminal.screen());
    assert!(!terminal.screen().iter().any(|line| line.contains(" tokens · ")), "{:#?}", terminal.screen());
    let log = driven.log();
    assert!(log.iter().any(|event| event["kind"] == "spawn.finished"), "the agent was not broken off");
    assert!(!log.iter().any(|event| event["kind"] == "check.finished"), "nothing new has begun");
    let ran = driven.loom(&format!("resume --script {}", driven.path("model.toml").display()));
    assert_eq!(ran.code, 3, "it goes on to its gate: {}{}", ran.out, ran.err);
    driven.is_whole();
}
