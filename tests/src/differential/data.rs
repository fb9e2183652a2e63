//! Data to be written: templates, and the texts that are safe for a file that moves processes.

use super::byte_string::ByteString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A number that no process has.
const NOBODY: i32 = 99_999_999;

/// Texts without a template that move no process but the writer. 2 is a kernel thread that can't be moved.
const HARMLESS: &[&str] = &[
    "0",
    "-0",
    "+0",
    "0x0",
    "00",
    "-1",
    "99999999",
    "2147483648",
    "4294967296",
    "18446744073709551616",
    "0x",
    "2",
];

/// The pieces of a text: outside of braces, then inside of braces.
fn pieces(text: &[u8]) -> Vec<(&[u8], Option<&str>)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.iter().position(|b| *b == b'{') {
        let Some(len) = rest[open..].iter().position(|b| *b == b'}') else { break };
        let inside = std::str::from_utf8(&rest[open + 1..open + len]).ok();
        pieces.push((&rest[..open], inside));
        rest = &rest[open + len + 1..];
    }
    pieces.push((rest, None));
    pieces
}

/// Fills templates in. An actor that does not exist gets a number that no process has.
pub(super) fn fill(text: &ByteString, number: impl Fn(&str) -> Option<i32>, agent: &Path) -> ByteString {
    let mut out = Vec::new();
    for (outside, inside) in pieces(&text.0) {
        out.extend_from_slice(outside);
        let Some(inside) = inside else { continue };
        if inside == "agent" {
            out.extend_from_slice(agent.as_os_str().as_bytes());
            continue;
        }
        let (name, base) = inside.split_once(':').unwrap_or((inside, ""));
        let number = number(name).unwrap_or(NOBODY);
        let number = match base {
            "x" => format!("{number:#x}"),
            "o" => format!("0{number:o}"),
            _ => number.to_string(),
        };
        out.extend_from_slice(number.as_bytes());
    }
    ByteString(out)
}

/// Whether a text with its templates may be written to `tasks`. With `stay`, the operators must not be moved.
pub(super) fn is_safe(text: &[u8], stay: bool) -> bool {
    let pieces = pieces(text);
    let digits = |bytes: &[u8]| bytes.iter().any(u8::is_ascii_digit);
    if stay
        && pieces
            .iter()
            .any(|(_, inside)| inside.is_some_and(|i| i.starts_with("root") || i.starts_with("user")))
    {
        return false;
    }
    if !pieces.iter().any(|(outside, _)| digits(outside)) {
        return true;
    }
    if pieces.len() > 1 {
        return false;
    }
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text).trim().to_owned();
    let moves_writer = text.trim_start_matches(['+', '-', '0', 'x']).is_empty();
    HARMLESS.contains(&text.as_str()) && !(stay && moves_writer)
}

#[cfg(test)]
mod tests {
    use super::{fill, is_safe};
    use std::path::Path;

    #[test]
    fn raw_process_numbers_are_unsafe() {
        for text in ["1", "17\n", " 1 ", "0x1", "01", "+1", "1\0{a1}", "{a1}7", "1{a1}", "0 1", "2147483647"]
        {
            assert!(!is_safe(text.as_bytes(), false), "{text:?}");
        }
        for text in ["{a1}", " {a1:x}\n", "0", "-1", "", "abc", "{a1}\0x", "99999999", "{root}"] {
            assert!(is_safe(text.as_bytes(), false), "{text:?}");
        }
    }

    #[test]
    fn protected_process_is_never_moved() {
        for text in ["0", "-0\n", "00", "{root}", "+{user}"] {
            assert!(!is_safe(text.as_bytes(), true), "{text:?}");
        }
        assert!(is_safe(b"{a1}", true));
    }

    #[test]
    fn templates_are_filled_in() {
        let number = |name: &str| (name == "a1").then_some(255);
        let filled = |text: &str| fill(&text.into(), number, Path::new("/agent")).to_string();
        assert_eq!(filled("{a1} {a1:x} {a1:o}\n{a2}{agent}"), "255 0xff 0377\\n99999999/agent");
    }
}
