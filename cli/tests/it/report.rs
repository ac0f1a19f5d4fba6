//! Answers as one HTML file: what stands in it, and that nothing which somebody wrote becomes markup. In a browser:
//! [`crate::browser`].

use crate::made::{Until, made_answered_run, made_run, origin};
use crate::replaying::LATER;
use crate::rig::Place;
use loom_core::id::{Actor, Assurance};
use loom_core::word::Answer;
use loom_store::{RedbStore, Store};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What would be markup, end an attribute or a comment, turn the line, or steer a terminal.
const HOSTILE: &str = "</code></style><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' --><!--]]>&#60;b&#62;\
                       \u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}\u{1b}[2J\u{7}\u{9b}";

/// Returns a place whose runs, rules and files are named by somebody who means ill; a store, a trace and a cut one.
pub(crate) fn hostile_place() -> Place {
    let place = Place::empty();
    let store = RedbStore::create(&place.store_folder(), &origin()).unwrap();
    made_run(&store, 1, Until::End);
    made_answered_run(&store, 2, Until::End, &|_, body| {
        if body.answer == Answer::Accept {
            body.request.extend_from_slice(b"<b>");
        }
        Actor::Person { id: HOSTILE.chars().take(60).collect(), assurance: Assurance::Asserted, descends: None }
    });
    store.catch_up().unwrap();
    drop(store);
    let escaped = |c: char| c.is_control() || c == '"' || c == '\\' || u32::from(c) > 0x7e;
    let plain: String = HOSTILE.chars().filter(|c| !escaped(*c)).collect();
    fs::write(place.path().join("later.rules"), feigned(&plain)).unwrap();
    let bad = ["<img src=x onerror=alert(3)>\u{202e}\n".as_bytes(), b"\xff\" x=\".trace"].concat();
    traces(&place, OsStr::new("<b>&amp;.trace"), OsStr::from_bytes(&bad));
    place
}

/// Exports a run into the folder `traces`, whole and cut.
fn traces(place: &Place, whole: &OsStr, cut: &OsStr) {
    let folder = place.path().join("traces");
    fs::create_dir(&folder).unwrap();
    assert_eq!(place.loom("export run:last -o traces/a").code, 0);
    let bytes = fs::read(folder.join("a")).unwrap();
    fs::rename(folder.join("a"), folder.join(whole)).unwrap();
    fs::write(folder.join(cut), &bytes[..bytes.len() - 3]).unwrap();
}

/// Returns rules one of which speaks in these words.
fn feigned(words: &str) -> String {
    format!(
        "{LATER}\nrule feigned on stage.entered\n  require event.stage == \"{words}\"\n  message \"{words} \\u202e\"\n  \
         origin \"{words}\"\n"
    )
}

/// Writes a report into the place and returns where it lies.
pub(crate) fn report(place: &Place, arguments: &str) -> PathBuf {
    let ran = place.replay(&format!("{arguments} --format html --output report.html --force"));
    assert!([0, 4, 6].contains(&ran.code), "{arguments}: {}", ran.err);
    assert_eq!(ran.out, "");
    place.path().join("report.html")
}

pub(crate) const JUDGED: &str = "judge --rules later.rules .loom traces";
pub(crate) const VERIFIED: &str = "verify .loom traces";

fn text(place: &Place, arguments: &str) -> String {
    fs::read_to_string(report(place, arguments)).unwrap()
}

/// Returns every tag of a page, its numbers made equal.
fn tags(page: &str) -> BTreeSet<String> {
    let body = page.split_once("</style>").unwrap().1;
    let tags = body.split('<').skip(1).map(|part| part.split_once('>').unwrap_or_else(|| panic!("{part}")).0);
    tags.map(|tag| {
        if let Some(path) = tag.strip_prefix("path d=\"") {
            assert!(path.strip_suffix("\"/").unwrap().chars().all(|c| "Mhvz- 0123456789".contains(c)), "{path}");
            return "path".to_string();
        }
        let mut equal = tag.replace(|c: char| c.is_ascii_digit(), "0");
        while equal.contains("00") {
            equal = equal.replace("00", "0");
        }
        equal
    })
    .collect()
}

#[test]
fn no_element_and_no_attribute_comes_from_what_somebody_wrote() {
    let (place, tame) = (hostile_place(), Place::with(&[Until::End, Until::Gate]));
    fs::write(tame.path().join("later.rules"), feigned("tame")).unwrap();
    traces(&tame, OsStr::new("a.trace"), OsStr::new("cut.trace"));
    // Marks of what cannot be seen are the only elements that the tame place need not have.
    let mark = "i class=x";
    for arguments in [JUDGED, VERIFIED] {
        let page = text(&place, arguments);
        let mut known = tags(&text(&tame, arguments));
        known.extend([mark, "/i", "p class=faint"].map(String::from));
        let foreign: Vec<String> = tags(&page).difference(&known).cloned().collect();
        assert!(foreign.is_empty(), "{arguments}: {foreign:?}");
        assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "{arguments}");
        assert!(!page.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{e0041}']), "{arguments}");
        assert!(page.contains("&lt;img src=x onerror=alert(3)&gt;<i class=x>U+202E</i><i class=x>U+000A</i><i class=x>byte FF</i>&quot; x=&quot;.trace"), "{arguments}");
        assert!(page.contains("&lt;b&gt;&amp;amp;.trace"), "{arguments}");
    }
    let page = text(&place, JUDGED);
    assert!(page.contains("&lt;/code&gt;&lt;/style&gt;&lt;script&gt;alert(1)"), "the person and the rules are told");
}

#[test]
fn a_report_of_a_judgement_has_its_findings_and_comes_out_the_same_again() {
    let place = Place::with(&[Until::End, Until::Gate, Until::Spawned]);
    fs::write(place.path().join("later.rules"), feigned("tame")).unwrap();
    let page = text(&place, "judge --rules later.rules");
    assert_eq!(page, text(&place, "judge --rules later.rules --threads 1"));
    assert_eq!(page, place.replay("judge --rules later.rules --format html").out, "stdout where no file is named");
    let told: Value = serde_json::from_str(&place.replay("judge --rules later.rules --json").out).unwrap();
    let findings = told["findings"].as_array().unwrap();
    assert_eq!(page.matches("<details class=found").count(), findings.len());
    for finding in findings {
        let (event, rule) = (finding["sequence"].to_string(), finding["rule"].as_str().unwrap());
        assert!(page.contains(&format!("#{event}</span>")) && page.contains(rule), "{finding}");
    }
    assert!(findings.iter().any(|finding| finding["counterfactual"] == true));
    assert!(page.contains("From here on counterfactual: a decision that stood would have been refused"), "{page}");
    assert!(page.contains("<dt>events of those</dt><dd>") && page.contains("How it came to that"));
    // Every way within the page leads somewhere, and no name is given twice.
    let places: Vec<&str> = page.split(" id=").skip(1).map(|part| part.split([' ', '>']).next().unwrap()).collect();
    let named: BTreeSet<&str> = places.iter().copied().collect();
    assert_eq!(named.len(), places.len());
    let ways: Vec<&str> = page.split("href=\"#").skip(1).map(|part| part.split('"').next().unwrap()).collect();
    assert!(ways.len() > 20 && ways.iter().all(|way| named.contains(way)), "{ways:?}");
}

#[test]
fn a_file_that_is_there_stays_and_a_screen_is_no_file() {
    let place = Place::usual();
    fs::write(place.path().join("kept"), "kept").unwrap();
    assert_eq!(place.replay("verify --format html -o kept").code, 2);
    assert_eq!(fs::read_to_string(place.path().join("kept")).unwrap(), "kept");
    for refused in ["verify -o new", "verify --format text -o new", "verify --format json -o new", "verify --force"] {
        assert_eq!(place.replay(refused).code, 2, "{refused}");
    }
    assert!(!place.path().join("new").exists());
    assert_eq!(place.replay("verify --format sarif -o new").code, 0);
    assert!(fs::read_to_string(place.path().join("new")).unwrap().starts_with('{'));
}

#[test]
fn a_report_of_what_was_verified_begins_with_what_is_not_whole() {
    let place = Place::with(&[Until::End]);
    traces(&place, OsStr::new("a.trace"), OsStr::new("cut.trace"));
    let whole = fs::read(place.path().join("traces/a.trace")).unwrap();
    let mut altered = whole.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(place.path().join("traces/odd.trace"), altered).unwrap();
    let page = text(&place, VERIFIED);
    assert!(page.contains("<h1>2 of 4 sources are whole</h1>"), "{page}");
    let at = |what: &str| page.find(what).unwrap_or_else(|| panic!("no {what}: {page}"));
    assert!(at("truncated</strong> trace") < at("<h3 id=whole>") && at("altered</strong> trace") < at("<h3 id=whole>"));
    assert!(page.contains("<dt>First bad record</dt><dd>byte ") && page.contains("2 of 5, chained and whole"));
    let unread = "<strong>not read</strong>";
    assert!(page.contains(unread) && !text(&place, "verify .loom traces --blobs").contains(unread));
    let none = Place::empty();
    fs::create_dir(none.path().join("empty")).unwrap();
    let ran = none.replay("verify empty --format html");
    assert!(ran.code == 8 && ran.out.contains("<h1>Nothing was verified, so nothing is whole</h1>"), "{}", ran.out);
}

#[test]
fn a_report_of_what_was_verified_tells_500_sources_of_each_kind_and_how_many_more() {
    let place = Place::with(&[Until::Spawned]);
    fs::create_dir(place.path().join("many")).unwrap();
    assert_eq!(place.loom("export run:last -o many/000.trace").code, 0);
    let whole = place.path().join("many/000.trace");
    for number in 1..503 {
        fs::hard_link(&whole, place.path().join(format!("many/{number:03}.trace"))).unwrap();
        fs::write(place.path().join(format!("many/{number:03}-cut.trace")), "loom").unwrap();
    }
    let page = text(&place, "verify many");
    assert!(page.contains("<h1>503 of 1005 sources are whole</h1>"));
    assert_eq!((page.matches("<h3 id=source").count(), page.matches("<tr><th scope=row>").count()), (500, 500));
    let more = |count: u64| format!("<p>{count} more are not listed here; <code>--json</code> lists all.</p>");
    assert_eq!((page.matches(&more(2)).count(), page.matches(&more(3)).count()), (1, 1));
    let told: Value = serde_json::from_str(&place.replay("verify many --json").out).unwrap();
    assert_eq!(told["sources"].as_array().unwrap().len(), 1005);
}
