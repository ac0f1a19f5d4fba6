//! What becomes of altered history, as far as a test has time for; `loom-sim tamper --count 1000000` and
//! `loom-sim agree --count 100000` go on.

use loom_sim::tamper::{disagreements, tampered};
use std::fs;
use std::path::Path;
use std::process::Command;

fn specs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs")
}

#[test]
fn every_attack_is_found_out_or_changes_nothing() {
    let table = tampered(1, 1170).expect("the material is made");
    assert_eq!(table.unseen(), 0, "{table}");
    assert!(table.attacks() > 600, "{table}");
    let path = specs().join("tamper.golden.txt");
    if std::env::var_os("LOOM_UPDATE").is_some() {
        fs::write(&path, table.to_string()).expect("the golden file is written");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == table.to_string(),
        "{} is another than\n{table}\nwrite it anew with LOOM_UPDATE=1",
        path.display()
    );
}

#[test]
fn both_verifiers_agree_on_altered_bytes() {
    let imports = Command::new("python3").args(["-c", "import blake3, nacl.signing"]).output();
    if !imports.is_ok_and(|done| done.status.success()) {
        let why = "skipped: python packages are missing (python3 -m pip install -r specs/verifier.requirements.txt)";
        assert_ne!(std::env::var("LOOM_TEST_REQUIRE").as_deref(), Ok("all"), "{why}");
        println!("{why}");
        return;
    }
    assert_eq!(disagreements(1, 600, specs().join("verifier.py")).expect("both verifiers run"), "");
}
