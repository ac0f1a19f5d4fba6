//! Every shipped rule has cases, and they hold.

use loom_bundles::{Source, load, test_rules};

#[test]
fn every_shipped_rule_does_what_its_cases_say() {
    let source = Source::builtin("code").unwrap();
    let mut sets = 0;
    for path in source.files.keys().filter(|path| path.ends_with(".rules")) {
        let cases = path.replace(".rules", ".cases.toml");
        let report = test_rules(source.text(path).unwrap(), source.text(&cases).unwrap());
        assert!(report.is_ok(), "{report}");
        sets += 1;
    }
    assert_eq!(sets, 5);
}

#[test]
fn the_shipped_bundle_loads() {
    match load(&Source::builtin("code").unwrap()) {
        Ok(bundle) => assert_eq!(bundle.title(), "code 1"),
        Err(errors) => panic!("{errors}"),
    }
}
