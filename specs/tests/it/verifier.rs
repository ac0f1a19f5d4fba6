//! The second verifier, `specs/verifier.py`, gives what every vector says of itself: the same answer as Loom's own
//! readers, whose tests hold the same files, and by the same law.

use crate::tree::root;
use std::process::Command;

/// Says why the verifier cannot run here, or panics where nothing may be missing.
fn missing() -> Option<&'static str> {
    let imports = Command::new("python3").args(["-c", "import blake3, nacl.signing"]).output();
    if imports.is_ok_and(|done| done.status.success()) {
        return None;
    }
    let why = "skipped: python packages are missing (python3 -m pip install -r specs/verifier.requirements.txt)";
    assert!(std::env::var("LOOM_TEST_REQUIRE").as_deref() != Ok("all"), "{why}");
    Some(why)
}

#[test]
fn the_second_verifier_agrees_on_every_vector() {
    if let Some(why) = missing() {
        println!("{why}");
        return;
    }
    let done = Command::new("python3").arg(root().join("specs/verifier.py")).args(["vectors", "--json"]).output();
    let done = done.expect("python3 runs");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
    let told: serde_json::Value = serde_json::from_str(&told).expect("one document");
    let results = told["results"].as_array().expect("a list");
    let agree: u64 = results.iter().filter_map(|file| file["agree"].as_u64()).sum();
    // Every file is one that the verifier knows: what it does not know is an error.
    assert!(results.len() >= 10 && agree >= 900, "{agree} vectors of {} files agree", results.len());
}
