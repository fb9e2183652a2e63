//! The content of a write, as the kernel's string functions see it.

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

/// The bytes of a write that the kernel's string functions see: those before the first NUL.
fn until_nul(content: &[u8]) -> &[u8] {
    content.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The bytes of a write before the first NUL, without white space at both ends.
///
/// The kernel reads a write so if it expects a word or the number of a task. The no-break space of Latin-1 counts as
/// white space.
pub fn stripped(content: &[u8]) -> &[u8] {
    let is_space = |&byte: &u8| byte == NO_BREAK_SPACE || is_space(char::from(byte));
    let rest = until_nul(content);
    let rest = &rest[rest.iter().position(|byte| !is_space(byte)).unwrap_or(rest.len())..];
    &rest[..rest.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1)]
}

/// The content of a write as text, up to the first NUL. A no-break space of Latin-1 becomes a space.
///
/// # Errors
/// `EINVAL`: the content is not UTF-8, even with these spaces.
pub(crate) fn text_of(content: &[u8]) -> Result<Cow<'_, str>> {
    let content = until_nul(content);
    if let Ok(text) = core::str::from_utf8(content) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = content.iter().map(|&byte| if byte == NO_BREAK_SPACE { b' ' } else { byte }).collect();
    let text = String::from_utf8(spaced);
    text.map(Cow::Owned).map_err(|_| Error::value(Errno::EINVAL, "not a text: it has to be UTF-8"))
}

/// The content of a write that should be a number. A parser finds the right errno for invalid content.
pub(crate) fn digits_of(content: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(until_nul(content))
}
