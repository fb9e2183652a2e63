//! The comments of an interface.
//!
//! The parser keeps those before a type, a method and an error. Those before a field it skips, but a field's name is a
//! slice of the source, so the comment is found from there.

/// The paragraph of comment lines at the end of `text`, without their `#`.
fn last_paragraph(text: &str) -> Option<Vec<&str>> {
    let lines = text.lines().rev().map_while(|line| line.trim_start().strip_prefix('#'));
    let mut lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.reverse();
    (!lines.is_empty()).then_some(lines)
}

/// The comment of a type, a method or an error, from all that the parser found before it.
///
/// # Errors
/// Says that there is none.
pub(super) fn of_member<'a>(name: &str, before: &'a str) -> Result<Vec<&'a str>, String> {
    last_paragraph(before).ok_or_else(|| format!("{name} has no comment"))
}

/// The comment in the lines above a field. `field` is a slice of `source`.
///
/// # Errors
/// Says that there is none, by the names of `owner` and field.
pub(super) fn of_field<'a>(source: &'a str, owner: &str, field: &str) -> Result<Vec<&'a str>, String> {
    let offset = (field.as_ptr() as usize).checked_sub(source.as_ptr() as usize);
    let before = offset.and_then(|offset| source.get(..offset)).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let alone = before[line..].trim().is_empty();
    let comment = last_paragraph(&before[..line]).filter(|_| alone);
    comment.ok_or_else(|| format!("{owner}.{field} has no comment"))
}
