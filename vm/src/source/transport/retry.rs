//! When a failed request is tried again, and how long to wait before.

use std::time::{Duration, SystemTime};

/// How often and how fast requests are repeated.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// The number of attempts in all.
    pub attempts: u32,
    /// The wait after the first failure; doubled after each further one.
    pub first_wait: Duration,
    /// The longest wait, also when a server asks for a longer one.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(15) }
    }
}

impl RetryPolicy {
    /// Returns the wait before attempt `number` (the second attempt is 1), or
    /// `None` when there is to be no further one. `asked` is the server's wish.
    pub(crate) fn wait(&self, number: u32, asked: Option<Duration>) -> Option<Duration> {
        if number >= self.attempts {
            return None;
        }
        let doubled = self.first_wait.saturating_mul(1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX));
        Some(asked.unwrap_or(doubled).min(self.longest_wait))
    }
}

/// Statuses that a later attempt may not get: overload and gateway errors.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Reads a `Retry-After` header: seconds or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(value: Option<&str>, now: SystemTime) -> Option<Duration> {
    let value = value?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(value).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy =
            RetryPolicy { attempts: 5, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(3) };
        let waits: Vec<_> = (1..6).map(|n| policy.wait(n, None).map(|d| d.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(2), Some(3), Some(3), None]);
        assert_eq!(policy.wait(1, Some(Duration::from_secs(2))).unwrap().as_secs(), 2);
        assert_eq!(policy.wait(1, Some(Duration::from_secs(900))).unwrap().as_secs(), 3);
    }

    #[test]
    fn a_server_may_ask_for_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let date = httpdate::fmt_http_date(now + Duration::from_secs(7));
        assert_eq!(retry_after(Some("5"), now), Some(Duration::from_secs(5)));
        assert_eq!(retry_after(Some(&date), now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("soon"), now), None);
        assert_eq!(retry_after(None, now), None);
    }
}
