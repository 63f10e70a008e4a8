//! PAX records (POSIX.1-2008, pax, "pax Extended Header"):
//! `<length> <key>=<value>\n`, the length counting the whole record.
//!
//! Read by length, since a value may hold newlines (`security.capability`
//! often does).

use crate::fs::Mtime;

/// Key prefix of extended attributes.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Takes the first record off; `None` if it is malformed.
pub(crate) fn take<'a>(data: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let space = memchr::memchr(b' ', data)?;
    let digits = data.get(..space)?;
    if digits.is_empty() || digits.len() > 12 {
        return None;
    }
    let length: usize = decimal(digits)?.try_into().ok()?;
    let record = data.get(..length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = memchr::memchr(b'=', body).filter(|i| *i > 0)?;
    *data = data.get(length..)?;
    Some((body.get(..equals)?, body.get(equals + 1..)?))
}

/// Writes a record.
pub(crate) fn put(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Reads an unsigned decimal number.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a time: `[-]seconds[.fraction]`. Digits below a nanosecond are cut
/// off, as Go's reader does.
pub(crate) fn time(text: &[u8]) -> Option<Mtime> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let mut nanoseconds = 0u32;
    if let Some(fraction) = parts.next() {
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for i in 0..9 {
            let digit = fraction.get(i).map_or(0, |b| u32::from(b - b'0'));
            nanoseconds = nanoseconds * 10 + digit;
        }
    }
    Some(match (negative, nanoseconds) {
        (false, _) => Mtime { seconds, nanoseconds },
        (true, 0) => Mtime { seconds: -seconds, nanoseconds: 0 },
        (true, n) => Mtime { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - n },
    })
}

/// Writes a time so that [`time`] reads it.
pub(crate) fn time_text(time: Mtime) -> String {
    let (sign, seconds, nanoseconds) = match time {
        Mtime { seconds, nanoseconds } if seconds >= 0 => ("", seconds.unsigned_abs(), nanoseconds),
        Mtime { seconds, nanoseconds: 0 } => ("-", seconds.unsigned_abs(), 0),
        Mtime { seconds, nanoseconds } => {
            ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds.min(999_999_999))
        }
    };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    let fraction = format!("{nanoseconds:09}");
    format!("{sign}{seconds}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_are_read_back(key in "[a-zA-Z.]{1,120}", value in prop::collection::vec(any::<u8>(), 0..1200)) {
            let mut out = Vec::new();
            put(&mut out, key.as_bytes(), &value);
            put(&mut out, b"next", b"x");
            let mut rest = out.as_slice();
            prop_assert_eq!(take(&mut rest), Some((key.as_bytes(), value.as_slice())));
            prop_assert_eq!(take(&mut rest), Some((&b"next"[..], &b"x"[..])));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn arbitrary_records_do_not_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut rest = data.as_slice();
            while take(&mut rest).is_some() {}
        }

        #[test]
        fn times_are_read_back(seconds in -1_000_000_000_000i64..1_000_000_000_000, nanoseconds in 0u32..1_000_000_000) {
            let mtime = Mtime { seconds, nanoseconds };
            prop_assert_eq!(time(time_text(mtime).as_bytes()), Some(mtime));
        }
    }

    #[test]
    fn odd_times() {
        let at = |seconds, nanoseconds| Some(Mtime { seconds, nanoseconds });
        assert_eq!(time(b"12"), at(12, 0));
        assert_eq!(time(b"12."), at(12, 0));
        assert_eq!(time(b"12.5"), at(12, 500_000_000));
        assert_eq!(time(b"12.1234567899"), at(12, 123_456_789));
        assert_eq!(time(b"-0.25"), at(-1, 750_000_000));
        for bad in [&b""[..], b"-", b".5", b"1e3", b"1.x", b"+1", b"99999999999999999999"] {
            assert_eq!(time(bad), None);
        }
    }
}
