//! `cargo xtask arrows`: lists which files of a crate use each other, where such an arrow points upward, and which
//! files are in a circle.
//!
//! An arrow is a path from one file to an item of another file of the same crate. The path may be in a `use`, in code,
//! in a type or in the arguments of a macro. A re-export is no arrow; a path through it leads to the file that defines
//! the item. Tests inside a file do not count. A method call is not seen, because the code does not write its path.

mod circles;
mod layers;
mod parse;
mod resolve;
mod source;
mod table;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use layers::Layers;
use source::SourceTree;
use table::FolderReport;

/// The folders of the table unless others are named.
const FOLDERS: [&str; 7] = [
    "crates/core/src",
    "crates/subsystems/src",
    "crates/linux/src",
    "crates/linux/src/trace",
    "crates/module/src",
    "crates/server/src",
    "crates/cli/src",
];

/// Folders without circles: `--check` fails at a circle of their files.
const FREE_OF_CIRCLES: [&str; 2] = ["crates/linux/src/trace", "crates/module/src/sdk"];

/// An arrow from one file to another, by their paths in the repository.
type Arrow = (String, String);

/// The command line.
#[derive(Debug, Default, PartialEq)]
struct ArrowsArguments {
    /// A commit; the work tree if none.
    revision: Option<String>,
    layers: Option<String>,
    check: bool,
    json: bool,
    list: bool,
    folders: Vec<String>,
}

fn main() -> ExitCode {
    match arrows(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arrows: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table. `parse_arguments` has the options.
///
/// # Errors
/// A wrong option, a file that can't be read or parsed, and with `--check` an arrow upward or a circle.
fn arrows(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let wanted = parse_arguments(arguments)?;
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = SourceTree { top: &top, revision: wanted.revision.as_deref() };
    let layers = match &wanted.layers {
        Some(file) => Layers::read(Path::new(file))?,
        None => Layers::of_repository(),
    };
    let folders: Vec<&str> = match &wanted.folders[..] {
        [] => FOLDERS.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    let reports: Vec<FolderReport> =
        folders.iter().map(|folder| report(&source, folder, &layers)).collect::<Result<_, _>>()?;
    if wanted.json {
        println!("{}", table::json(&reports));
    } else {
        print!("{}", table::text(&reports, wanted.list));
    }
    if wanted.check { check(&reports) } else { Ok(()) }
}

fn parse_arguments(mut arguments: impl Iterator<Item = String>) -> Result<ArrowsArguments, String> {
    let mut wanted = ArrowsArguments::default();
    while let Some(argument) = arguments.next() {
        let mut value = |what| arguments.next().ok_or(format!("arrows: {argument} takes {what}"));
        match argument.as_str() {
            "--revision" => wanted.revision = Some(value("a commit")?),
            "--layers" => wanted.layers = Some(value("a file")?),
            "--check" => wanted.check = true,
            "--json" => wanted.json = true,
            "--list" => wanted.list = true,
            option if option.starts_with('-') => {
                return Err(format!(
                    "arrows: {option}: takes --revision REV, --layers FILE, --list, --json, --check and folders"
                ));
            }
            folder => wanted.folders.push(folder.trim_end_matches('/').to_owned()),
        }
    }
    Ok(wanted)
}

/// The files of one folder, and the arrows that begin and end in it.
fn report(source: &SourceTree, folder: &str, layers: &Layers) -> Result<FolderReport, String> {
    let within = format!("{folder}/");
    let (files, arrows) = resolve::arrows(&source.files(&source_folder(folder)?)?)?;
    let arrows: BTreeSet<Arrow> = arrows
        .into_iter()
        .filter(|(from, to)| from.starts_with(&within) && to.starts_with(&within))
        .collect();
    let files: Vec<String> = files.into_iter().filter(|file| file.starts_with(&within)).collect();
    if files.is_empty() {
        return Err(format!("arrows: {folder}: no Rust file there"));
    }
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| Path::new(file).parent()).collect();
    Ok(FolderReport {
        folder: folder.to_owned(),
        folders: folders.len(),
        upward: layers.upward(folder, &files, &arrows),
        circles: circles::circles(&arrows),
        arrows,
        files,
    })
}

/// The source folder of the crate that a folder belongs to: the nearest `src` at or above the folder.
fn source_folder(folder: &str) -> Result<String, String> {
    let found = Path::new(folder).ancestors().find(|above| above.ends_with("src"));
    let found = found.and_then(Path::to_str);
    found.map(str::to_owned).ok_or(format!("arrows: {folder}: neither a crate's src nor below one"))
}

fn check(reports: &[FolderReport]) -> Result<(), String> {
    let upward: usize = reports.iter().filter_map(|report| report.upward.as_ref()).map(BTreeSet::len).sum();
    let circles: usize = reports
        .iter()
        .filter(|report| FREE_OF_CIRCLES.iter().any(|free| Path::new(&report.folder).starts_with(free)))
        .map(|report| report.circles.len())
        .sum();
    match (upward, circles) {
        (0, 0) => Ok(()),
        _ => Err(format!("arrows: {upward} upward, {circles} circles where none may be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &[&str]) -> Result<ArrowsArguments, String> {
        parse_arguments(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn options_and_folders_come_in_any_order() {
        let named = wanted(&["a/src/", "--revision", "HEAD~1", "--check", "b/src"]).unwrap();
        assert_eq!(
            named,
            ArrowsArguments {
                revision: Some("HEAD~1".into()),
                check: true,
                folders: vec!["a/src".into(), "b/src".into()],
                ..ArrowsArguments::default()
            }
        );
        assert!(wanted(&["--revision"]).is_err());
        assert!(wanted(&["--what"]).unwrap_err().contains("--list"));
    }

    #[test]
    fn folder_belongs_to_the_nearest_src() {
        assert_eq!(source_folder("crates/linux/src/trace").unwrap(), "crates/linux/src");
        assert_eq!(source_folder("crates/linux/src").unwrap(), "crates/linux/src");
        assert!(source_folder("crates/linux").is_err());
    }

    fn judged(folder: &str, upward: bool, circle: bool) -> Result<(), String> {
        let arrow: Arrow = ("a".into(), "b".into());
        check(&[FolderReport {
            folder: folder.into(),
            files: Vec::new(),
            folders: 1,
            arrows: BTreeSet::new(),
            upward: Some(upward.then_some(arrow).into_iter().collect()),
            circles: if circle { vec![vec!["a".into(), "b".into()]] } else { Vec::new() },
        }])
    }

    #[test]
    fn check_fails_at_an_arrow_upward_anywhere() {
        assert!(judged("crates/cli/src", true, false).is_err());
        assert!(judged("crates/cli/src", false, false).is_ok());
    }

    #[test]
    fn check_fails_at_a_circle_only_in_listed_folders() {
        assert!(judged("crates/cli/src", false, true).is_ok());
        assert!(judged("crates/linux/src/trace", false, true).is_err());
        assert!(judged("crates/linux/src/trace/os", false, true).is_err());
    }

    #[test]
    fn every_folder_of_the_table_can_be_read() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source = SourceTree { top: &top, revision: None };
        for folder in FOLDERS {
            let report = report(&source, folder, &Layers::of_repository()).unwrap();
            assert!(report.arrows.len() > 5, "{folder}: {:?}", report.arrows);
        }
    }
}
