//! One place reads `/proc`: outside of `src/proc` no source of this crate, the server and the program names a file there.

use std::fs;
use std::path::{Path, PathBuf};

/// Names that nothing is opened by, each with its file and the reason.
const PERMITTED: [(&str, &str, &str); 1] =
    [("cli/src/report.rs", "\"/proc/self/fd/\"", "a spelling of --report=PATH that means a number")];

/// All Rust files below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("a listing").path());
    paths
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The lines of a source that begin a string literal with `/proc`: without comments, and without the tests at its end.
fn literals(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = (1..).zip(text.lines()).take_while(|(_, line)| *line != "#[cfg(test)]");
    code.filter(|(_, line)| !line.trim_start().starts_with("//") && line.contains("\"/proc"))
}

#[test]
fn only_src_proc_reads_proc() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the crates");
    let reader = crates.join("linux/src/proc");
    let mut found = Vec::new();
    let mut used = 0;
    for path in ["linux", "server", "cli"].iter().flat_map(|name| sources(&crates.join(name).join("src"))) {
        if path.starts_with(&reader) {
            continue;
        }
        let name = path.strip_prefix(crates).expect("below it").display().to_string();
        let text = fs::read_to_string(&path).expect("a source");
        for (number, line) in literals(&text) {
            if PERMITTED.iter().any(|(file, literal, _)| *file == name && line.contains(literal)) {
                used += 1;
            } else {
                found.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "read it in crates/linux/src/proc, or permit it with a reason:\n{}",
        found.join("\n")
    );
    assert_eq!(used, PERMITTED.len(), "a permission that nothing needs");
}

#[test]
fn literal_is_told_from_a_comment_and_a_test() {
    let text = "// \"/proc\"\nlet a = b\"/proc/x\";\nlet b = \"see /proc\";\n#[cfg(test)]\nmod tests { \"/proc\" }\n";
    assert_eq!(literals(text).map(|(number, _)| number).collect::<Vec<_>>(), [2]);
}
