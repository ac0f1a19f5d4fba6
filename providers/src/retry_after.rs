//! How long a service asks to wait before it is asked again (GATEWAY-4).
//!
//! `retry-after` has seconds or a date ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). Both
//! vendors' services also send `retry-after-ms`, which is more exact, and goes before it.

use hyper::header::{self, HeaderMap, HeaderName};
use std::time::{Duration, SystemTime};

/// The wait in milliseconds.
pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Returns how long is to be waited, in milliseconds from `now`; nothing where no header says it in a way that is
/// understood. However long that is: who waits has a bound of its own (LOOP-7).
pub(crate) fn wait_ms(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.trim());
    let date = |name: HeaderName| httpdate::parse_http_date(text(name)?).ok();
    let exact = text(RETRY_AFTER_MS).and_then(|text| decimal(text, 1.0));
    let seconds = || text(header::RETRY_AFTER).and_then(|text| decimal(text, 1_000.0));
    // The service's clock counts where it tells its time.
    let until = || Some(span_ms(date(header::DATE).unwrap_or(now), date(header::RETRY_AFTER)?));
    exact.or_else(seconds).or_else(until)
}

/// Reads digits with at most one point among them, in milliseconds, rounded up. What no number holds is the greatest.
fn decimal(text: &str, ms: f64) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = text.parse().ok().filter(|_| is_plain)?;
    // A conversion keeps to the bounds of its type.
    Some((number * ms).ceil() as u64)
}

/// Returns the time between two points; a date that has passed is no wait.
fn span_ms(from: SystemTime, until: SystemTime) -> u64 {
    let span = until.duration_since(from).unwrap_or(Duration::ZERO);
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], wanted: Option<u64>) {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), header::HeaderValue::from_static(value))
        };
        // Sun, 06 Nov 1994 08:49:37 GMT.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(wait_ms(&headers.iter().map(pair).collect(), now), wanted);
    }

    #[test]
    fn every_form_is_understood() {
        check(&[], None);
        check(&[("retry-after", "7")], Some(7_000));
        check(&[("retry-after", " 0.25 ")], Some(250));
        check(&[("retry-after-ms", "1500")], Some(1_500));
        check(&[("retry-after-ms", "0.2"), ("retry-after", "9")], Some(1));
        check(&[("retry-after-ms", "soon"), ("retry-after", "9")], Some(9_000));
        // The three forms of a date.
        for date in ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"] {
            check(&[("retry-after", date)], Some(60_000));
        }
        let service = [("date", "Sun, 06 Nov 1994 08:50:07 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")];
        check(&service, Some(30_000));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0));
    }

    #[test]
    fn what_is_no_wait_says_nothing_and_what_is_too_long_is_the_longest() {
        for odd in ["", ".", "-1", "+1", "1e3", "inf", "nan", "1.2.3", "7 s", "tomorrow", "Sun, 06 Nov 1994"] {
            check(&[("retry-after", odd)], None);
        }
        check(&[("retry-after", "99999999999999999999999999")], Some(u64::MAX));
        check(&[("retry-after-ms", "18446744073709551616")], Some(u64::MAX));
        check(&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], Some(252_618_189_022_000));
    }
}
