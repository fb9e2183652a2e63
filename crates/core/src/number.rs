//! Numbers, parsed as today's kernel does: `kstrtoull` and its family with base 0 (B3.7).

use crate::errno::Errno;
use crate::error::{Error, Result};

fn radix(text: &str) -> (u32, &str) {
    let bytes = text.as_bytes();
    match bytes {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, &text[2..]),
        [b'0', ..] => (8, text),
        _ => (10, text),
    }
}

fn magnitude(text: &str) -> Result<u64> {
    let (radix, digits) = radix(text);
    let digits = digits.strip_suffix('\n').unwrap_or(digits);
    let length = digits.chars().take_while(|c| c.is_digit(radix)).count();
    if length == 0 {
        return Err(Error::value(Errno::EINVAL, "takes a number"));
    }
    // The kernel notices an overflow before it looks at the text behind the digits.
    let value = u64::from_str_radix(&digits[..length], radix)
        .map_err(|_| Error::value(Errno::ERANGE, "the number is too large"))?;
    if length < digits.len() {
        return Err(Error::value(Errno::EINVAL, "takes one number and nothing after it"));
    }
    Ok(value)
}

/// Parses an unsigned number as today's kernel does: decimal, `0x` hexadecimal or `0` octal (B3.7).
///
/// A `+` in front and one newline at the end are allowed, white space is not.
///
/// # Errors
/// * `EINVAL`: the text is no such number.
/// * `ERANGE`: the number does not fit 64 bits.
pub fn parse_u64(text: &str) -> Result<u64> {
    magnitude(text.strip_prefix('+').unwrap_or(text))
}

/// Parses a signed number of 64 bits, in the format of [`parse_u64`] with `-` in front allowed.
///
/// # Errors
/// * `EINVAL`: the text is no such number.
/// * `ERANGE`: the number does not fit 64 bits.
pub fn parse_s64(text: &str) -> Result<i64> {
    let too_large = |_| Error::value(Errno::ERANGE, "the number is too large");
    match text.strip_prefix('-') {
        Some(rest) => {
            let value = magnitude(rest)?;
            if value == 1 << 63 { Ok(i64::MIN) } else { Ok(-i64::try_from(value).map_err(too_large)?) }
        }
        None => i64::try_from(parse_u64(text)?).map_err(too_large),
    }
}

/// Parses a signed number of 32 bits, in the format of [`parse_s64`].
///
/// # Errors
/// * `EINVAL`: the text is no such number.
/// * `ERANGE`: the number does not fit 32 bits.
pub fn parse_s32(text: &str) -> Result<i32> {
    i32::try_from(parse_s64(text)?).map_err(|_| Error::value(Errno::ERANGE, "the number is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_kstrtoull_reads_them() {
        for (text, value) in
            [("5", 5), ("0x10", 16), ("010", 8), ("+5", 5), ("5\n", 5), ("0", 0), ("0X1f", 31)]
        {
            assert_eq!(parse_u64(text), Ok(value), "{text:?}");
        }
        for text in ["", "\n", " 5", "5 ", "5\n\n", "-1", "0x", "08", "5 6", "++5", "x"] {
            assert_eq!(parse_u64(text).unwrap_err().errno(), Errno::EINVAL, "{text:?}");
        }
        assert_eq!(parse_u64("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_u64("18446744073709551616").unwrap_err().errno(), Errno::ERANGE);
    }

    #[test]
    fn signed_numbers_keep_their_range() {
        assert_eq!(parse_s64("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_s64("-9223372036854775809").unwrap_err().errno(), Errno::ERANGE);
        assert_eq!(parse_s64("9223372036854775808").unwrap_err().errno(), Errno::ERANGE);
        assert_eq!(parse_s64("-+1").unwrap_err().errno(), Errno::EINVAL);
        assert_eq!(parse_s32("2147483648").unwrap_err().errno(), Errno::ERANGE);
    }
}
