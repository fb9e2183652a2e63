//! The table as text and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Arrow;

/// A folder, with its files, arrows and circles.
pub(crate) struct FolderReport {
    pub(crate) folder: String,
    pub(crate) files: Vec<String>,
    /// The number of folders with files, this folder included.
    pub(crate) folders: usize,
    /// The arrows with both ends in the folder.
    pub(crate) arrows: BTreeSet<Arrow>,
    /// The arrows upward; `None` if the folder has no layers.
    pub(crate) upward: Option<BTreeSet<Arrow>>,
    /// The circles, the largest first.
    pub(crate) circles: Vec<Vec<String>>,
}

impl FolderReport {
    /// The name of a file relative to the folder.
    fn short<'a>(&self, file: &'a str) -> &'a str {
        file.strip_prefix(&self.folder).map_or(file, |rest| rest.trim_start_matches('/'))
    }

    fn row(&self) -> String {
        let upward = self.upward.as_ref().map_or("-".to_owned(), |upward| upward.len().to_string());
        let in_circles: usize = self.circles.iter().map(Vec::len).sum();
        format!(
            "{:<24} {:>5} {:>7} {:>6} {:>6} {:>7} {:>16} {:>7}",
            self.folder,
            self.files.len(),
            self.folders,
            self.arrows.len(),
            upward,
            self.circles.len(),
            in_circles,
            self.circles.first().map_or(0, Vec::len),
        )
    }
}

/// The table as text: a line for each folder, then the circles and the arrows upward, and with `list` all arrows.
pub(crate) fn text(reports: &[FolderReport], list: bool) -> String {
    let mut text = format!(
        "{:<24} {:>5} {:>7} {:>6} {:>6} {:>7} {:>16} {:>7}\n",
        "folder", "files", "folders", "arrows", "upward", "circles", "files in circles", "largest"
    );
    for report in reports {
        text += &report.row();
        text += "\n";
    }
    for report in reports {
        for circle in &report.circles {
            let files: Vec<&str> = circle.iter().map(|file| report.short(file)).collect();
            let _ = write!(text, "\n{}: circle of {}: {}", report.folder, circle.len(), files.join(" "));
        }
        for (from, to) in report.upward.iter().flatten() {
            let _ =
                write!(text, "\n{}: upward: {} -> {}", report.folder, report.short(from), report.short(to));
        }
        for (from, to) in report.arrows.iter().filter(|_| list) {
            let _ = write!(text, "\n{}: {} -> {}", report.folder, report.short(from), report.short(to));
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// The table as JSON, with all arrows.
pub(crate) fn json(reports: &[FolderReport]) -> Value {
    let report = |report: &FolderReport| {
        json!({
            "folder": report.folder,
            "files": report.files.len(),
            "folders": report.folders,
            "arrows": report.arrows,
            "upward": report.upward,
            "circles": report.circles,
        })
    };
    reports.iter().map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> FolderReport {
        let arrows = [("x/src/a.rs", "x/src/b/c.rs"), ("x/src/b/c.rs", "x/src/a.rs")];
        let arrows: BTreeSet<Arrow> = arrows.map(|(from, to)| (from.into(), to.into())).into();
        FolderReport {
            folder: "x/src".into(),
            files: vec!["x/src/a.rs".into(), "x/src/b/c.rs".into()],
            folders: 2,
            upward: Some(arrows.iter().take(1).cloned().collect()),
            arrows,
            circles: vec![vec!["x/src/a.rs".into(), "x/src/b/c.rs".into()]],
        }
    }

    #[test]
    fn row_counts_and_lines_name_the_files() {
        let text = text(&[report()], false);
        let lines: Vec<&str> = text.lines().collect();
        let row: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(row, ["x/src", "2", "2", "2", "1", "1", "2", "2"]);
        assert_eq!(lines[3..], ["x/src: circle of 2: a.rs b/c.rs", "x/src: upward: a.rs -> b/c.rs"]);
    }

    #[test]
    fn json_has_the_arrows_themselves() {
        let found = json(&[report()]);
        assert_eq!(found[0]["arrows"][1], json!(["x/src/b/c.rs", "x/src/a.rs"]));
        assert_eq!(found[0]["files"], 2);
    }
}
