//! Writes listings: aligned columns for people, one JSON document for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Writes a value to standard output as one JSON document.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| stdout(error.into()))?;
    text.push('\n');
    write(text.as_bytes())
}

/// Writes a value to standard output as one line of JSON, and flushes.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value).map_err(|error| stdout(error.into()))?;
    text.push('\n');
    write(text.as_bytes())
}

/// Writes to standard output and flushes. If the reader is gone, as in `| head`, the program ends with status 0.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(stdout),
    }
}

fn stdout(error: io::Error) -> Failure {
    Failure::io("standard output", error)
}

/// Rows of cells in aligned columns. Columns of numbers are set to the right; the last column is not padded.
#[derive(Debug)]
pub(crate) struct TextTable {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// Marks the head of a column of numbers.
const RIGHT: char = '>';

impl TextTable {
    /// An empty table with these heads; `>HEAD` makes a column of numbers.
    pub(crate) fn new(heads: &[&'static str]) -> TextTable {
        TextTable { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The table as text: a line of heads, then a line for each row.
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

    /// Writes the table to standard output.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        write(self.text().as_bytes())
    }
}

/// Permission bits as `ls -l` shows them, for a directory or a file.
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
