//! What is concluded from a run of the command.
//!
//! Exit status 0 is not success: the command says that a turn is completed also where the model refused, said nothing
//! or was denied something. A run is `ok` when the command exited with 0, its turn was completed, and the model said
//! something after all that it did (HARNESS-4); what was denied is told. What its fence forbade and which tool was unknown it
//! does not tell: that shows in what was done.

use super::transcript::{Ending, Transcript, read};
use crate::gateway::Tally;
use crate::provider::{Ended, SpawnReport};
use crate::refusal::{DETAIL_BYTES_MAX, denied, last_words, of_status, refused, stopped, with};
use loom_core::answer::clip;
use loom_core::word::SpawnOutcome;

/// What the command says of settings that it does not know.
const CONFIG_REFUSED: &str = "Error loading config.toml";

/// Returns the report of a run that ended so, and of which so much passed the gateway.
pub(super) fn conclude(ended: &Ended, tally: &Tally, version: &str, model: Option<String>) -> SpawnReport {
    let transcript = read(&ended.output);
    let (outcome, detail) = judge(ended, &transcript, tally);
    let is_free = tally.tokens_in == Some(0) && tally.tokens_out == Some(0);
    SpawnReport {
        outcome,
        output: transcript.message.unwrap_or_default().into_bytes(),
        tokens_in: tally.tokens_in,
        tokens_out: tally.tokens_out,
        money_micro: is_free.then_some(0),
        model: tally.model.clone().or(model),
        session: transcript.session,
        wake_ms: tally.retry_after_ms.filter(|_| outcome == SpawnOutcome::Limited),
        detail: detail.map(|detail| clip(&detail, DETAIL_BYTES_MAX)),
        provider: Some(format!("codex {version}")),
        chosen: None,
        requests: Some(tally.requests),
        transcript: ended.output.clone(),
    }
}

fn judge(ended: &Ended, transcript: &Transcript, tally: &Tally) -> (SpawnOutcome, Option<String>) {
    use SpawnOutcome::{Broken, Failed, Ok};
    let told = |outcome, detail: String| (outcome, Some(detail));
    if let Some(stopped) = stopped(ended, tally) {
        return stopped;
    }
    let words = last_words(&ended.detail);
    match &transcript.ending {
        // Settings that it does not know end it before it begins, and would again.
        None if transcript.session.is_none() && words.contains(CONFIG_REFUSED) => {
            return told(Broken, format!("it does not take its settings: {words}"));
        }
        None => return told(Failed, format!("its report is missing or cut: {words}")),
        Some(Ending::Failed(what)) => {
            return match refused(tally) {
                Some(status) => told(of_status(status), format!("it was refused with {status}: {what}")),
                None => told(Failed, format!("it reports an error: {what}")),
            };
        }
        Some(Ending::Completed) => {}
    }
    if ended.outcome != Ok {
        return told(Failed, format!("it reports success, but {words}"));
    }
    let denied = denied(&transcript.denied);
    // Also after a refusal, which the command does not show.
    if transcript.message.as_deref().is_none_or(|message| message.trim().is_empty()) {
        let what = if transcript.is_cut { "its report is missing or cut" } else { "its last message is empty" };
        return told(Failed, with(what, denied));
    }
    (Ok, denied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn printed(lines: &[Value]) -> Vec<u8> {
        lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
    }

    fn said(text: &str) -> Value {
        json!({"type": "item.completed", "item": {"id": "item_2", "type": "agent_message", "text": text}})
    }

    fn ran(status: &str) -> Value {
        let item = json!({"type": "command_execution", "command": "x", "status": status});
        json!({"type": "item.completed", "item": item})
    }

    fn completed() -> Value {
        json!({"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}})
    }

    fn concluded(outcome: SpawnOutcome, lines: &[Value]) -> SpawnReport {
        concluded_with(outcome, lines, None)
    }

    /// Concludes with the last answer's status.
    fn concluded_with(outcome: SpawnOutcome, lines: &[Value], status: Option<u16>) -> SpawnReport {
        let tally = Tally { status, retry_after_ms: Some(7), model: Some("m".to_string()), ..Tally::default() };
        let begun = json!({"type": "thread.started", "thread_id": "s"});
        let output = printed(&[&[begun], lines].concat());
        let detail = "it ended with exit code 1: words".to_string();
        conclude(&Ended { outcome, output, detail }, &tally, "0.169.0", None)
    }

    #[track_caller]
    fn check(lines: &[Value], outcome: SpawnOutcome, detail: Option<&str>) -> SpawnReport {
        let report = concluded(SpawnOutcome::Ok, lines);
        assert_eq!((report.outcome, report.detail.as_deref()), (outcome, detail));
        report
    }

    #[test]
    fn a_whole_report_is_read() {
        let report = check(&[ran("completed"), said("Done."), completed()], SpawnOutcome::Ok, None);
        assert_eq!((report.model.as_deref(), report.session.as_deref()), (Some("m"), Some("s")));
        assert_eq!((report.output, report.provider.as_deref()), (b"Done.".to_vec(), Some("codex 0.169.0")));
    }

    #[test]
    fn success_is_more_than_the_word() {
        let (failed, end) = (SpawnOutcome::Failed, completed());
        check(std::slice::from_ref(&end), failed, Some("its last message is empty"));
        check(&[said("I begin."), ran("completed"), end.clone()], failed, Some("its last message is empty"));
        check(&[ran("declined"), said("Done."), end.clone()], SpawnOutcome::Ok, Some("it was denied the use of x"));
        let silent = "its last message is empty; it was denied the use of x";
        check(&[ran("declined"), end.clone()], failed, Some(silent));
        check(&[said("Done.")], failed, Some("its report is missing or cut: it ended with exit code 1: words"));
        let report = concluded(failed, &[said("Done."), end]);
        let detail = "it reports success, but it ended with exit code 1: words";
        assert_eq!((report.outcome, report.detail.as_deref()), (failed, Some(detail)));
    }

    #[test]
    fn a_refusal_by_the_endpoint_says_whether_to_try_again() {
        let lines = [json!({"type": "turn.failed", "error": {"message": "words"}})];
        for (status, outcome, wake_ms) in [
            (Some(401), SpawnOutcome::Broken, None),
            (Some(429), SpawnOutcome::Limited, Some(7)),
            (Some(529), SpawnOutcome::Limited, Some(7)),
            (Some(500), SpawnOutcome::Failed, None),
            (Some(200), SpawnOutcome::Failed, None),
            (None, SpawnOutcome::Failed, None),
        ] {
            let report = concluded_with(SpawnOutcome::Failed, &lines, status);
            assert_eq!((report.outcome, report.wake_ms), (outcome, wake_ms), "{status:?}");
        }
    }

    #[test]
    fn settings_that_it_does_not_know_are_no_passing_failure() {
        let detail = "it ended with exit code 1: Error loading config.toml:\nunknown field".to_string();
        let ended = Ended { outcome: SpawnOutcome::Failed, output: Vec::new(), detail };
        assert_eq!(conclude(&ended, &Tally::default(), "1", None).outcome, SpawnOutcome::Broken);
    }

    proptest! {
        /// Whatever the model says comes back byte for byte, and it alone.
        #[test]
        fn any_text_comes_back(text in ".*[^\\s].*") {
            let report = concluded(SpawnOutcome::Ok, &[said("x"), said(&text), completed()]);
            prop_assert_eq!((report.outcome, report.output), (SpawnOutcome::Ok, text.into_bytes()));
        }

        /// Bytes are data: any of them, also amid a transcript that is cut or altered anywhere.
        #[test]
        fn no_output_is_a_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..64),
            at in 0..300_usize,
            cut in 0..300_usize,
        ) {
            let mut output = printed(&[ran("completed"), said("Done."), completed()]);
            let at = at.min(output.len());
            output.splice(at..(at + cut).min(output.len()), noise);
            for outcome in [SpawnOutcome::Ok, SpawnOutcome::Failed, SpawnOutcome::TimedOut] {
                let ended = Ended { outcome, output: output.clone(), detail: String::new() };
                let report = conclude(&ended, &Tally::default(), "1", None);
                prop_assert!(outcome == SpawnOutcome::Ok || report.outcome != SpawnOutcome::Ok);
            }
        }
    }
}
