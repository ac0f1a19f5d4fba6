//! Secrets from outside: what lies on the disk, and what can be had back.

use crate::project::Project;
use loom_host::environment::Environment;
use loom_host::redact::Redactor;
use loom_host::secrets::{Secret, SecretsError, Vault};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const VALUE: &str = "correct-horse-battery-staple";

fn vault(project: &Project) -> (Environment, Vault) {
    let environment = project.environment();
    let vault = Vault::of(&environment);
    (environment, vault)
}

#[test]
fn a_secret_is_kept_sealed_and_comes_back() {
    needs!("git");
    let project = Project::new();
    let (environment, vault) = vault(&project);
    assert_eq!(vault.list().unwrap(), []);
    assert!(!vault.set("main", &Secret::new(VALUE.to_string()), 7).unwrap());
    assert!(vault.set("main", &Secret::new(VALUE.to_string()), 8).unwrap(), "it was there");
    vault.set("other", &Secret::new("another value".to_string()), 9).unwrap();
    assert_eq!(vault.get("main").unwrap().expose(), VALUE);
    let listed: Vec<_> = vault.list().unwrap().into_iter().map(|listed| (listed.name, listed.set_ms)).collect();
    assert_eq!(listed, [("main".to_string(), 8), ("other".to_string(), 9)]);
    let file = environment.config_folder.join("secrets.json");
    let key = environment.data_folder.join("keys/secrets.key");
    for path in [&file, &key] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        let bytes = fs::read(path).unwrap();
        assert!(!bytes.windows(7).any(|found| VALUE.as_bytes().windows(7).any(|part| part == found)));
    }
    assert!(!fs::read(&file).unwrap().windows(32).any(|found| found == fs::read(&key).unwrap()));
    vault.remove("main").unwrap();
    assert!(matches!(vault.get("main"), Err(SecretsError::Unknown(_))));
    assert!(matches!(vault.remove("main"), Err(SecretsError::Unknown(_))));
}

#[test]
fn a_value_is_bound_to_its_name_and_its_key() {
    needs!("git");
    let project = Project::new();
    let (environment, vault) = vault(&project);
    vault.set("main", &Secret::new(VALUE.to_string()), 7).unwrap();
    let file = environment.config_folder.join("secrets.json");
    let key = environment.data_folder.join("keys/secrets.key");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.replace("\"main\"", "\"spare\"")).unwrap();
    assert!(matches!(vault.get("spare"), Err(SecretsError::Sealed { .. })));
    fs::write(&file, whole.replace("secrets/1", "secrets/2")).unwrap();
    assert!(matches!(vault.get("main"), Err(SecretsError::Form { .. })));
    fs::write(&file, whole).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(vault.get("main"), Err(SecretsError::KeyOpen { .. })));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, [1; 32]).unwrap();
    assert!(matches!(vault.get("main"), Err(SecretsError::Sealed { .. })));
    fs::remove_file(&key).unwrap();
    assert!(matches!(vault.get("main"), Err(SecretsError::KeyGone { .. })));
    let again = vault.set("new", &Secret::new(VALUE.to_string()), 7);
    assert!(matches!(again, Err(SecretsError::KeyGone { .. })), "a new key would make the others unreadable");
    // Nothing is driven with secrets that could not be kept out of the record.
    let refused = project.session("").err().map(|error| error.to_string()).unwrap();
    assert!(refused.contains("is gone, so the secrets in"), "{refused}");
}

#[test]
fn a_redactor_knows_what_was_ever_set_while_it_is_used() {
    needs!("git");
    let project = Project::new();
    let (environment, vault) = vault(&project);
    let set = |name: &str, value: &str| vault.set(name, &Secret::new(value.to_string()), 7).unwrap();
    let redactor = Redactor::watching(vault.clone(), Vec::new()).unwrap();
    let say = |value: &str| redactor.text(&format!("it is {value}.")).into_owned();
    assert_eq!(say(VALUE), format!("it is {VALUE}."));
    set("main", VALUE);
    assert_eq!(say(VALUE), "it is [redacted: main].");
    set("main", "tropical-fish-in-a-jar");
    for value in [VALUE, "tropical-fish-in-a-jar"] {
        assert_eq!(say(value), "it is [redacted: main].", "one that was replaced is still in use somewhere");
    }
    vault.remove("main").unwrap();
    assert_eq!(say(VALUE), "it is [redacted: main].");
    // Nothing can be set that cannot be read; what comes once it can be is known.
    set("spare", "plain words of another");
    let key = environment.data_folder.join("keys/secrets.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert_eq!(say("plain words of another"), "it is plain words of another.", "it was not read in time");
    assert_eq!(say(VALUE), "it is [redacted: main].");
    fs::write(&key, kept).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(say("plain words of another"), "it is [redacted: spare].");
}

#[test]
fn what_is_no_name_or_no_value_is_refused() {
    needs!("git");
    let (_, vault) = vault(&Project::new());
    for name in ["", "a b", "a/b", "ü", &"x".repeat(61)] {
        let refused = vault.set(name, &Secret::new(VALUE.to_string()), 7);
        assert!(matches!(refused, Err(SecretsError::Name(_))), "{name}");
    }
    for value in ["", "short", "with\0nul-in-it", &"x".repeat(64 * 1024 + 1)] {
        let refused = vault.set("main", &Secret::new(value.to_string()), 7);
        assert!(matches!(refused, Err(SecretsError::Value { .. })));
    }
}

#[test]
fn a_secret_shows_itself_to_nobody() {
    let secret = Secret::new(VALUE.to_string());
    assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "[secret] [secret] Some([secret])");
}
