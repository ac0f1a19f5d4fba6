//! What is concluded from a run of the command.
//!
//! Exit status 0 is not success: the command says that a turn is completed also where the model refused, said nothing
//! or was denied something. A run is `ok` when the command exited with 0, its turn was completed, nothing was denied,
//! and the model said something after all that it did (HARNESS-4). What its fence forbade and which tool was unknown it
//! does not tell: that shows in what was done.

use super::transcript::{Ending, Failure, Transcript, read};
use crate::provider::{Ended, SpawnReport};
use crate::refusal::{DETAIL_BYTES_MAX, last_words, of_status};
use loom_core::answer::clip;
use loom_core::word::SpawnOutcome;

/// What the command says of settings that it does not know.
const CONFIG_REFUSED: &str = "Error loading config.toml";

/// Returns the report of a run that ended so.
pub(super) fn conclude(ended: &Ended, version: &str, model: Option<String>) -> SpawnReport {
    let transcript = read(&ended.output);
    let (outcome, detail) = judge(ended, &transcript);
    let (tokens_in, tokens_out) = match &transcript.ending {
        Some(Ending::Completed { tokens_in, tokens_out }) => (*tokens_in, *tokens_out),
        // Refused each time, it used nothing.
        Some(Ending::Failed(Failure { status: Some(_), .. })) if !transcript.has_spoken && !transcript.broke_off => {
            (Some(0), Some(0))
        }
        _ => (None, None),
    };
    SpawnReport {
        outcome,
        output: transcript.message.unwrap_or_default().into_bytes(),
        tokens_in,
        tokens_out,
        money_micro: None,
        model,
        session: transcript.session,
        wake_ms: None,
        detail: detail.map(|detail| clip(&detail, DETAIL_BYTES_MAX)),
        provider: Some(format!("codex {version}")),
        chosen: None,
        requests: None,
        transcript: ended.output.clone(),
    }
}

fn judge(ended: &Ended, transcript: &Transcript) -> (SpawnOutcome, Option<String>) {
    use SpawnOutcome::{Broken, Cancelled, Failed, Limited, Ok, TimedOut};
    let told = |outcome, detail: String| (outcome, Some(detail));
    let words = last_words(&ended.detail);
    match ended.outcome {
        Broken | Cancelled => return told(ended.outcome, ended.detail.clone()),
        // What it waits for may tell more than that it waited.
        TimedOut => {
            return match &transcript.failure {
                Some(Failure { status: Some(status), .. }) => {
                    let outcome = match of_status(*status) {
                        Failed => TimedOut,
                        // As below.
                        Limited if transcript.has_spoken => TimedOut,
                        outcome => outcome,
                    };
                    told(outcome, format!("refused with {status}, it meant to ask again: {words}"))
                }
                Some(_) => told(TimedOut, format!("without an answer, it meant to ask again: {words}")),
                None => told(TimedOut, words.to_string()),
            };
        }
        Ok | Failed | SpawnOutcome::Unparsable | Limited => {}
    }
    match &transcript.ending {
        // Settings that it does not know end it before it begins, and would again.
        None if transcript.session.is_none() && words.contains(CONFIG_REFUSED) => {
            return told(Broken, format!("it does not take its settings: {words}"));
        }
        None => return told(Failed, format!("its report is missing or cut: {words}")),
        Some(Ending::Failed(Failure { status: Some(status), what })) => {
            let outcome = match of_status(*status) {
                // What it used before is not told, and of a limited spawn nothing counts that is not known.
                Limited if transcript.has_spoken => Failed,
                outcome => outcome,
            };
            return told(outcome, format!("it was refused with {status}: {what}"));
        }
        Some(Ending::Failed(Failure { status: None, what })) => {
            return told(Failed, format!("it reports an error: {what}"));
        }
        Some(Ending::Completed { .. }) => {}
    }
    if ended.outcome != Ok {
        return told(Failed, format!("it reports success, but {words}"));
    }
    if !transcript.denied.is_empty() {
        return told(Failed, format!("it was denied the use of {}", transcript.denied.join(", ")));
    }
    // Also after a refusal, which the command does not show.
    if transcript.message.as_deref().is_none_or(|message| message.trim().is_empty()) {
        let what = if transcript.is_cut { "its report is missing or cut" } else { "its last message is empty" };
        return told(Failed, what.to_string());
    }
    (Ok, None)
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

    fn used(tokens_in: &Value, tokens_out: &Value) -> Value {
        json!({"type": "turn.completed", "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out}})
    }

    fn concluded(outcome: SpawnOutcome, lines: &[Value]) -> SpawnReport {
        let begun = json!({"type": "thread.started", "thread_id": "s"});
        let output = printed(&[&[begun], lines].concat());
        let detail = "it ended with exit code 1: words".to_string();
        conclude(&Ended { outcome, output, detail }, "0.169.0", Some("m".to_string()))
    }

    #[track_caller]
    fn check(lines: &[Value], outcome: SpawnOutcome, detail: Option<&str>) -> SpawnReport {
        let report = concluded(SpawnOutcome::Ok, lines);
        assert_eq!((report.outcome, report.detail.as_deref()), (outcome, detail));
        report
    }

    #[test]
    fn a_whole_report_is_read() {
        let report = check(&[ran("completed"), said("Done."), used(&json!(200), &json!(40))], SpawnOutcome::Ok, None);
        assert_eq!((report.tokens_in, report.tokens_out, report.money_micro), (Some(200), Some(40), None));
        assert_eq!((report.model.as_deref(), report.session.as_deref()), (Some("m"), Some("s")));
        assert_eq!((report.output, report.provider.as_deref()), (b"Done.".to_vec(), Some("codex 0.169.0")));
    }

    #[test]
    fn success_is_more_than_the_word() {
        let (failed, end) = (SpawnOutcome::Failed, used(&json!(1), &json!(1)));
        check(std::slice::from_ref(&end), failed, Some("its last message is empty"));
        check(&[said("I begin."), ran("completed"), end.clone()], failed, Some("its last message is empty"));
        check(&[ran("declined"), said("Done."), end.clone()], failed, Some("it was denied the use of x"));
        check(&[said("Done.")], failed, Some("its report is missing or cut: it ended with exit code 1: words"));
        let report = concluded(failed, &[said("Done."), end]);
        let detail = "it reports success, but it ended with exit code 1: words";
        assert_eq!((report.outcome, report.detail.as_deref()), (failed, Some(detail)));
    }

    #[test]
    fn a_refusal_by_the_endpoint_says_whether_to_try_again() {
        let body = json!({"error": {"message": "no"}}).to_string();
        for (what, outcome, used) in [
            ("unexpected status 401 Unauthorized: no, url: http://x/status/7", SpawnOutcome::Broken, Some(0)),
            ("exceeded retry limit, last status: 429 Too Many Requests", SpawnOutcome::Limited, Some(0)),
            ("unexpected status 529 <unknown status code>: no", SpawnOutcome::Limited, Some(0)),
            (body.as_str(), SpawnOutcome::Broken, Some(0)),
            ("stream disconnected before completion", SpawnOutcome::Failed, None),
            ("status", SpawnOutcome::Failed, None),
        ] {
            let lines =
                [json!({"type": "error", "message": what}), json!({"type": "turn.failed", "error": {"message": what}})];
            let report = concluded(SpawnOutcome::Failed, &lines);
            assert_eq!((report.outcome, report.tokens_in, report.tokens_out), (outcome, used, used), "{what}");
            let report = concluded(SpawnOutcome::Failed, &[&[said("x")], &lines[..]].concat());
            assert_eq!(report.tokens_in, None, "the answer before used something");
            assert_ne!(report.outcome, SpawnOutcome::Limited, "and would not be counted");
        }
    }

    #[test]
    fn usage_that_no_number_can_hold_is_unknown() {
        let report = check(&[said("Done."), used(&json!(1.8e19), &json!(-1))], SpawnOutcome::Ok, None);
        assert_eq!((report.tokens_in, report.tokens_out), (None, None));
    }

    #[test]
    fn settings_that_it_does_not_know_are_no_passing_failure() {
        let detail = "it ended with exit code 1: Error loading config.toml:\nunknown field".to_string();
        let ended = Ended { outcome: SpawnOutcome::Failed, output: Vec::new(), detail };
        assert_eq!(conclude(&ended, "1", None).outcome, SpawnOutcome::Broken);
    }

    proptest! {
        /// Whatever the model says comes back byte for byte, and it alone.
        #[test]
        fn any_text_comes_back(text in ".*[^\\s].*") {
            let report = concluded(SpawnOutcome::Ok, &[said("x"), said(&text), used(&json!(1), &json!(1))]);
            prop_assert_eq!((report.outcome, report.output), (SpawnOutcome::Ok, text.into_bytes()));
        }

        /// Bytes are data: any of them, also amid a transcript that is cut or altered anywhere.
        #[test]
        fn no_output_is_a_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..64),
            at in 0..300_usize,
            cut in 0..300_usize,
        ) {
            let mut output = printed(&[ran("completed"), said("Done."), used(&json!(1), &json!(1))]);
            let at = at.min(output.len());
            output.splice(at..(at + cut).min(output.len()), noise);
            for outcome in [SpawnOutcome::Ok, SpawnOutcome::Failed, SpawnOutcome::TimedOut] {
                let ended = Ended { outcome, output: output.clone(), detail: String::new() };
                let report = conclude(&ended, "1", None);
                prop_assert!(outcome == SpawnOutcome::Ok || report.outcome != SpawnOutcome::Ok);
            }
        }
    }
}
