//! Which commands check a project: found in its base commit, or declared there in `loom.toml`.
//!
//! Only the base commit is read, never a workspace: what an agent writes cannot choose its own judge (CHECKS-1).
//! Nothing found is nothing found; only a declaration makes a check not applicable (CHECKS-2).

use crate::error::LoadError;
use crate::table::{self, KEY_UNKNOWN};
use toml::de::DeValue;

/// Name of the declaration in the base commit.
pub const DECLARATION: &str = "loom.toml";
/// The word that declares a check not applicable.
pub const NOT_APPLICABLE: &str = "not-applicable";

/// A check with its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCheck {
    /// Name: `lint`, `test`, `type-check`, or a declared one.
    pub name: String,
    /// The command, to be started without a shell.
    pub argv: Vec<String>,
}

/// The checks of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks {
    /// Those with a command, by name.
    pub found: Vec<FoundCheck>,
    /// Those declared not applicable, by name.
    pub waived: Vec<String>,
}

/// Finds the checks of a commit through `file`, which returns a file's content by path from the root.
///
/// A declaration goes before what is found. A broken declaration is an error, not an absent one.
pub fn discover(file: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Checks, Vec<LoadError>> {
    let mut checks = declared(file)?;
    for (name, argv) in conventional(file) {
        let taken =
            checks.waived.iter().any(|waived| waived == name) || checks.found.iter().any(|found| found.name == name);
        if !taken {
            checks.found.push(FoundCheck { name: name.to_string(), argv });
        }
    }
    checks.found.sort_by(|a, b| a.name.cmp(&b.name));
    checks.waived.sort();
    Ok(checks)
}

fn declared(file: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Checks, Vec<LoadError>> {
    let Some(bytes) = file(DECLARATION) else { return Ok(Checks::default()) };
    let flaw = |line, what: String| LoadError {
        code: "CHECKS_DECLARATION",
        file: DECLARATION.to_string(),
        line,
        what,
        repair: format!("write `name = [\"program\", \"argument\"]` or `name = \"{NOT_APPLICABLE}\"` under [checks]"),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(vec![flaw(None, "it is not UTF-8".to_string())]);
    };
    let (checks, mut errors) = table::read(DECLARATION, &text, |root| {
        let mut checks = Checks::default();
        let mut flaws = Vec::new();
        let entries = root.section("checks").map_or(Vec::new(), |section| section.entries());
        for (name, line, value) in entries {
            let argv: Option<Vec<String>> = match value {
                DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str().map(String::from)).collect(),
                _ => None,
            };
            match (value.as_str(), argv) {
                (Some(NOT_APPLICABLE), _) => checks.waived.push(name),
                (_, Some(argv)) if argv.first().is_some_and(|program| !program.is_empty()) => {
                    checks.found.push(FoundCheck { name, argv });
                }
                _ => flaws.push(flaw(Some(line), format!("check `{name}` is neither a command nor declared"))),
            }
        }
        (checks, flaws)
    });
    // What else stands there are settings; whoever reads those tells of a key that is none. A table that was meant to be
    // this one would leave the project without its checks.
    errors.retain(|error| error.code != KEY_UNKNOWN || error.repair.contains("checks"));
    errors.extend(checks.1);
    if errors.is_empty() { Ok(checks.0) } else { Err(errors) }
}

fn conventional(file: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<(&'static str, Vec<String>)> {
    let text = |path: &str| file(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let argv = |words: &[&str]| words.iter().map(|word| (*word).to_string()).collect::<Vec<_>>();
    if file("Cargo.toml").is_some() {
        return vec![
            ("lint", argv(&["cargo", "clippy", "--all-targets", "--", "-D", "warnings"])),
            ("test", argv(&["cargo", "test"])),
            ("type-check", argv(&["cargo", "check", "--all-targets"])),
        ];
    }
    if let Some(package) = text("package.json") {
        return package_scripts(&package, file);
    }
    if file("go.mod").is_some() {
        return vec![
            ("lint", argv(&["go", "vet", "./..."])),
            ("test", argv(&["go", "test", "./..."])),
            ("type-check", argv(&["go", "build", "./..."])),
        ];
    }
    let python = text("pyproject.toml").unwrap_or_default();
    if !python.is_empty() || file("pytest.ini").is_some() || file("setup.py").is_some() {
        let mut checks = Vec::new();
        if python.contains("[tool.ruff") || file("ruff.toml").is_some() {
            checks.push(("lint", argv(&["ruff", "check", "."])));
        }
        if python.contains("pytest") || file("pytest.ini").is_some() {
            checks.push(("test", argv(&["python", "-m", "pytest", "-q"])));
        }
        if python.contains("[tool.mypy") || file("mypy.ini").is_some() {
            checks.push(("type-check", argv(&["python", "-m", "mypy", "."])));
        }
        return checks;
    }
    let make = text("Makefile").unwrap_or_default();
    ["lint", "test", "type-check"]
        .into_iter()
        .filter(|name| make.lines().any(|line| line.strip_prefix(name).is_some_and(is_target)))
        .map(|name| (name, argv(&["make", name])))
        .collect()
}

/// Whether what follows a name on a Makefile's line makes it a target, not an assignment.
fn is_target(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.starts_with(':') && !rest.starts_with(":=") && !rest.starts_with("::=")
}

fn package_scripts(package: &str, file: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<(&'static str, Vec<String>)> {
    let manager = [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"), ("bun.lockb", "bun")]
        .into_iter()
        .find(|(lock, _)| file(lock).is_some())
        .map_or("npm", |(_, manager)| manager);
    let scripts = serde_json::from_str::<serde_json::Value>(package)
        .ok()
        .and_then(|package| package.get("scripts").and_then(|scripts| scripts.as_object()).cloned())
        .unwrap_or_default();
    [("lint", ["lint", "lint:check"]), ("test", ["test", "test:unit"]), ("type-check", ["typecheck", "type-check"])]
        .into_iter()
        .filter_map(|(name, spellings)| {
            let script = spellings.into_iter().find(|script| scripts.get(*script).is_some_and(is_real_script))?;
            Some((name, [manager, "run", script].map(String::from).to_vec()))
        })
        .collect()
}

/// What `npm init` writes as a test is the absence of one.
fn is_real_script(script: &serde_json::Value) -> bool {
    script.as_str().is_some_and(|text| !text.trim().is_empty() && !text.contains("no test specified"))
}
