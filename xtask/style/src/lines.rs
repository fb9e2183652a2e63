//! From a place in a text to its line.

/// Where each line of a text begins.
#[derive(Debug, Default)]
pub(crate) struct LineTable(Vec<usize>);

impl LineTable {
    pub(crate) fn of(text: &str) -> LineTable {
        LineTable(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    /// The line, from 1, of a place in bytes.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.0.partition_point(|&start| start <= at) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_begins_behind_its_newline() {
        let lines = LineTable::of("a\n\nb");
        assert_eq!([0, 1, 2, 3, 9].map(|at| lines.line(at)), [1, 1, 2, 3, 3]);
    }
}
