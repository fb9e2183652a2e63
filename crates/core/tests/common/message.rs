//! The form that every message of the engine has.

use penfold_core::Error;

/// Whether `text` has `name` in it as a word of its own.
fn has_word(text: &str, name: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || "._=/".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
        !before.is_some_and(joins) && !after.is_some_and(|c| joins(c) && c != '.')
    })
}

/// Checks that a message is `SUBJECT: what is wrong; what to do`, with the subject once and without the errno.
pub fn check_message(error: &Error) {
    let (subject, detail, shown) = (error.subject(), error.detail(), error.to_string());
    let whole = if subject.is_empty() { detail.to_string() } else { format!("{subject}: {detail}") };
    assert_eq!(shown, whole, "{error:?}");
    assert!(!detail.is_empty() && !detail.ends_with(['.', ' ', ';']), "{error:?}: {detail:?}");
    // the English word "a" is no name
    let named = &*subject != "a" && !subject.is_empty() && has_word(&detail, &subject);
    assert!(!named, "the subject is named twice: {shown}");
    assert!(!has_word(&shown, error.errno().name()), "the errno is for the edge: {shown}");
}
