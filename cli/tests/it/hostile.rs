//! Files that somebody else made: endless, huge, packed, oddly named, or a pipe; rules that cost what nobody has; a store
//! that is written meanwhile. Each is refused by a sentence with its bound, or judged; nothing is read further than it may be.

use crate::driven::Driven;
use crate::made::Until;
use crate::replaying::LATER;
use crate::rig::{Place, Ran};
use loom_store::Store;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

/// Memory that a command may ask for here, kilobytes: a small part of what the files say that they hold.
const MEMORY_KB: u64 = 700_000;

fn place() -> Place {
    let place = Place::with(&[Until::End]);
    fs::write(place.path().join("later.rules"), LATER).unwrap();
    assert_eq!(place.loom("export run:last -o run.trace").code, 0);
    place
}

/// Runs a command with little memory.
fn cramped(place: &Place, program: &str, arguments: &str) -> Ran {
    let command = place.command("");
    let script = format!("ulimit -v {MEMORY_KB} && exec \"$@\"");
    let mut cramped = Command::new("/bin/sh");
    cramped.current_dir(place.path()).env_clear();
    for (name, value) in command.get_envs() {
        cramped.env(name, value.unwrap_or_default());
    }
    cramped
        .stdin(Stdio::null())
        .args(["-c", &script, "sh", program])
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
        .into()
}

fn replay(place: &Place, arguments: &str) -> Ran {
    cramped(place, env!("CARGO_BIN_EXE_loom-replay"), arguments)
}

fn of_loom(place: &Place, arguments: &str) -> Ran {
    cramped(place, env!("CARGO_BIN_EXE_loom"), arguments)
}

/// A file that begins so and goes on with nothing up to ten gigabytes.
fn vast(place: &Place, name: &str, begin: &[u8]) {
    let mut file = File::create(place.path().join(name)).unwrap();
    file.write_all(begin).unwrap();
    file.set_len(10 << 30).unwrap();
}

#[track_caller]
fn is(ran: &Ran, code: i32, told: &str) {
    assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains(told) || ran.out.contains(told), "{told}: {}{}", ran.out, ran.err);
    assert!(!ran.err.contains("memory") && !ran.err.contains("panicked"), "{}", ran.err);
}

#[test]
fn what_has_no_end_is_read_no_further_than_it_may_be() {
    let place = place();
    vast(&place, "vast.rules", LATER.as_bytes());
    vast(&place, "vast.receipt", b"loom-receipt\n");
    vast(&place, "vast.trace", b"loom-trace\n");
    vast(&place, "vast.key", b"");
    let bound = "at most 1048576 are read";
    for (rules, code, told) in [("vast.rules", 1, bound), ("/dev/zero", 2, "/dev/zero is no regular file")] {
        is(&replay(&place, &format!("judge --rules {rules} run.trace")), code, told);
        is(&replay(&place, &format!("what-if --at 0 --rules {rules} run.trace")), code, told);
        is(&replay(&place, &format!("shrink --rules {rules} -o small.trace run.trace")), code, told);
        is(&replay(&place, &format!("query --on stage.entered --facts {rules} run.trace true")), code, told);
        is(&of_loom(&place, &format!("rules check {rules}")), code, told);
        is(&of_loom(&place, &format!("prove run:last -o a.receipt --rules {rules}")), code, told);
    }
    // SCRIPT-2
    vast(&place, "vast.toml", b"model = \"m\"\n");
    for (script, told) in [("vast.toml", "it is longer than the 1048576 bytes"), ("/dev/zero", "is no regular file")] {
        is(&of_loom(&place, &format!("resume --script {script}")), 2, told);
    }
    is(&of_loom(&place, "verify vast.receipt"), 6, "more than 67108864 bytes");
    is(&of_loom(&place, "verify vast.trace"), 6, "damaged at byte 11");
    is(&of_loom(&place, "verify --checkpoint vast.key"), 6, "WITNESS-1");
    assert_eq!(of_loom(&place, "prove run:last -o run.receipt").code, 0);
    for key in ["vast.key", "/dev/zero"] {
        is(&of_loom(&place, &format!("verify run.receipt --key {key}")), 2, "no public key");
    }
    for trace in ["vast.trace", "/dev/zero"] {
        for command in ["judge --rules later.rules", "verify"] {
            assert_eq!(replay(&place, &format!("{command} {trace}")).code, 6, "{command} {trace}");
        }
        assert_eq!(replay(&place, &format!("query --on stage.entered {trace} true")).code, 6, "{trace}");
        assert!([6, 9].contains(&replay(&place, &format!("redrive {trace}")).code), "{trace}");
    }
}

/// `LOOM_TEST_GIGABYTES=10` takes ten; by default it is one.
#[test]
fn a_huge_trace_is_read_to_its_end_in_little_memory() {
    let place = place();
    let gigabytes = std::env::var("LOOM_TEST_GIGABYTES").ok().and_then(|count| count.parse().ok()).unwrap_or(1u64);
    let header = fs::read(place.path().join("run.trace")).unwrap()[..11 + 38].to_vec();
    let mut file = File::create(place.path().join("huge.trace")).unwrap();
    file.write_all(&header).unwrap();
    // Blobs as large as they may be, each another one, of which the disk holds a page.
    let mut at = header.len() as u64;
    for number in 0..gigabytes * 4 {
        let begin = [&[0x82, 1, 0x5a, 0x10, 0, 0, 0][..], &number.to_be_bytes()].concat();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&begin).unwrap();
        at += 7 + (256 << 20);
    }
    file.set_len(at).unwrap();
    let ran = replay(&place, "judge --rules later.rules --json huge.trace");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, 6, "{told}");
    assert!(told["left_out"][0]["what"].to_string().contains(&format!("byte {at}")), "{told}");
    is(&of_loom(&place, "verify huge.trace"), 6, &format!("byte {at}"));
    is(&replay(&place, "redrive huge.trace"), 9, "there are more than 268435456 bytes");
    is(&of_loom(&place, "verify --redrive huge.trace"), 9, "there are more than 268435456 bytes");
    // The head of a blob that is larger than that is refused where it stands.
    file.seek(SeekFrom::Start(header.len() as u64)).unwrap();
    file.write_all(&[0x82, 1, 0x5a, 0x10, 0, 0, 1]).unwrap();
    is(&replay(&place, "verify huge.trace"), 6, "TRACE-5");
}

/// Read with work that grows with the square of their number they would take minutes.
#[test]
fn a_hundred_thousand_blobs_before_the_first_event_are_each_read_once() {
    let place = place();
    let mut bytes = fs::read(place.path().join("run.trace")).unwrap()[..11 + 38].to_vec();
    for number in 0..100_000u32 {
        bytes.extend([0x82, 1, 0x45, 0]);
        bytes.extend(number.to_be_bytes());
    }
    fs::write(place.path().join("many.trace"), &bytes).unwrap();
    let end = format!("byte {}: the file ends inside the run (TRACE-2)", bytes.len());
    is(&replay(&place, "verify many.trace"), 6, &end);
    is(&of_loom(&place, "verify many.trace"), 6, &end);
}

/// Nobody ever writes to the pipe: who opened it would wait.
#[test]
fn a_pipe_is_no_checkpoint_no_script_no_key_and_no_rules() {
    let place = place();
    assert_eq!(place.loom("witness seen/").code, 0);
    let name = fs::read_dir(place.path().join("seen")).unwrap().next().unwrap().unwrap().file_name();
    let name = name.into_string().unwrap();
    let origin = name.split_once('-').unwrap().0;
    let within = place.path().join(format!("seen/{origin}-{:020}.checkpoint", 1));
    assert!(Command::new("mkfifo").args([&within, &place.path().join("pipe")]).status().unwrap().success());
    for command in ["witness seen/", "verify --checkpoint seen/", "prove run:last -o a.receipt --checkpoint seen/"] {
        is(&of_loom(&place, command), 6, "is no regular file (WITNESS-1)");
    }
    is(&replay(&place, "verify .loom --checkpoint seen/"), 6, "is no regular file (WITNESS-1)");
    for command in [
        "witness pipe",
        "verify --checkpoint pipe",
        "prove run:last -o a.receipt --checkpoint pipe",
        "prove run:last -o a.receipt --rules pipe",
        "rules check pipe",
        "resume --script pipe",
    ] {
        is(&of_loom(&place, command), 2, "pipe is no regular file and is not read");
    }
    is(&of_loom(&place, "verify --key pipe"), 2, "no public key");
}

#[test]
fn a_packed_trace_is_no_trace_and_is_not_unpacked() {
    let place = place();
    // A gigabyte of nothing, as gzip begins and zstd, xz, zip and bzip2 do.
    let begins: [&[u8]; 5] =
        [b"\x1f\x8b\x08\0\0\0\0\0", b"\x28\xb5\x2f\xfd\x24\0", b"\xfd7zXZ\0", b"PK\x03\x04", b"BZh91AY&SY"];
    for (number, begin) in begins.iter().enumerate() {
        let bytes = [begin, &[0; 4096][..]].concat();
        fs::write(place.path().join(format!("{number}.trace")), &bytes).unwrap();
        fs::write(place.path().join(format!("{number}.trace.packed")), &bytes).unwrap();
        for file in [format!("{number}.trace"), format!("{number}.trace.packed")] {
            is(
                &replay(&place, &format!("judge --rules later.rules {file}")),
                6,
                "the file is not a trace of a loom run",
            );
            is(&replay(&place, &format!("verify {file}")), 6, "the file is not a trace of a loom run");
            is(&of_loom(&place, &format!("verify {file}")), 6, "the file is not a trace of a loom run");
        }
    }
    // In a folder one that is not called a trace is another file, and is counted.
    fs::create_dir(place.path().join("folder")).unwrap();
    fs::rename(place.path().join("0.trace.packed"), place.path().join("folder/0.trace.gz")).unwrap();
    fs::rename(place.path().join("run.trace"), place.path().join("folder/run.trace")).unwrap();
    is(&replay(&place, "judge --rules later.rules folder"), 4, "1 file is no trace and is not looked at");
}

#[test]
fn what_comes_through_a_pipe_is_judged_as_it_is_from_a_file() {
    let place = place();
    let named = place.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&named).status().unwrap().success());
    let bytes = fs::read(place.path().join("run.trace")).unwrap();
    for source in ["pipe", "/dev/stdin"] {
        for (arguments, code) in [
            (format!("judge --rules later.rules {source} --json"), 4),
            (format!("query --on merge.intended {source} true --json"), 0),
            (format!("verify {source} --json"), 0),
            (format!("redrive {source} --json"), 0),
            // The page has the findings, and no timeline.
            (format!("judge --rules later.rules {source} --format html -o page.html --force"), 4),
        ] {
            let mut command = place.replay_command(&arguments);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            match source {
                "pipe" => fs::write(&named, &bytes).unwrap(),
                _ => child.stdin.take().unwrap().write_all(&bytes).unwrap(),
            }
            let output = child.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(code), "{arguments}: {told}");
            let told: Value = serde_json::from_str(&told).unwrap_or_default();
            if let Some(left_out) = told["left_out"].as_array() {
                assert!(left_out.is_empty(), "{arguments}: {told}");
            }
        }
    }
}

#[test]
fn what_is_verified_may_come_through_a_pipe() {
    let place = place();
    assert_eq!(place.loom("prove run:last -o run.receipt").code, 0);
    for (file, options, code) in [
        ("run.trace", "", 0),
        ("run.trace", "--redrive", 0),
        ("run.receipt", "", 0),
        ("run.receipt", "--redrive", 2),
        ("later.rules", "", 6),
    ] {
        let mut command = place.command(&format!("verify /dev/stdin {options}"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who refuses does not read to the end.
        let _closed = child.stdin.take().unwrap().write_all(&fs::read(place.path().join(file)).unwrap());
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.code, code, "{file} {options}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn links_pipes_and_odd_names_in_a_folder_lead_nowhere_else() {
    let place = place();
    let folder = place.path().join("corpus");
    fs::create_dir_all(folder.join("deep")).unwrap();
    let whole = fs::read(place.path().join("run.trace")).unwrap();
    let long = "n".repeat(249) + ".trace";
    let names: [&[u8]; 7] = [
        b"-rf.trace",
        b"--json",
        b"two\nlines\r.trace",
        b"\x1b]0;owned\x07\x1b[2J.trace",
        b"not \xff\xfe text.trace",
        "\u{202e}ecart.trace".as_bytes(),
        long.as_bytes(),
    ];
    for name in names {
        fs::write(folder.join(OsStr::from_bytes(name)), &whole).unwrap();
    }
    symlink("..", folder.join("deep/up")).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    symlink("nowhere.trace", folder.join("dangling.trace")).unwrap();
    symlink(place.path().join("run.trace"), folder.join("outside.trace")).unwrap();
    symlink(place.store_folder(), folder.join(".loom")).unwrap();
    symlink("/", folder.join("deep/root")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("waits.trace")).status().unwrap().success());

    let ran = place.replay("judge --rules later.rules --json corpus");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["totals"]["runs"], &told["totals"]["sources"]), (4, &7.into(), &7.into()), "{told}");
    assert_eq!(told["left_out"], Value::Array(Vec::new()));
    for link in ["up", "loop", "dangling.trace", "outside.trace", ".loom", "root"] {
        assert!(ran.err.contains(&format!("{link} is not looked at: it is a link")), "{link}: {}", ran.err);
    }
    assert!(ran.err.contains("waits.trace is not looked at: it is neither a file nor a folder"), "{}", ran.err);
    for form in ["text", "json", "junit", "sarif"] {
        let ran = place.replay(&format!("judge --rules later.rules --format {form} corpus"));
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{form}: {said:?}");
        assert!(!said.contains("two\nlines"), "{form}");
    }
    // Named on the command line, each is what it is called.
    for name in names {
        let mut command = place.replay_command("judge --rules ../later.rules --");
        let ran: Ran = command.current_dir(&folder).arg(OsStr::from_bytes(name)).output().unwrap().into();
        assert_eq!(ran.code, 4, "{name:?}: {}{}", ran.out, ran.err);
    }
    for name in ["loop", "dangling.trace"] {
        is(&place.replay(&format!("judge --rules later.rules corpus/{name}")), 2, "cannot find corpus");
    }
}

fn rules(condition: &str) -> String {
    format!(
        "loom rules 1\nset hostile \"What somebody sent.\"\n\nrule one on stage.entered\n  require {condition}\n  message \"m\"\n"
    )
}

#[test]
fn a_rule_that_cannot_be_is_refused_with_its_bound_by_who_ever_reads_it() {
    let place = place();
    let numbers = |count: u32| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    let all: String = (0..7).map(|depth| format!("[{}].all(x{depth}, ", numbers(16))).collect();
    for (text, told) in [
        (rules("event.round == \"one\""), "compares int with string"),
        (rules("event.rounds == 1"), "stage.entered has no field `rounds` (hint: did you mean `round`?)"),
        (rules("facts.gone == 1"), "there is no fact `gone`"),
        (rules(&nested(65)), "nested deeper than 64 (RULE-7)"),
        (rules(&nested(100_000)), "nested deeper than 64 (RULE-7)"),
        (rules(&format!("{}true", "!".repeat(100_000))), "nested deeper than 64 (RULE-7)"),
        (rules(&format!("event.round in [{}]", numbers(200_000))), "at most 1048576 are read"),
        (
            rules(&format!("[{0}].all(x, [{0}].exists(y, x == y))", numbers(20_000))),
            "at most 10000000 is allowed (RULE-11)",
        ),
        (rules(&format!("{all}true{}", ")".repeat(7))), "at most 10000000 is allowed (RULE-11)"),
        (rules("glob(event.stage, \"{a,b}{c,d}{e,f}{g,h}{i,j}{k,l}\")"), "32"),
    ] {
        fs::write(place.path().join("hostile.rules"), &text).unwrap();
        let short: String = text.chars().take(200).collect();
        for command in [
            "judge --rules hostile.rules run.trace",
            "what-if --at 0 --rules hostile.rules run.trace",
            "shrink --rules hostile.rules -o small.trace run.trace",
            "query --on stage.entered --facts hostile.rules run.trace true",
        ] {
            let ran = replay(&place, command);
            assert_eq!(ran.code, 1, "{command}: {short}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains("hostile.rules does not load: "), "{command}: {}", ran.err);
            assert!(ran.err.contains(told), "{command}: {short}: {}", ran.err);
        }
        let ran = of_loom(&place, "rules add hostile.rules");
        assert!(ran.code != 0 && place.store().size() == size(&place), "{short}: {}", ran.err);
    }
    // The same of a question.
    let asks = |expression: &str| -> Ran {
        let mut command = place.replay_command("query --on stage.entered run.trace");
        command.arg(expression).output().unwrap().into()
    };
    is(&asks(&nested(65)), 2, "RULE-7");
    is(&asks(&format!("{all}true{}", ")".repeat(7))), 2, "RULE-11");
    is(&asks("event.rounds == 1"), 2, "did you mean `round`?");
}

/// What the store's log has; nobody who is refused adds to it.
fn size(place: &Place) -> u64 {
    place.store().events(0, usize::MAX).unwrap().len() as u64
}

/// The driver of another process writes; it is asked again and again until it has ended.
#[test]
fn a_store_that_is_written_is_read_up_to_where_it_ended() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    // Who reads before it has opened the store keeps it from doing so: it would end with 9.
    assert!(driver.reads(4), "{:#?}", driver.told);
    fs::write(driven.path("later.rules"), LATER).unwrap();
    let judge = |source: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loom-replay"));
        driven.prepare(&mut command);
        let rules = driven.path("later.rules");
        let output = command.args(["judge", "--json", "--fail-on", "never", "--rules"]).arg(rules).arg(source).output();
        let output = output.unwrap();
        let told: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        (output.status.code().unwrap_or(-1), told, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (mut events, mut while_open) = (0, 0);
    while !driver.has_ended() {
        let (code, told, said) = judge(&driven.store_folder());
        // Nothing is judged before there is a run, and for a moment somebody holds the store who does not listen yet.
        assert!([0, 8, 9].contains(&code), "{code}: {said} {told:?}");
        let totals = told.as_ref().filter(|_| code != 9);
        let Some(found) = totals.and_then(|told| told["totals"]["events"].as_u64()) else { continue };
        assert!(found >= events, "{found} events after {events}: {code}: {said} {told:?}");
        while_open += u32::from(found > events);
        events = found;
    }
    assert_eq!(driver.ends(), Some(0), "{:#?}", driver.told);
    assert!(while_open > 1, "the run was seen as it grew");
    let (code, told, said) = judge(&driven.store_folder());
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        told.unwrap()["totals"]["events"].as_u64(),
        Some(driven.log().len() as u64 - 1),
        "all but that of the store"
    );
}
