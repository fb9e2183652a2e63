//! Bytes in JSON strings: names of cgroups and contents of files need not be UTF-8.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Bytes as a text, from which [`unescape`] returns the same bytes. Backslashes, control characters other than newline
/// and tab, and bytes that are not UTF-8 become `\ooo`. That is three octal digits, as in `/proc/mounts`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || (character.is_ascii_control() && !matches!(character, '\n' | '\t')) {
                let _ = write!(text, "\\{:03o}", u32::from(character));
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\{byte:03o}");
        }
    }
    text
}

/// The bytes of an escaped text. A backslash that is not followed by three octal digits stands for itself.
pub fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('\\') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_string_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&b"plain/path"[..], b"a\\040b", b"\\", b"\xff\xfe\\x", "ü\n\t".as_bytes(), &all] {
            assert_eq!(unescape(&escape(bytes)), bytes);
        }
        assert_eq!(escape(b"a\\b\xff\n"), "a\\134b\\377\n");
        assert_eq!(unescape("\\9\\08"), &b"\\9\\08"[..]);
    }
}
