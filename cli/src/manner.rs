//! Holds what is asked here against how the process drives that has the store: it has a fence and who thinks already.
//!
//! Never: lets a run be driven in a lesser fence than was asked for (FENCE-2), or drops in silence what stands on the
//! command line.

use crate::configuring::settings;
use crate::driving::{OPEN, Thinker};
use crate::error::CliError;
use crate::text::clean;
use loom_host::driver::{Manner, Named};
use loom_host::environment::Environment;
use loom_host::request::Ask;
use loom_host::settings::FenceMode;
use loom_server::RemoteStore;
use std::path::Path;

/// Whether what is asked is done as who drives does it, and how that is, where it says so.
///
/// # Errors
/// [`CliError::DrivenOtherwise`]; [`CliError::Store`] where it depends on who drives, and they do not answer.
pub(crate) fn agree(holder: &RemoteStore, thinker: &Thinker, mode: FenceMode) -> Result<Option<Manner>, CliError> {
    let wanted = thinker.named()?;
    let is_asked = mode == FenceMode::Required || thinker.fence().is_some() || wanted != Named::default();
    let manner = match holder.driver() {
        // Nothing depends on it, and whether it is still there is told by what is asked next.
        Err(_) if !is_asked => None,
        manner => manner?,
    };
    match otherwise(manner.as_ref(), thinker.fence(), mode, &wanted) {
        None => Ok(manner),
        Some(what) => Err(CliError::DrivenOtherwise { what, process: manner.map(|manner| manner.process) }),
    }
}

/// As [`agree`], for a request to a run of the store in `folder`.
pub(crate) fn agree_to(holder: &RemoteStore, thinker: &Thinker, ask: &Ask, folder: &Path) -> Result<(), CliError> {
    let mode = match ask {
        // What only ends or holds is never in the way of being fenced.
        Ask::Pause | Ask::Cancel { .. } | Ask::Steer { .. } if thinker.fence() != Some("required") => FenceMode::Auto,
        Ask::Pause
        | Ask::Cancel { .. }
        | Ask::Steer { .. }
        | Ask::Answer { .. }
        | Ask::Recover { .. }
        | Ask::AcceptRisk { .. }
        | Ask::AddRules { .. }
        | Ask::Resume => {
            let place = folder.parent().unwrap_or(folder);
            settings(&Environment::read(), place, &thinker.given())?.settings.fence.mode.value
        }
    };
    agree(holder, thinker, mode).map(drop)
}

/// Says what who drives does otherwise; `flag` is what the command line says of a fence, `mode` what holds of one.
fn otherwise(manner: Option<&Manner>, flag: Option<&str>, mode: FenceMode, wanted: &Named) -> Option<String> {
    let is_required = mode == FenceMode::Required;
    let Some(Manner { fence, why, named, .. }) = manner else {
        let is_asked = is_required || flag.is_some() || *wanted != Named::default();
        return is_asked.then(|| "it does not say in which fence and with which model".to_string());
    };
    let (is_open, fence) = (fence == OPEN, clean(fence));
    match flag {
        _ if is_required && is_open => return Some("it has no fence, and one is required".to_string()),
        Some("off") if !is_open => return Some(format!("it has the fence {fence}, and --fence off asks for none")),
        Some("auto") if is_open && why.is_none() => {
            return Some("it was told to have no fence, and --fence auto asks for the best".to_string());
        }
        _ => {}
    }
    for (flag, asked, has) in
        [("--provider", &wanted.provider, &named.provider), ("--model", &wanted.model, &named.model)]
    {
        if let Some(asked) = asked.as_ref().filter(|_| asked != has) {
            let what = match (has, named.script) {
                (Some(has), _) => format!("it was started with {flag} {}", clean(has)),
                (None, Some(_)) => "a script stands in for its model".to_string(),
                (None, None) => "its models are as its settings say".to_string(),
            };
            return Some(format!("{what}, not {flag} {}", clean(asked)));
        }
    }
    match (wanted.script, named.script) {
        (Some(asked), Some(has)) if asked != has => {
            Some("its model script is another than that of --script".to_string())
        }
        (Some(_), None) => Some("it was started without a model script, and --script names one".to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom_core::id::Digest;

    fn manner(fence: &str, why: Option<&str>, named: &Named) -> Manner {
        let (fence, why) = (fence.to_string(), why.map(str::to_string));
        Manner { process: 7, fence, why, named: named.clone() }
    }

    #[test]
    fn a_fence_that_is_asked_for_and_not_there_is_told() {
        let nobody = Named::default();
        for (fence, why, flag, mode, told) in [
            ("none", None, None, FenceMode::Auto, None),
            ("none", None, None, FenceMode::Required, Some("one is required")),
            ("none", Some("w"), Some("required"), FenceMode::Required, Some("one is required")),
            ("none", None, Some("auto"), FenceMode::Auto, Some("--fence auto")),
            ("none", Some("w"), Some("auto"), FenceMode::Auto, None),
            ("none", None, Some("off"), FenceMode::Off, None),
            ("landlock", None, Some("off"), FenceMode::Off, Some("the fence landlock")),
            ("landlock", None, None, FenceMode::Off, None),
            ("landlock", None, Some("required"), FenceMode::Required, None),
        ] {
            let found = otherwise(Some(&manner(fence, why, &nobody)), flag, mode, &nobody);
            let is_as_wanted =
                found.as_deref().map_or(told.is_none(), |found| told.is_some_and(|told| found.contains(told)));
            assert!(is_as_wanted, "{fence} {why:?} {flag:?} {mode:?}: {found:?}");
        }
        assert!(otherwise(None, None, FenceMode::Required, &nobody).is_some());
        assert!(otherwise(None, None, FenceMode::Auto, &nobody).is_none());
    }

    #[test]
    fn whoever_is_named_to_think_and_does_not_is_told() {
        let provider = |name: &str| Named { provider: Some(name.to_string()), ..Named::default() };
        let model = |name: &str| Named { model: Some(name.to_string()), ..Named::default() };
        let script = |byte| Named { script: Some(Digest([byte; 32])), ..Named::default() };
        for (wanted, has, told) in [
            (Named::default(), provider("a"), None),
            (provider("a"), provider("a"), None),
            (provider("a"), provider("b"), Some("started with --provider b, not --provider a")),
            (provider("a"), script(1), Some("a script stands in")),
            (model("m"), Named::default(), Some("as its settings say, not --model m")),
            (script(1), script(1), None),
            (script(1), script(2), Some("another")),
            (script(1), Named::default(), Some("without a model script")),
        ] {
            let found = otherwise(Some(&manner("none", None, &has)), None, FenceMode::Auto, &wanted);
            let is_as_wanted =
                found.as_deref().map_or(told.is_none(), |found| told.is_some_and(|told| found.contains(told)));
            assert!(is_as_wanted, "{wanted:?} {has:?}: {found:?}");
        }
    }
}
