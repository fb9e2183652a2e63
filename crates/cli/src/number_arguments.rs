//! Numbers on the command line, and for each the words that say which numbers are right.

/// The number of a process or task.
pub(crate) fn pid(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| "takes the number of a process or task, 1 or more".to_owned())
}

/// How many levels of a tree.
pub(crate) fn levels(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| "takes a number of levels, 0 or more".to_owned())
}
