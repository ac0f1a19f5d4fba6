//! Documents: their links lead somewhere, their commands exist, the first page is one page.

use crate::tree::{File, files, none};

/// Most lines of `README.md`.
const README_LINES_MAX: usize = 160;
/// Documents that a person or a program looks for by name.
const EXPECTED: &[&str] = &[
    "AGENTS.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "deny.toml",
    "rust-toolchain.toml",
    "specs/README.md",
    ".ci/run",
];

/// Returns the targets of the links in a Markdown text, code left out.
fn links(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        found.extend(text.split("](").skip(1).filter_map(|rest| Some((number, rest.split_once(')')?.0.to_string()))));
    }
    found
}

/// Returns the name that a heading is linked by.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the path that `target` means in a document of `folder`.
fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Returns the lines of fenced code in a Markdown text.
fn code(file: &File) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (_, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.push(line.trim().trim_start_matches("$ "));
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    let files = files();
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is("md") && !file.is_below("fixtures")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, link) in links(file) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (target, heading) = link.split_once('#').unwrap_or((&link, ""));
            let path = if target.is_empty() { file.path.clone() } else { resolve(folder, target) };
            let Some(found) = files.iter().find(|other| other.path == path || other.is_below(&path)) else {
                breaches.push(format!("{}:{number}: {link}", file.path));
                continue;
            };
            let has_heading = || found.lines().any(|(_, line)| line.starts_with('#') && anchor(line) == heading);
            if !heading.is_empty() && !has_heading() {
                breaches.push(format!("{}:{number}: {link} (no such heading)", file.path));
            }
        }
    }
    none(breaches, "links that lead nowhere");
}

#[test]
fn documents_that_are_looked_for_are_there() {
    let files = files();
    let missing = EXPECTED.iter().filter(|path| !files.iter().any(|file| file.path == **path));
    none(missing.map(ToString::to_string).collect(), "documents that are missing");
}

#[test]
fn the_readme_is_one_page_and_gives_the_two_commands() {
    let files = files();
    let readme = files.iter().find(|file| file.path == "README.md").expect("there is a README");
    assert!(readme.lines().count() <= README_LINES_MAX, "README.md is longer than a page and a half");
    let code = code(readme);
    for command in ["cargo run --release -- demo", "cargo test --workspace --locked"] {
        assert!(code.contains(&command), "README.md does not give `{command}`");
        let run = files.iter().find(|file| file.path == ".ci/run").expect("there is a CI script");
        assert!(run.lines().any(|(_, line)| line.contains(command)), ".ci/run does not run `{command}`");
    }
}

/// Returns the commands of `loom` that a line names between backticks.
fn named(line: &str) -> impl Iterator<Item = &str> {
    // A piece that follows an odd number of backticks is code; a fence has none of its own.
    line.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("loom ")?.split_whitespace().next())
}

/// Whether a word after `loom` is a command's name, not an option or a stand-in.
fn is_name(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
}

#[test]
fn every_command_that_is_named_is_in_the_command_line_s_law() {
    let files = files();
    let law = files.iter().find(|file| file.path == "specs/cli.md").expect("there is specs/cli.md");
    let rows = law.lines().filter(|(_, line)| line.starts_with("| `loom "));
    let known: Vec<&str> = rows.flat_map(|(_, line)| named(line)).collect();
    assert!(known.len() > 10, "the table of commands was found");
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is("md") || file.is("rs") && file.path.contains("/src/")) {
        let typed = code(file).into_iter().filter(|_| file.is("md")).filter_map(|line| {
            let rest = line.strip_prefix("loom ").or_else(|| line.strip_prefix("cargo run --release -- "));
            rest.and_then(|rest| rest.split_whitespace().next())
        });
        let said = file.lines().flat_map(|(_, line)| named(line));
        for command in typed.chain(said).filter(|word| is_name(word) && !known.contains(word)) {
            breaches.push(format!("{}: loom {command}", file.path));
        }
    }
    none(breaches, "commands that specs/cli.md does not know");
}

#[test]
fn every_decision_and_law_is_listed() {
    let files = files();
    let list = files.iter().find(|file| file.path == "specs/README.md").expect("there is a list");
    let listed: Vec<String> = links(list).into_iter().map(|(_, link)| resolve("specs", &link)).collect();
    let missing = files
        .iter()
        .filter(|file| file.is_below("specs") && (file.is("md") || file.is("cddl")) && file.path != list.path)
        .filter(|file| !listed.contains(&file.path));
    none(missing.map(|file| file.path.clone()).collect(), "documents that specs/README.md does not list");
}

#[test]
fn links_and_headings_are_read_as_markdown_has_them() {
    assert_eq!(resolve("specs/decisions", "../events.md"), "specs/events.md");
    assert_eq!(anchor("## Who may, and what (once)"), "who-may-and-what-once");
    let text = Some("[a](b.md) `[no](c.md)` [d](e.md#f)\n```\n[no](g.md)\nloom x\n```\n".to_string());
    let file = File { path: "x.md".to_string(), text };
    let found: Vec<String> = links(&file).into_iter().map(|(_, link)| link).collect();
    assert_eq!(found, ["b.md", "e.md#f"]);
    assert_eq!(code(&file), ["[no](g.md)", "loom x"]);
    let found: Vec<&str> = named("loom a `loom b` c `d` `loom --e` `loom f G`").collect();
    assert_eq!(found, ["b", "--e", "f"]);
    assert!(is_name("log") && !is_name("--help") && !is_name("RUN"));
}
