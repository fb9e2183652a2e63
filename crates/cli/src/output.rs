//! How listings are written: aligned columns for a person, one JSON document for a program.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// One JSON document on standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(Failure::new)?;
    text.push('\n');
    write(text.as_bytes())
}

/// One JSON document in one line, at once.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value).map_err(Failure::new)?;
    text.push('\n');
    write(text.as_bytes())
}

/// Writes to standard output, at once. A reader that is gone, as `| head`, is no failure to complain of.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Rows of cells in columns; those of numbers are set to the right. The last column is not padded.
#[derive(Debug)]
pub(crate) struct TextTable {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// The sign before a head whose column is of numbers.
const RIGHT: char = '>';

impl TextTable {
    /// A table with these heads; `>HEAD` for a column of numbers.
    pub(crate) fn new(heads: &[&'static str]) -> TextTable {
        TextTable { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// One more row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        let names: Vec<&str> = self.heads.iter().map(|head| head.trim_start_matches(RIGHT)).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([names[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..names.len()).map(width).collect();
        let line = |cells: Vec<&str>| {
            let padded = cells.iter().enumerate().map(|(column, cell)| {
                let width = widths[column];
                match self.heads[column].starts_with(RIGHT) {
                    true => format!("{cell:>width$}"),
                    false if column + 1 == widths.len() => (*cell).to_owned(),
                    false => format!("{cell:<width$}"),
                }
            });
            padded.collect::<Vec<_>>().join("  ") + "\n"
        };
        let rows = self.rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
        std::iter::once(line(names.clone())).chain(rows).collect()
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        write(self.text().as_bytes())
    }
}

/// Permission bits as ls(1) shows those of a directory, or of a file.
pub(crate) fn mode(mode: i64, directory: bool) -> String {
    let mut text = String::from(if directory { "d" } else { "-" });
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if mode >> shift & bit != 0 { letter } else { '-' });
        }
    }
    if mode & 0o1000 != 0 {
        text.replace_range(9.., if mode & 1 != 0 { "t" } else { "T" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = TextTable::new(&["NAME", ">TASKS", "PATH"]);
        table.row(["a".into(), "10000".into(), "/a".into()]);
        table.row(["longer".into(), "1".into(), "/".into()]);
        assert_eq!(table.text(), "NAME    TASKS  PATH\na       10000  /a\nlonger      1  /\n");
    }

    #[test]
    fn modes_are_shown_as_ls_does() {
        assert_eq!(mode(0o755, true), "drwxr-xr-x");
        assert_eq!(mode(0o640, false), "-rw-r-----");
        assert_eq!(mode(0o1777, true), "drwxrwxrwt");
    }
}
