//! Sizes and yes/no, as Go's `units` and `strconv` read them.

/// `units.RAMInBytes`: `20m`, `1.5GiB`, `4096`; powers of 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let shift = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') {
        return None;
    }
    let scale = 1u64 << shift;
    let mut total = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let (mut numerator, mut denominator) = (0u128, 1u128);
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        denominator *= 10;
    }
    total = total.checked_add(u64::try_from(u128::from(scale) * numerator / denominator).ok()?)?;
    i64::try_from(total).ok().map(|_| total)
}

/// `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("2m", Some(2 << 20)),
            ("20MB", Some(20 << 20)),
            ("1.5GiB", Some(3 << 29)),
            ("4096", Some(4096)),
            ("1 k", Some(1024)),
            ("", None),
            ("x", None),
            ("1q", None),
            ("-1", None),
        ] {
            assert_eq!(parse_size(text), want, "{text}");
        }
    }
}
