//! What a write means: bytes as the kernel's string functions see them.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::errno::Errno;
use crate::error::{Error, Result};

/// The kernel's `isspace`, ASCII part.
pub(crate) fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// The no-break space of Latin-1, which is white space to the kernel's `isspace` too.
const NO_BREAK_SPACE: u8 = 0xa0;

/// What the kernel's string functions would see of a write: everything up to the first NUL.
fn until_nul(content: &[u8]) -> &[u8] {
    content.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// What the kernel keeps of a write whose meaning is a word or a number of a task: everything up to the first NUL, without
/// white space at both ends.
pub fn stripped(content: &[u8]) -> &[u8] {
    let is_space = |&byte: &u8| byte == NO_BREAK_SPACE || is_space(char::from(byte));
    let rest = until_nul(content);
    let rest = &rest[rest.iter().position(|byte| !is_space(byte)).unwrap_or(rest.len())..];
    &rest[..rest.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1)]
}

/// A write as text.
///
/// # Errors
/// `EINVAL` for what is not UTF-8, unless it is so for no-break spaces of Latin-1 only.
pub(crate) fn text_of(content: &[u8]) -> Result<Cow<'_, str>> {
    let content = until_nul(content);
    if let Ok(text) = core::str::from_utf8(content) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = content.iter().map(|&byte| if byte == NO_BREAK_SPACE { b' ' } else { byte }).collect();
    let text = String::from_utf8(spaced);
    text.map(Cow::Owned).map_err(|_| Error::value(Errno::EINVAL, "not a text: it has to be UTF-8"))
}

/// A write that should be a number, for a parser that knows what is wrong with it otherwise.
pub(crate) fn digits_of(content: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(until_nul(content))
}
