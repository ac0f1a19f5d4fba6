//! Every shipped rule has cases, and they hold.

use loom_bundles::{Source, cases_of, load, test_rules};

#[test]
fn every_shipped_rule_does_what_its_cases_say() {
    let source = Source::builtin("code").unwrap();
    let mut sets = 0;
    for path in source.files.keys().filter(|path| path.ends_with(".rules")) {
        let report = test_rules(path, source.text(path).unwrap(), source.text(&cases_of(path)).unwrap());
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
