//! Layers: which file may use which.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Arrow;

/// The storeys of a folder, each a folder in it, lowest first. What lies beside them belongs to none.
const LAYERED_FOLDERS: [(&str, &[&str]); 1] = [("crates/linux/src/trace", &["os", "tracer", "host"])];

/// Lists of files and folders, lowest first.
pub(crate) enum Layers {
    /// Those of [`LAYERED_FOLDERS`], by the folder that has them.
    OfRepository,
    /// For whatever folder is looked at: the names in each layer.
    Given(Vec<Vec<String>>),
}

impl Layers {
    /// The storeys that this repository has.
    pub(crate) fn of_repository() -> Layers {
        Layers::OfRepository
    }

    /// Reads lines `layer: file file …`, lowest first. A file is named from the folder of the table, with or without
    /// `.rs`; a folder stands for all that is in it.
    ///
    /// # Errors
    /// A file that can't be read, a line without a colon.
    pub(crate) fn read(file: &Path) -> Result<Layers, String> {
        let text =
            fs::read_to_string(file).map_err(|error| format!("arrows: {}: {error}", file.display()))?;
        Layers::parse(&text).map_err(|error| format!("arrows: {}: {error}", file.display()))
    }

    fn parse(text: &str) -> Result<Layers, String> {
        let mut layers = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let (_, names) = line.split_once(':').ok_or(format!("{line:?}: no `layer: file file …`"))?;
            let names = names.split_whitespace().map(|name| name.trim_end_matches(".rs").to_owned());
            layers.push(names.collect());
        }
        Ok(Layers::Given(layers))
    }

    /// The arrows that point from a lower layer to a higher one; none if the folder has not two layers.
    pub(crate) fn upward(
        &self,
        folder: &str,
        files: &[String],
        arrows: &BTreeSet<Arrow>,
    ) -> Option<BTreeSet<Arrow>> {
        let layers: BTreeSet<usize> = files.iter().filter_map(|file| self.layer(folder, file)).collect();
        if layers.len() < 2 {
            return None;
        }
        let upward = |arrow: &&Arrow| match (self.layer(folder, &arrow.0), self.layer(folder, &arrow.1)) {
            (Some(from), Some(to)) => from < to,
            _ => false,
        };
        Some(arrows.iter().filter(upward).cloned().collect())
    }

    fn layer(&self, folder: &str, file: &str) -> Option<usize> {
        match self {
            Layers::OfRepository => LAYERED_FOLDERS.iter().find_map(|(layered, layers)| {
                let inside = Path::new(file).strip_prefix(layered).ok()?;
                layers.iter().position(|layer| inside.starts_with(layer) || is_root(inside, layer))
            }),
            Layers::Given(layers) => {
                let inside = Path::new(file).strip_prefix(folder).ok()?.with_extension("");
                layers.iter().position(|names| names.iter().any(|name| inside.starts_with(name)))
            }
        }
    }
}

/// Is this `os.rs` of the storey `os`?
fn is_root(inside: &Path, layer: &str) -> bool {
    inside.with_extension("") == Path::new(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upward(layers: &Layers, folder: &str, arrows: &[(&str, &str)]) -> Option<Vec<Arrow>> {
        let path = |name: &str| format!("{folder}/{name}");
        let arrows: BTreeSet<Arrow> = arrows.iter().map(|(from, to)| (path(from), path(to))).collect();
        let files: Vec<String> = arrows.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect();
        layers.upward(folder, &files, &arrows).map(|found| found.into_iter().collect())
    }

    #[test]
    fn storey_may_use_only_itself_and_lower_ones() {
        let trace = "crates/linux/src/trace";
        let down = [("host/a.rs", "tracer/mod.rs"), ("host/a.rs", "os.rs"), ("os/a.rs", "os/b.rs")];
        assert_eq!(upward(&Layers::of_repository(), trace, &down), Some(vec![]));
        let up = [("os/a.rs", "host/mod.rs"), ("mod.rs", "host/mod.rs"), ("os/a.rs", "mod.rs")];
        let expected = (format!("{trace}/os/a.rs"), format!("{trace}/host/mod.rs"));
        assert_eq!(upward(&Layers::of_repository(), trace, &up), Some(vec![expected]));
    }

    #[test]
    fn folder_without_layers_has_no_up() {
        assert_eq!(upward(&Layers::of_repository(), "crates/cli/src", &[("a.rs", "b.rs")]), None);
        for files in [("a.rs", "b.rs"), ("a.rs", "host.rs")] {
            assert_eq!(upward(&Layers::of_repository(), "crates/linux/src/trace", &[files]), None);
        }
    }

    #[test]
    fn layers_of_a_file_are_lowest_first() {
        let layers = Layers::parse("# comment\nos: sys.rs arch\n\nhost: run/job view\n").unwrap();
        let arrows = [("sys.rs", "view.rs"), ("run/job.rs", "arch.rs"), ("arch.rs", "run/job/part.rs")];
        let found = upward(&layers, "x/src", &arrows).unwrap();
        let to: Vec<&str> = found.iter().map(|(_, to)| to.as_str()).collect();
        assert_eq!(to, ["x/src/run/job/part.rs", "x/src/view.rs"]);
        assert!(Layers::parse("sys.rs").is_err());
    }
}
