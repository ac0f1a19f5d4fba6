//! Checks are found in the base commit or declared there; nothing found is nothing, not a waiver.

use loom_bundles::discover;
use std::collections::BTreeMap;

#[track_caller]
fn check(files: &[(&str, &str)], wanted: &str) {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    let told = match discover(&|path| files.get(path).map(|text| text.as_bytes().to_vec())) {
        Ok(checks) => {
            let mut lines: Vec<String> =
                checks.found.iter().map(|check| format!("{}: {}", check.name, check.argv.join(" "))).collect();
            lines.extend(checks.waived.iter().map(|name| format!("{name}: waived")));
            lines.join("\n")
        }
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    assert_eq!(told, wanted);
}

#[test]
fn nothing_is_found_in_nothing() {
    check(&[], "");
    check(&[("README.md", "cargo test")], "");
}

#[test]
fn projects_are_known_by_their_files() {
    check(
        &[("Cargo.toml", "")],
        "lint: cargo clippy --all-targets -- -D warnings\ntest: cargo test\ntype-check: cargo check --all-targets",
    );
    check(&[("go.mod", "")], "lint: go vet ./...\ntest: go test ./...\ntype-check: go build ./...");
    check(
        &[("pyproject.toml", "[tool.pytest.ini_options]\n[tool.ruff]")],
        "lint: ruff check .\ntest: python -m pytest -q",
    );
    check(&[("pytest.ini", "")], "test: python -m pytest -q");
    check(&[("Makefile", "test: all\n\tx\nlint:\nlinter:\ntype-check := x\n")], "lint: make lint\ntest: make test");
}

#[test]
fn scripts_run_with_the_package_manager_of_the_lock_file() {
    let package = r#"{"scripts": {"test": "vitest", "lint": "eslint .", "typecheck": "tsc"}}"#;
    check(
        &[("package.json", package), ("pnpm-lock.yaml", "")],
        "lint: pnpm run lint\ntest: pnpm run test\ntype-check: pnpm run typecheck",
    );
    check(&[("package.json", r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#)], "");
    check(&[("package.json", "broken")], "");
}

#[test]
fn a_declaration_goes_first() {
    check(
        &[("Cargo.toml", ""), ("loom.toml", "[checks]\ntest = ['./test.sh', '-q']\nlint = 'not-applicable'\n")],
        "test: ./test.sh -q\ntype-check: cargo check --all-targets\nlint: waived",
    );
}

#[test]
fn a_broken_declaration_is_an_error() {
    let repair = "repair: write `name = [\"program\", \"argument\"]` or `name = \"not-applicable\"` under [checks]";
    check(
        &[("loom.toml", "[checks]\ntest = 'skipped'\nlint = []\n")],
        &format!(
            "loom.toml:2: CHECKS_DECLARATION: check `test` is neither a command nor declared; {repair}\n\
             loom.toml:3: CHECKS_DECLARATION: check `lint` is neither a command nor declared; {repair}"
        ),
    );
    check(
        &[("loom.toml", "[check]\ntest = ['x']\n")],
        "loom.toml:1: KEY_UNKNOWN: `check` is not a key here; repair: did you mean `checks`?",
    );
}
