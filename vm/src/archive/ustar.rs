//! Fields of a 512-byte header block.

use tar::Header;

/// Size of a block.
pub(crate) const BLOCK: usize = 512;

/// Reads a numeric field: octal digits between blanks and NULs, or GNU's
/// base-256 form, which is two's complement. An empty field is 0, as in Go's
/// reader (old writers leave device numbers empty).
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let negative = first & 0x40 != 0;
        let mut n: i128 = if negative { i128::from(*first) - 0x100 } else { i128::from(first & 0x3f) };
        for byte in rest {
            n = (n << 8) | i128::from(*byte);
        }
        return i64::try_from(n).ok();
    }
    let blank = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let digits = field.get(start..)?;
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    let (digits, tail) = digits.split_at_checked(end)?;
    if !tail.iter().all(blank) {
        return None;
    }
    digits.iter().try_fold(0i64, |n, b| match b {
        b'0'..=b'7' => n.checked_mul(8)?.checked_add(i64::from(b - b'0')),
        _ => None,
    })
}

/// Returns a text field up to its NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// Tells whether a header's checksum is right, summed over unsigned or (as
/// some old writers did) signed bytes.
pub(crate) fn checksum_is_right(header: &Header) -> bool {
    let Some(want) = number(&header.as_old().cksum) else {
        return false;
    };
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (i, byte) in header.as_bytes().iter().enumerate() {
        let byte = if (148..156).contains(&i) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    want == unsigned || want == signed
}

/// Writes a number as octal digits with a closing NUL; false if it does not
/// fit.
pub(crate) fn put_octal(field: &mut [u8], n: u64) -> bool {
    let width = field.len() - 1;
    let digits = format!("{n:0width$o}");
    if digits.len() > width {
        return false;
    }
    for (slot, byte) in field.iter_mut().zip(digits.bytes().chain([0])) {
        *slot = byte;
    }
    true
}

/// Writes a number in GNU's base-256 form. The field has at least 8 bytes.
pub(crate) fn put_binary(field: &mut [u8], n: u64) {
    for (i, slot) in field.iter_mut().rev().enumerate() {
        *slot = if i < 7 { (n >> (8 * i)).to_le_bytes()[0] } else { 0 };
    }
    if let Some(first) = field.first_mut() {
        *first |= 0x80;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, want) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"  644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"0000009\0", None),
            (b"12 34", None),
            (b"-1", None),
        ] {
            assert_eq!(number(field), want, "{field:?}");
        }
        let mut field = [0; 8];
        put_binary(&mut field, 0x1234_5678);
        assert_eq!(number(&field), Some(0x1234_5678));
        assert!(put_octal(&mut field, 0o7_777_777));
        assert_eq!(number(&field), Some(0o7_777_777));
        assert!(!put_octal(&mut field, 0o10_000_000));
    }
}
