//! Settings from outside: files, variables and flags in, values with their origins out.

use loom_core::process::Limits;
use loom_host::environment::Environment;
use loom_host::settings::{
    EditError, FenceMode, Given, KEYS, Layer, Origin, Project, Raw, Read, SettingsErrors, Value, find, in_words, read,
    set, user_file,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A user and a project.
struct Place {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        Place { folder, variables: BTreeMap::new() }
    }

    fn environment(&self) -> Environment {
        let path = |name: &str| self.folder.path().join(name);
        Environment {
            home: None,
            search_path: "/usr/bin:/bin".into(),
            state_folder: path("state"),
            config_folder: path("config"),
            data_folder: path("data"),
            settings: self.variables.clone(),
            toolchain: Vec::new(),
            caches: Vec::new(),
            descends: None,
        }
    }

    fn user(&self, text: &str) -> &Self {
        fs::write(user_file(&self.environment()), text).unwrap();
        self
    }

    fn project_file(&self) -> PathBuf {
        self.folder.path().join("loom.toml")
    }

    fn project(&self, text: &str) -> &Self {
        fs::write(self.project_file(), text).unwrap();
        self
    }

    fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_string(), value.to_string());
        self
    }

    fn read(&self, flags: &[Given]) -> Result<Read, SettingsErrors> {
        read(&self.environment(), Some(&self.project_file()), flags)
    }

    /// Reads what must be without a flaw.
    #[track_caller]
    fn whole(&self) -> Read {
        self.read(&[]).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Returns what is said, with places as they are within the folder.
    fn told(&self, errors: impl ToString) -> String {
        errors.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// Returns a key's path with names where it has stars.
fn named(name: &str) -> String {
    name.replacen('*', "main", 1).replacen('*', "fast", 1)
}

/// Returns a file that sets a key and what it needs beside it.
fn file(name: &str, value: &str) -> String {
    let path = named(name);
    let kind = format!("providers.main.kind = {}\n", loom_providers::KIND_SAMPLE);
    let spare = kind.replace("main", "spare");
    let own = if path == "providers.main.kind" { "" } else { kind.as_str() };
    format!("{own}{spare}{path} = {value}\n")
}

#[test]
fn every_key_takes_its_valid_sample_and_refuses_its_invalid_one() {
    for key in KEYS {
        let path = named(key.name);
        let place = Place::new();
        let found = place.user(&file(key.name, key.valid)).read(&[]);
        let found = found.unwrap_or_else(|errors| panic!("{}: {errors}", key.name));
        assert_eq!(found.warnings, [], "{}", key.name);
        let set = &found.found[&path];
        let is_placed = matches!(&set.origin, Origin::File { layer: Layer::User, line, .. } if *line >= 2);
        assert!(is_placed, "{}: {:?}", key.name, set.origin);
        let errors = place.user(&file(key.name, key.invalid)).read(&[]).unwrap_err().0;
        let of_key = errors.iter().find(|error| error.what.contains(&path));
        let of_key = of_key.unwrap_or_else(|| panic!("{}: {errors:?}", key.name));
        assert!(matches!(of_key.origin, Origin::File { line, column, .. } if line >= 2 && column > 1), "{of_key:?}");
        assert_eq!(of_key.repair, key.kind.wanted(), "{}", key.name);
    }
}

#[test]
fn every_value_is_shown_as_it_may_be_typed() {
    for key in KEYS {
        let place = Place::new();
        let found = place.user(&file(key.name, key.valid)).whole().found;
        let value = &found[&named(key.name)].value;
        let shown = key.kind.show(value);
        assert_eq!(key.kind.read(&Raw::Typed(shown.clone())).as_ref(), Some(value), "{}: {shown}", key.name);
    }
}

#[test]
fn every_key_is_set_by_its_variable() {
    for key in KEYS {
        let Some(variable) = key.variable() else {
            assert_eq!(key.name.matches('*').count(), 2, "{}", key.name);
            continue;
        };
        let mut place = Place::new();
        let found = place.user(&file(key.name, key.valid)).whole().found;
        let shown = key.kind.show(&found[&named(key.name)].value);
        let variable = variable.replace("<NAME>", "MAIN");
        let again = place.variable(&variable, &shown).whole();
        assert_eq!(again.found[&named(key.name)].origin, Origin::Variable(variable), "{}", key.name);
    }
}

#[test]
fn a_flag_goes_before_a_variable_before_a_project_before_a_user_before_the_default() {
    let mut place = Place::new();
    let spawns = |place: &Place, flags: &[Given]| {
        let read = place.read(flags).unwrap();
        read.settings.run.max_spawns.map(|set| (set.value, place.told(set.origin)))
    };
    let told = |value, origin: &str| Some((value, origin.to_string()));
    assert_eq!(spawns(&place, &[]), None);
    place.user("# mine\n[run]\n  max_spawns = 30\n");
    assert_eq!(spawns(&place, &[]), told(30, "config/config.toml:3:16"));
    place.project("run.max_spawns = 20\n");
    assert_eq!(spawns(&place, &[]), told(20, "loom.toml:1:18"));
    place.variable("LOOM_RUN_MAX_SPAWNS", "25");
    assert_eq!(spawns(&place, &[]), told(25, "LOOM_RUN_MAX_SPAWNS"));
    let flag = Given { key: "run.max_spawns", flag: "--max-spawns", value: Value::Number(99) };
    assert_eq!(spawns(&place, &[flag]), told(99, "--max-spawns"));
    let bundle = &place.whole().settings.run.bundle;
    assert_eq!((bundle.value.as_str(), bundle.origin.to_string().as_str()), ("code", "default"));
}

#[test]
fn a_project_asks_for_less_and_never_for_more() {
    let place = Place::new();
    place.user("[run]\nmax_spawns = 10\n[fence]\nnetwork = true\nmode = \"auto\"\n");
    let read = place
        .project("[run]\nmax_spawns = 4\nbudget_usd = 900\n[fence]\nmode = \"required\"\nnetwork = false\n")
        .whole();
    assert_eq!(read.warnings, []);
    let settings = read.settings;
    assert_eq!((settings.fence.mode.value, settings.fence.network.value), (FenceMode::Required, false));
    let caps = settings.caps(&Limits::default());
    assert_eq!((caps.spawns, caps.money_micro), (4, Limits::default().money_micro), "a bundle's limit is not raised");
    let read = place.project("[run]\nmax_spawns = 11\n[fence]\nmode = \"off\"\nnetwork = true\n").whole();
    let told: Vec<String> = read.warnings.iter().map(|warning| place.told(warning)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("loom.toml:4:8: a project may only lower `fence.mode`"), "{told:?}");
    assert!(told[1].starts_with("loom.toml:2:14: a project may only lower `run.max_spawns`"), "{told:?}");
    assert_eq!((read.settings.fence.mode.value, read.settings.run.max_spawns.unwrap().value), (FenceMode::Auto, 10));
}

#[test]
fn what_hands_out_chooses_or_weakens_is_not_a_project_s() {
    for key in KEYS.iter().filter(|key| key.project == Project::Never) {
        let place = Place::new();
        let before = place.whole().found;
        let read = place.project(&format!("{} = {}\n", named(key.name), key.valid)).whole();
        let told = place.told(&read.warnings[0]);
        assert!(told.starts_with("loom.toml:1:") && told.contains(&named(key.name)), "{told}");
        assert_eq!(read.found, before, "{}", key.name);
    }
    let stricter: Vec<&str> = KEYS.iter().filter(|key| key.project == Project::Stricter).map(|key| key.name).collect();
    let rest = ["run.max_spawns", "run.max_tokens", "run.max_time", "run.budget_usd"];
    let fence = ["fence.mode", "fence.network", "fence.memory", "fence.processes", "fence.file_size"];
    assert_eq!(stricter, [rest.as_slice(), &fence].concat());
}

#[test]
fn an_unknown_key_warns_with_its_place_and_the_nearest_name() {
    let mut place = Place::new();
    place.user("[run]\nmax_spwans = 3\n[fenc]\nmode = \"off\"\n[agents]\n\"no name\" = [\"x\"]\n");
    place.variable("LOOM_RUN_POLCY", "human").variable("LOOM_SOMETHING_ELSE", "1");
    let told: Vec<String> = place.whole().warnings.iter().map(|warning| place.told(warning)).collect();
    let wanted = [
        "config/config.toml:3:2: there is no key `fenc`; did you mean `fence`?",
        "config/config.toml:2:1: there is no key `run.max_spwans`; did you mean `max_spawns`?",
        "config/config.toml:6:1: there is no key `agents.no name`; a name has letters, digits, `-` and `_`",
        "LOOM_RUN_POLCY: it sets no key; did you mean LOOM_RUN_POLICY?",
    ];
    let (mut told, mut wanted) = (told, wanted.to_vec());
    told.sort();
    wanted.sort_unstable();
    assert_eq!(told, wanted);
}

#[test]
fn every_flaw_is_told_at_once_and_no_value_is_shown() {
    let place = Place::new();
    let key = "sk-this-is-a-key-in-the-wrong-place-1234";
    place.user(&format!(
        "run = 3\n[fence]\nmemory = \"lots\"\n[providers.main]\ncredential = \"{key}\"\n[tiers]\nfast = [\"mian\"]\n"
    ));
    let told = place.told(place.read(&[]).unwrap_err());
    for part in [
        "config.toml:1:1: `run` is no table; write [run]",
        "config.toml:3:10: `fence.memory` is not of its kind; write a size",
        "config.toml:5:14: `providers.main.credential` is not of its kind; write \"secret:NAME\"",
        "config.toml:7:8: there is no provider `mian`",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains(key), "{told}");
    let told = place.told(place.user("[run\n").read(&[]).unwrap_err());
    assert!(told.contains("config/config.toml:1:"), "{told}");
}

#[test]
fn a_provider_without_a_kind_needs_one_unless_its_name_is_one() {
    let place = Place::new();
    let kind = loom_providers::KINDS[0];
    let settings = place.user(&format!("providers.{kind}.retries_max = 1\n")).whole().settings;
    assert_eq!(settings.provider(kind).unwrap().kind.value, kind);
    let told = place.told(place.user("providers.mine.retries_max = 1\n").read(&[]).unwrap_err());
    assert!(told.contains("config.toml:1:30: `providers.mine.kind` is missing; write one of"), "{told}");
}

#[test]
fn who_thinks_is_looked_up_by_agent_then_kind_then_tier() {
    let place = Place::new();
    let kind = loom_providers::KIND_SAMPLE;
    let providers: String = ["a", "b", "c", "d"].map(|name| format!("providers.{name}.kind = {kind}\n")).concat();
    place.user(&format!(
        "{providers}run.providers = [\"d\"]\nagents.x = [\"a\", \"d\"]\nkinds.reviewer = \"b\"\ntiers.fast = \"c\"\n"
    ));
    let settings = place.whole().settings;
    let who = |agent, kind, tier| settings.providers_of(agent, kind, tier).value.join(" ");
    assert_eq!(who("x", "reviewer", "fast"), "a d");
    assert_eq!(who("y", "reviewer", "fast"), "b");
    assert_eq!(who("y", "worker", "fast"), "c");
    assert_eq!(who("y", "worker", "strong"), "d");
}

#[test]
fn setting_a_key_keeps_everything_else_as_it_is() {
    let place = Place::new();
    let path = user_file(&place.environment());
    let before =
        "# my settings\n\n[run]  # the usual\nmax_spawns = 7 # not more\n\npolicy   =   \"human\"\n# the end\n";
    place.user(before);
    set(Layer::User, &path, "run.max_spawns", "9").unwrap();
    set(Layer::User, &path, "tiers.fast", loom_providers::KINDS[0]).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    let begun = before.replace("max_spawns = 7", "max_spawns = 9");
    assert!(after.starts_with(begun.trim_end_matches("# the end\n")), "{after}");
    assert!(after.contains("# the end") && after.contains("[tiers]\nfast = ["), "{after}");
    assert_eq!(place.whole().settings.run.max_spawns.unwrap().value, 9);
    for name in ["main", "spare"] {
        set(Layer::User, &path, &format!("providers.{name}.kind"), loom_providers::KINDS[0]).unwrap();
    }
    for (key, value) in KEYS.iter().map(|key| (key, named(key.name))) {
        let sample = Place::new().user(&file(key.name, key.valid)).whole().found;
        let shown = key.kind.show(&sample[&value].value);
        set(Layer::User, &path, &value, &shown).unwrap_or_else(|error| panic!("{value}: {error}"));
    }
}

#[test]
fn a_key_that_cannot_be_set_changes_nothing() {
    let place = Place::new();
    let path = user_file(&place.environment());
    let before = "run.max_spawns = 7\n";
    place.user(before).project("[checks]\ntest = [\"true\"]\n");
    let of = |layer, file: &PathBuf, key: &str, value: &str| set(layer, file, key, value).unwrap_err();
    assert!(matches!(of(Layer::User, &path, "run.max_spawn", "3"), EditError::Unknown(_)));
    assert!(matches!(of(Layer::User, &path, "run", "3"), EditError::Unknown(_)));
    let wrong = of(Layer::User, &path, "run.max_spawns", "three").to_string();
    assert_eq!(wrong, "`run.max_spawns` does not take that; write a whole number, 1 or more");
    assert!(matches!(of(Layer::Project, &place.project_file(), "run.policy", "human"), EditError::NotOfProject(_)));
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    set(Layer::Project, &place.project_file(), "run.max_time", "30m").unwrap();
    let project = fs::read_to_string(place.project_file()).unwrap();
    assert_eq!(project, "[checks]\ntest = [\"true\"]\n\n[run]\nmax_time = \"30m\"\n");
    // What is wrong with it shows only beside what else there is.
    assert!(matches!(of(Layer::User, &path, "run.providers", "nobody"), EditError::Flaws(_)));
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    place.user("run.max_spawns = \"many\"\n");
    assert!(matches!(of(Layer::User, &path, "run.policy", "human"), EditError::Flaws(_)));
    place.user("no toml\n");
    let told = of(Layer::User, &path, "run.policy", "human");
    assert!(matches!(told, EditError::Toml { line: 1, column: 4, .. }), "{told:?}");
}

#[test]
fn a_file_behind_a_link_is_changed_and_the_link_stays() {
    let place = Place::new();
    let (path, real) = (user_file(&place.environment()), place.folder.path().join("dotfiles.toml"));
    fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    set(Layer::User, &path, "run.policy", "human").unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "[run]\npolicy = \"human\"\n");
    // A project's file that is a link could lead anywhere.
    std::os::unix::fs::symlink(&real, place.project_file()).unwrap();
    assert!(place.read(&[]).unwrap_err().to_string().contains("it is no file of at most 1 MiB"));
}

#[test]
fn the_document_has_the_table_of_keys() {
    let document = include_str!("../../../specs/settings.md");
    assert!(document.contains(&in_words()), "put this into specs/settings.md:\n{}", in_words());
    assert!(KEYS.iter().all(|key| find(&named(key.name)).is_some_and(|found| found.name == key.name)));
}
