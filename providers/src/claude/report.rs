//! What is concluded from a run of the command.
//!
//! Exit status 0 is not success, and neither is `"subtype":"success"`. A run is `ok` when the command exited with 0,
//! its report came and names no error, and its last message says something (HARNESS-4). Whether that is an answer, and
//! whether anything was done, is found by whoever asked; a use of a tool that was denied is told.

use super::transcript::{Ending, Transcript, read};
use crate::gateway::Tally;
use crate::provider::{Ended, SpawnReport};
use crate::refusal::{DETAIL_BYTES_MAX, denied, last_words, of_status, stopped, with};
use loom_core::answer::clip;
use loom_core::word::SpawnOutcome;

/// Returns the report of a run that ended so, and of which so much passed the gateway.
pub(super) fn conclude(ended: &Ended, tally: &Tally, prices_known: bool) -> SpawnReport {
    let transcript = read(&ended.output);
    let (outcome, detail) = judge(ended, &transcript, tally);
    let ending = transcript.ending.unwrap_or_default();
    let says = ending.text.unwrap_or_default();
    // The report has the last block only; a message that ends with it is the one that it speaks of.
    let says = if transcript.message.text.ends_with(&says) { transcript.message.text } else { says };
    // HARNESS-5: by the endpoint's account, or unknown.
    let is_known = tally.tokens_in.is_some() && tally.tokens_out.is_some();
    let money_micro = match (tally.tokens_in, tally.tokens_out) {
        (Some(0), Some(0)) => Some(0),
        _ => ending.money_micro.filter(|_| prices_known && is_known),
    };
    SpawnReport {
        outcome,
        output: says.into_bytes(),
        tokens_in: tally.tokens_in,
        tokens_out: tally.tokens_out,
        money_micro,
        model: tally.model.clone().or(transcript.model),
        session: transcript.session,
        wake_ms: tally.retry_after_ms.filter(|_| outcome == SpawnOutcome::Limited),
        detail: detail.map(|detail| clip(&detail, DETAIL_BYTES_MAX)),
        provider: Some(provider(transcript.version.as_deref())),
        chosen: None,
        requests: Some(tally.requests),
        transcript: ended.output.clone(),
    }
}

fn provider(version: Option<&str>) -> String {
    version.map_or_else(|| "claude".to_string(), |version| format!("claude {version}"))
}

fn judge(ended: &Ended, transcript: &Transcript, tally: &Tally) -> (SpawnOutcome, Option<String>) {
    use SpawnOutcome::{Failed, Ok};
    let told = |outcome, detail: String| (outcome, Some(detail));
    if let Some(stopped) = stopped(ended, tally) {
        return stopped;
    }
    let Some(ending) = &transcript.ending else {
        // Also of more than some 500 KB at once: then the command may exit with 0 before its pipe has taken them.
        return told(Failed, format!("its report is missing or cut: {}", last_words(&ended.detail)));
    };
    let says = ending.text.as_deref().unwrap_or_default();
    if let Some(status) = ending.api_status.filter(|_| ending.is_error) {
        return told(of_status(status), format!("it was refused with {status}: {says}"));
    }
    if ending.is_error || ending.subtype != "success" {
        return told(Failed, format!("it reports {}: {says}", error_name(ending)));
    }
    if ended.outcome != Ok {
        return told(Failed, format!("it reports success, but {}", last_words(&ended.detail)));
    }
    if ending.stop_reason.as_deref() == Some("refusal") {
        return told(Failed, format!("the model refused: {says}"));
    }
    let denied = denied(&ending.denied);
    if says.trim().is_empty() {
        return told(Failed, with("its last message is empty", denied));
    }
    (Ok, denied)
}

fn error_name(ending: &Ending) -> &str {
    if ending.subtype == "success" { "an error" } else { &ending.subtype }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Returns what the command printed when it was seen to do well, with parts of its last line replaced.
    fn printed(replaced: &Value) -> Vec<u8> {
        let mut result = json!({
            "type": "result", "subtype": "success", "is_error": false, "api_error_status": null, "result": "Done.",
            "stop_reason": "end_turn", "session_id": "s", "total_cost_usd": 0.001_2, "permission_denials": [],
            "modelUsage": {"m": {
                "inputTokens": 150, "outputTokens": 40, "cacheReadInputTokens": 49, "cacheCreationInputTokens": 1
            }},
        });
        for (key, value) in replaced.as_object().into_iter().flatten() {
            result[key] = value.clone();
        }
        let lines = [
            json!({"type": "system", "subtype": "init", "model": "m", "session_id": "s"}),
            json!({"type": "assistant", "message": {"id": "1", "content": [{"type": "text", "text": "Do"}]}}),
            json!({"type": "assistant", "message": {"id": "1", "content": [{"type": "text", "text": "Done."}]}}),
            result,
        ];
        lines.map(|line| format!("{line}\n")).concat().into_bytes()
    }

    fn concluded(outcome: SpawnOutcome, output: Vec<u8>) -> SpawnReport {
        let ended = Ended { outcome, output, detail: "it ended with exit code 1: words".to_string() };
        conclude(&ended, &Tally { tokens_in: Some(200), tokens_out: Some(40), ..Tally::default() }, true)
    }

    #[track_caller]
    fn check(replaced: &Value, outcome: SpawnOutcome, detail: Option<&str>) {
        let report = concluded(SpawnOutcome::Ok, printed(replaced));
        assert_eq!((report.outcome, report.detail.as_deref()), (outcome, detail));
    }

    #[test]
    fn a_whole_report_is_read() {
        let report = concluded(SpawnOutcome::Ok, printed(&json!({})));
        assert_eq!((report.outcome, report.detail), (SpawnOutcome::Ok, None));
        assert_eq!((report.tokens_in, report.tokens_out, report.money_micro), (Some(200), Some(40), Some(1200)));
        assert_eq!((report.model.as_deref(), report.session.as_deref()), (Some("m"), Some("s")));
        assert_eq!(report.output, b"DoDone.");
    }

    #[test]
    fn success_is_more_than_the_word() {
        let failed = SpawnOutcome::Failed;
        check(&json!({"is_error": true}), failed, Some("it reports an error: Done."));
        check(&json!({"is_error": null}), failed, Some("it reports an error: Done."));
        check(&json!({"subtype": "error_during_execution"}), failed, Some("it reports error_during_execution: Done."));
        check(&json!({"stop_reason": "refusal"}), failed, Some("the model refused: Done."));
        check(&json!({"result": null}), failed, Some("its last message is empty"));
        let denied = json!({"permission_denials": [{"tool_name": "Bash"}, {"tool_name": "Write"}]});
        check(&denied, SpawnOutcome::Ok, Some("it was denied the use of Bash, Write"));
        let silent = json!({"permission_denials": [{"tool_name": "Bash"}], "result": ""});
        check(&silent, failed, Some("its last message is empty; it was denied the use of Bash"));
        let report = concluded(failed, printed(&json!({})));
        let detail = "it reports success, but it ended with exit code 1: words";
        assert_eq!((report.outcome, report.detail.as_deref()), (failed, Some(detail)));
    }

    #[test]
    fn a_refusal_by_the_endpoint_says_whether_to_try_again() {
        for (status, outcome) in [
            (400, SpawnOutcome::Broken),
            (401, SpawnOutcome::Broken),
            (403, SpawnOutcome::Broken),
            (408, SpawnOutcome::Failed),
            (429, SpawnOutcome::Limited),
            (500, SpawnOutcome::Failed),
            (529, SpawnOutcome::Limited),
        ] {
            let replaced = json!({"is_error": true, "api_error_status": status, "modelUsage": {}, "total_cost_usd": 0});
            let output = printed(&replaced);
            let tally = Tally { status: Some(status), retry_after_ms: Some(9_000), ..Tally::default() };
            let report =
                conclude(&Ended { outcome: SpawnOutcome::Failed, output, detail: String::new() }, &tally, true);
            assert_eq!(report.outcome, outcome, "{status}");
            assert_eq!((report.tokens_in, report.tokens_out, report.money_micro), (Some(0), Some(0), Some(0)));
            assert_eq!(report.wake_ms, (outcome == SpawnOutcome::Limited).then_some(9_000));
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let report = concluded(SpawnOutcome::Ok, printed(&json!({"total_cost_usd": 1e300})));
        assert_eq!(report.money_micro, None, "no number holds it");
        let report = concluded(SpawnOutcome::Failed, printed(&json!({"is_error": true, "modelUsage": {}})));
        assert_eq!(report.money_micro, None, "it broke off");
        let ended = Ended { outcome: SpawnOutcome::Ok, output: printed(&json!({})), detail: String::new() };
        let tally = Tally { tokens_in: Some(200), tokens_out: Some(40), ..Tally::default() };
        assert_eq!(conclude(&ended, &tally, false).money_micro, None, "its prices are inventions");
        let tally = Tally { tokens_out: None, ..tally };
        assert_eq!(conclude(&ended, &tally, true).money_micro, None, "it does not know of all that it used");
    }

    #[test]
    fn a_budget_of_requests_that_is_used_up_is_told() {
        let ended = Ended { outcome: SpawnOutcome::Failed, output: printed(&json!({})), detail: String::new() };
        let report = conclude(&ended, &Tally { requests: 7, over_budget: 1, ..Tally::default() }, true);
        let told = (report.outcome, report.detail.as_deref(), report.requests);
        assert_eq!(told, (SpawnOutcome::Broken, Some("it wanted more than its 7 requests"), Some(7)));
    }

    #[test]
    fn the_end_of_a_long_complaint_is_kept() {
        let detail = format!("{}\nerror: the reason", "ö".repeat(5_000));
        let ended = Ended { outcome: SpawnOutcome::Failed, output: Vec::new(), detail };
        let report = conclude(&ended, &Tally::default(), true);
        let detail = report.detail.unwrap();
        assert!(detail.ends_with("error: the reason") && detail.len() <= DETAIL_BYTES_MAX, "{detail}");
    }

    #[test]
    fn nesting_without_end_is_no_report() {
        let report = concluded(SpawnOutcome::Ok, b"[".repeat(1_000_000));
        assert_eq!(report.outcome, SpawnOutcome::Failed);
    }

    proptest! {
        /// Whatever the model says comes back byte for byte, and it alone.
        #[test]
        fn any_text_comes_back(text in ".*[^\\s].*") {
            let lines = printed(&json!({"result": text}));
            let report = concluded(SpawnOutcome::Ok, lines);
            prop_assert_eq!((report.outcome, report.output), (SpawnOutcome::Ok, text.into_bytes()));
        }

        /// Bytes are data: any of them, also amid a transcript that is cut or altered anywhere.
        #[test]
        fn no_output_is_a_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..64),
            at in 0..600_usize,
            cut in 0..600_usize,
        ) {
            let mut output = printed(&json!({}));
            let at = at.min(output.len());
            output.splice(at..(at + cut).min(output.len()), noise);
            for outcome in [SpawnOutcome::Ok, SpawnOutcome::Failed, SpawnOutcome::TimedOut] {
                let report = concluded(outcome, output.clone());
                prop_assert!(outcome == SpawnOutcome::Ok || report.outcome != SpawnOutcome::Ok);
            }
        }
    }
}
