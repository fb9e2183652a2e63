//! Layers of files: a file may use only files of its own layer and of lower ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Arrow;

/// The layers of a folder, each a folder in it, lowest first. Files beside these folders belong to no layer.
const LAYERED_FOLDERS: [(&str, &[&str]); 1] = [("crates/linux/src/trace", &["os", "tracer", "host"])];

/// The layers by which arrows are judged.
pub(crate) enum Layers {
    /// The layers of [`LAYERED_FOLDERS`].
    OfRepository,
    /// Layers for any folder: the names in each layer, lowest first.
    Given(Vec<Vec<String>>),
}

impl Layers {
    /// The layers that this repository has.
    pub(crate) fn of_repository() -> Layers {
        Layers::OfRepository
    }

    /// Reads lines `layer: file file …`, lowest layer first. A name is relative to the folder of the table, with or
    /// without `.rs`. A folder stands for all files in it.
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

    /// The arrows from a lower layer to a higher one; `None` if the folder has fewer than two layers.
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

/// True for the root file of a layer, such as `os.rs` of the layer `os`.
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
    fn layer_may_use_only_itself_and_lower_ones() {
        let trace = "crates/linux/src/trace";
        let down = [("host/a.rs", "tracer/mod.rs"), ("host/a.rs", "os.rs"), ("os/a.rs", "os/b.rs")];
        assert_eq!(upward(&Layers::of_repository(), trace, &down), Some(vec![]));
        let up = [("os/a.rs", "host/mod.rs"), ("mod.rs", "host/mod.rs"), ("os/a.rs", "mod.rs")];
        let expected = (format!("{trace}/os/a.rs"), format!("{trace}/host/mod.rs"));
        assert_eq!(upward(&Layers::of_repository(), trace, &up), Some(vec![expected]));
    }

    #[test]
    fn folder_without_layers_has_no_arrow_upward() {
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
