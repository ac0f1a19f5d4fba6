//! Banned words and shapes.
//!
//! Words that this file bans are put together from pieces, so that it does not find itself.

use crate::tree::{File, files, none};

/// The one crate that may say `unsafe`: it is no part of Loom, it proves that core links without std, and a crate
/// without std brings its own allocator.
const NOSTD_PROOF: &str = "core/nostd-proof";
/// Files that may say it because the kernel is asked for what no safe call of a library does: closing what was inherited,
/// and a test that really tries what a fence refuses.
const RAW: &[&str] = &["tools/src/fence/inherited.rs", "tools/tests/it/escape/raw.rs"];
/// The one file that reads environment variables.
const ENVIRONMENT: &str = "host/src/environment.rs";
/// The one room that names vendors of models and agents.
const VENDOR_ROOM: &str = "providers";
/// Most lines of code in a crate's root, which only names what stands beside it.
const ROOT_LINES_MAX: usize = 80;
/// Most lines of code in a module's root, which may hold the one type that the module is about.
const MODULE_LINES_MAX: usize = 200;
/// A suite of tests that backends share; its root is the list of them.
const CONFORMANCE: &str = "store/src/conformance";

/// Rooms whose source ships.
const ROOMS: &[&str] = &["core", "store", "bundles", "tools", "providers", "host", "server", "replay", "cli"];
/// Rooms beside them, which ship with nobody.
const ROOMS_BESIDE: &[&str] = &["fuzz/endpoint", "fuzz/sim", "specs"];

/// Returns the places where `word` stands by itself: nothing alphanumeric before or behind it.
fn alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let behind = line[at + word.len()..].chars().next();
        let is_part = |found: Option<char>| found.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(before) && !is_part(behind)
    })
}

/// Whether an absolute path of somebody's machine begins in the line.
fn machine_path(line: &str) -> bool {
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")].iter().any(|place| {
        line.match_indices(place).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "_-.}~/".contains(c))
        })
    })
}

fn find(wanted: impl Fn(&File) -> bool, banned: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| wanted(file)) {
        for (number, line) in file.lines().filter(|(_, line)| banned(line)) {
            found.push(format!("{}:{number}: {}", file.path, line.trim()));
        }
    }
    found
}

fn is_source(file: &File) -> bool {
    file.is("rs") && ROOMS.iter().any(|room| file.is_below(&format!("{room}/src")))
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    none(find(|_| true, machine_path), "paths of somebody's machine");
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("FIX", "ME"), concat!("XX", "X")];
    let macros = [concat!("todo", "!("), concat!("unimplemented", "!(")];
    none(find(|_| true, |line| words.iter().any(|word| alone(line, word))), "marks of unfinished work");
    let stubs = |line: &str| macros.iter().any(|stub| line.contains(stub));
    none(find(|file| file.is("rs"), stubs), "stubs");
}

#[test]
fn every_test_runs_and_none_sleeps() {
    let ignored = concat!("#[ig", "nore");
    none(find(|file| file.is("rs"), |line| line.contains(ignored)), "tests that are switched off");
    let sleep = concat!("thread::sl", "eep");
    let mut breaches = Vec::new();
    for file in files().iter().filter(|file| file.is("rs")) {
        let is_test = file.path.contains("/tests/");
        let from = file.lines().find(|(_, line)| is_test || line.trim() == "#[cfg(test)]").map(|(number, _)| number);
        let Some(from) = from else { continue };
        for (number, _) in file.lines().filter(|(number, line)| *number >= from && line.contains(sleep)) {
            breaches.push(format!("{}:{number}: wait for a condition, or use the simulator's time", file.path));
        }
    }
    none(breaches, "tests that sleep");
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let breaches = files()
        .iter()
        .filter(|file| file.is("rs"))
        .filter(|file| !file.lines().next().is_some_and(|(_, line)| line.starts_with("//! ")))
        .map(|file| format!("{} does not open with `//!`", file.path))
        .collect();
    none(breaches, "openings of files");
}

/// Whether an opening denies something of its own room: a sentence with one of these words and a verb of duty or act.
fn denies(opening: &str) -> bool {
    let words =
        |sentence: &str| sentence.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect::<Vec<_>>();
    opening.split(". ").map(words).any(|words| {
        let never = words.iter().any(|word| word == "never");
        // What it knows, decides, stores, has nothing of.
        let pairs = words.windows(2).any(|pair| {
            ["knows", "decides", "stores", "keeps", "has"].contains(&pair[0].as_str())
                && ["no", "nothing", "nobody"].contains(&pair[1].as_str())
        });
        never || pairs
    })
}

#[test]
fn every_room_says_what_it_must_never_do() {
    let mut breaches = Vec::new();
    let files = files();
    for room in ROOMS.iter().chain(ROOMS_BESIDE) {
        let roots = [format!("{room}/src/lib.rs"), format!("{room}/src/main.rs")];
        // A room that is a library has its opening there; what starts it only starts it.
        let Some(file) = roots.iter().find_map(|root| files.iter().find(|file| file.path == *root)) else {
            breaches.push(format!("{room} has no src/lib.rs and no src/main.rs"));
            continue;
        };
        let lines = file.lines().map(|(_, line)| line).take_while(|line| line.starts_with("//!"));
        let opening: Vec<&str> = lines.map(|line| line.trim_start_matches("//!").trim()).collect();
        if !denies(&opening.join(" ")) {
            breaches.push(format!("{} says what the room is for, not what it must never do", file.path));
        }
    }
    none(breaches, "openings of rooms");
}

#[test]
fn files_that_name_others_are_short() {
    let mut breaches = Vec::new();
    for file in files().iter().filter(|file| is_source(file) && !file.is_below(CONFORMANCE)) {
        let lines_max = match file.name() {
            "lib.rs" => ROOT_LINES_MAX,
            "mod.rs" => MODULE_LINES_MAX,
            _ => continue,
        };
        let code = file.lines().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("//"));
        let count = code.count();
        if count > lines_max {
            breaches.push(format!("{}: {count} lines of code; put what they do into files of its own", file.path));
        }
    }
    none(breaches, "lib.rs and mod.rs name what stands beside them and say what is promised");
}

#[test]
fn unsafe_is_said_nowhere() {
    let word = concat!("uns", "afe");
    let code = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        alone(code, word) && !code.contains("#![")
    };
    let safe = |file: &File| file.is("rs") && !file.is_below(NOSTD_PROOF) && !RAW.contains(&file.path.as_str());
    none(find(safe, code), "uses of it");
}

#[test]
fn core_is_functions_of_values() {
    let std = concat!("std", "::");
    let banned = [std, "HashMap", "HashSet"];
    let floats = ["f32", "f64"];
    let source = |file: &File| file.is("rs") && file.is_below("core/src");
    let breaks = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        banned.iter().any(|word| code.contains(word)) || floats.iter().any(|word| alone(code, word))
    };
    none(find(source, breaks), "core");
}

/// The standard library's hash maps are walked in another order in each process.
#[test]
fn no_order_comes_from_a_hash() {
    let hashed = ["HashMap", "HashSet", "RandomState", "DefaultHasher"];
    none(
        find(is_source, |line| hashed.iter().any(|word| alone(line, word))),
        "orders that differ between two processes",
    );
}

#[test]
fn only_one_file_reads_the_environment() {
    let reads = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
    let source = |file: &File| is_source(file) && file.path != ENVIRONMENT;
    none(find(source, |line| reads.iter().any(|read| line.contains(read))), "reads of the environment");
}

#[test]
fn nothing_waits_in_a_coroutine() {
    let may = ["specs", "server", "providers/src/gateway", "providers/src/api"];
    let source = |file: &File| file.is("rs") && !may.iter().any(|room| file.is_below(room));
    none(find(source, |line| line.contains("async fn ") || line.contains(".await")), "coroutines (decision 0001)");
}

#[test]
fn vendors_are_named_in_one_room() {
    let vendors = ["claude", "anthropic", "openai", "codex", "ollama", "gemini", "mistral", "aider", "opencode"];
    let source = |file: &File| is_source(file) && !file.is_below(VENDOR_ROOM) && !file.is_below("cli");
    none(find(source, |line| vendors.iter().any(|vendor| alone(&line.to_lowercase(), vendor))), "names of vendors");
}

/// The scripted provider drives demos and tests; whoever decides and whoever knows a trade cannot tell it from others.
#[test]
fn no_provider_is_named_where_it_is_decided() {
    let word = concat!("script", "ed");
    let decides =
        |file: &File| file.is_below("core/src") || file.is_below("bundles/src") || file.is_below("bundles/code");
    none(find(decides, |line| line.to_lowercase().contains(word)), "names of the provider that follows a script");
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let is_other = |line: &str| line.starts_with("source = ") && line != public;
    none(find(|file| file.name() == "Cargo.lock", is_other), "sources of dependencies");
}

#[test]
fn a_denial_is_told_from_a_no_in_passing() {
    assert!(denies("Acts: a thing. It must never decide.") && denies("It knows no clock, file."));
    assert!(!denies("Opens what is not there. Nothing else is known."));
}

#[test]
fn words_are_found_where_they_stand_alone() {
    assert!(alone("a word.", "word") && !alone("words", "word") && !alone("a_word", "word"));
    let path = concat!("/wo", "rk/x");
    assert!(machine_path(&format!("see {path}")) && machine_path(&format!("\"{path}\"")));
    assert!(!machine_path(&format!("loom{path}")) && !machine_path(&format!("{{root}}{path}")));
}
