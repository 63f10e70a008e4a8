//! Numbers for people.

use std::time::Duration;

/// Formats a duration: `0.3s`, `12.0s`, `1m 12s`, `2h 3m`.
pub(crate) fn seconds(took: Duration) -> String {
    let whole = took.as_secs();
    match whole {
        0..60 => format!("{:.1}s", took.as_secs_f64()),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        _ => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
    }
}

/// Formats a number of bytes in decimal units, as docker does: `812 B`,
/// `3.2 MB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// Formats how far a transfer is: `3.2 MB / 29.0 MB`.
pub(crate) fn transfer(done: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{} / {}", bytes(done), bytes(total)),
        None => bytes(done),
    }
}

/// Keeps the first 12 digits of digests: layers' names are for telling them
/// apart.
pub(crate) fn short_digest(what: &str) -> String {
    match what.split_once("sha256:") {
        Some((before, hex)) if hex.len() > 12 && hex.is_char_boundary(12) => {
            let (short, rest) = hex.split_at(12);
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            format!("{before}sha256:{short}{rest}")
        }
        _ => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (millis, want) in
            [(40, "0.0s"), (1250, "1.2s"), (59_900, "59.9s"), (72_000, "1m 12s"), (7_380_000, "2h 3m")]
        {
            assert_eq!(seconds(Duration::from_millis(millis)), want);
        }
    }

    #[test]
    fn sizes() {
        for (n, want) in [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (3_210_000, "3.2 MB")] {
            assert_eq!(bytes(n), want);
        }
    }

    #[test]
    fn digests_are_cut() {
        let digest = format!("layer sha256:{} done", "ab".repeat(32));
        assert_eq!(short_digest(&digest), "layer sha256:abababababab done");
        assert_eq!(short_digest("context"), "context");
    }
}
