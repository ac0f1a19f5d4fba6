//! Reports in a real browser, opened from disk: nothing is asked for, nothing runs, and who reads by keyboard, by ear, in
//! the dark or on paper has all of it. `cli/tests/browser/report.cjs` looks, here it is said what must be.

use crate::missing::skip;
use crate::report::{JUDGED, VERIFIED, hostile_place, report};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What `report.cjs` needs.
const PACKAGES: [&str; 2] = ["playwright-core", "axe-core"];
/// Elements that a report may have.
const ELEMENTS: &str = "html head meta title style body a header p h1 nav ul li main section h2 h3 dl div dt dd strong span code \
                        bdi i b br table caption thead tbody tr th td details summary ol svg path footer";
/// Attributes that they may have.
const ATTRIBUTES: &str = "lang charset http-equiv content name class href id aria-label aria-labelledby role tabindex scope \
                          colspan open viewBox preserveAspectRatio aria-hidden focusable d";

#[test]
fn a_report_opens_in_a_browser_reads_without_a_mouse_and_asks_for_nothing() {
    needs!("node", "chromium");
    for package in PACKAGES {
        let found = Command::new("node").args(["-e", &format!("require.resolve('{package}')")]).output().unwrap();
        if !found.status.success() {
            skip(package, &format!("npm install {package}, with NODE_PATH at its node_modules"));
            return;
        }
    }
    let place = hostile_place();
    let mut files = Vec::new();
    for (name, arguments) in [("judged.html", JUDGED), ("verified.html", VERIFIED)] {
        let file = place.path().join(name);
        fs::rename(report(&place, arguments), &file).unwrap();
        files.push(file);
    }
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let chromium =
        std::env::split_paths(&search_path).map(|folder| folder.join("chromium")).find(|file| file.is_file());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report.cjs");
    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    // The browser keeps what it keeps here.
    let ran = Command::new("node").arg(script).arg(chromium.unwrap()).args(&files).env("HOME", &home).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 4);
    for told in told.as_array().unwrap() {
        let what = format!("{} {}", told["file"], told["colorScheme"]);
        for nothing in ["requests", "messages", "violations", "incomplete"] {
            assert_eq!(told[nothing], Value::Array(Vec::new()), "{what}: {nothing}");
        }
        for zero in ["dialogs", "hiddenInPrint", "overflow"] {
            assert_eq!(told[zero], 0, "{what}: {zero}");
        }
        assert!(told["passes"].as_array().unwrap().contains(&"color-contrast".into()), "{what}");
        assert!(told["controls"].as_u64() > Some(3) && told["controls"] == told["reached"], "{what}: {told}");
        assert_ne!(told["unfolds"], false, "{what}");
        assert!(told["pdf"].as_u64() > Some(5_000), "{what}");
        for (all, known) in [("elements", ELEMENTS), ("attributes", ATTRIBUTES)] {
            let found = told[all].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            let foreign: Vec<&str> = found.filter(|name| !known.split(' ').any(|known| known == *name)).collect();
            assert!(foreign.is_empty(), "{what}: {all} {foreign:?}");
        }
    }
}
