//! `penfold module new`: a small controller that works, for a new author.

mod name;
#[cfg(test)]
mod tests;

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::failure::{Failure, Outcome};
use crate::output;
use crate::verbs::{EXIT_STATUS, mkdir};

/// The language of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Language {
    /// A crate with the SDK.
    #[default]
    Rust,
    /// One file, with penfold.h beside it.
    C,
}

/// Writes a small controller that works, with tests, to begin with.
///
/// The controller has two control files, builds, passes its tests and can be loaded as it is. The next commands are
/// printed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold module new wheel
  penfold module new --lang c wheel ~/src/wheel

{EXIT_STATUS}"))]
pub(crate) struct ModuleNewArguments {
    /// The controller's name: what is mounted, and the prefix of its control files.
    name: String,

    /// The directory to make. The default is the name, in the working directory.
    directory: Option<PathBuf>,

    /// The language.
    #[arg(short, long, value_enum, default_value_t)]
    lang: Language,
}

pub(crate) fn run(arguments: &ModuleNewArguments) -> Outcome {
    let directory = arguments.directory.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    let made = new(&arguments.name, arguments.lang, &directory)?;
    let text =
        format!("{}: {} files. Next:\n  {}\n", directory.display(), made.files.len(), made.next.join("\n  "));
    output::write(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The files that were written, and the next commands.
#[derive(Debug)]
pub(crate) struct Skeleton {
    /// The files, relative to the directory.
    pub(crate) files: Vec<PathBuf>,
    /// Three lines for a shell that test, build and use it.
    pub(crate) next: [String; 3],
}

/// Writes a working controller of that name into a directory, which is made for it.
///
/// # Errors
/// A name that a controller can't have or that penfold needs for one of its own; a directory that exists or can't be
/// made. After an error nothing of the skeleton is left.
pub(crate) fn new(name: &str, language: Language, directory: &Path) -> Result<Skeleton, Failure> {
    name::check(name)?;
    let files = match language {
        Language::Rust => rust(name),
        Language::C => c(name),
    };
    write(directory, &files).map_err(|error| {
        Failure::io(directory.to_string_lossy(), error).with_prefix("can't write a controller there: ")
    })?;
    let files = files.into_iter().map(|(path, _)| path).collect();
    Ok(Skeleton { files, next: next(name, language, directory) })
}

/// Files to be written: their paths in the directory, and their contents.
type SkeletonFiles = Vec<(PathBuf, String)>;

fn rust(name: &str) -> SkeletonFiles {
    let fill = |template: &str| {
        let filled = template.replace("@NAME@", name).replace("@CRATE@", &crate_name(name));
        filled.replace("@DEPENDENCY@", &sdk(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../module"))))
    };
    vec![
        ("Cargo.toml".into(), fill(include_str!("rust/Cargo.toml.in"))),
        ("src/lib.rs".into(), fill(include_str!("rust/lib.rs.in"))),
        ("tests/simulated.rs".into(), fill(include_str!("rust/simulated.rs.in"))),
        (".gitignore".into(), fill(include_str!("rust/gitignore.in"))),
    ]
}

fn c(name: &str) -> SkeletonFiles {
    let fill = |template: &str| template.replace("@NAME@", name);
    vec![
        (format!("{name}.c").into(), fill(include_str!("c/module.c.in"))),
        ("Makefile".into(), fill(include_str!("c/Makefile.in"))),
        ("penfold.h".into(), penfold_module::HEADER.into()),
        (".gitignore".into(), fill(include_str!("c/gitignore.in"))),
    ]
}

/// A controller's name as part of its crate's name.
fn crate_name(name: &str) -> String {
    name.replace('-', "_")
}

/// The SDK as a dependency in Cargo.toml: from the source of this program while that exists, since it fits exactly,
/// else the published one.
fn sdk(source: &Path) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match source.canonicalize().ok().filter(|source| source.join("Cargo.toml").is_file()) {
        Some(source) => format!("{{ version = \"{version}\", path = {:?} }}", source.display().to_string()),
        None => format!("\"{version}\""),
    }
}

fn next(name: &str, language: Language, directory: &Path) -> [String; 3] {
    // A file that other users may write is not loaded, and a build makes files by the umask.
    let umask = if mkdir::by_umask() & 0o022 == 0 { "" } else { "umask 022; " };
    let enter = format!("cd {}", directory.display());
    let (test, build, module) = match language {
        Language::Rust => {
            let module = format!("target/debug/libpenfold_{}.so", crate_name(name));
            (format!("{enter}; {umask}cargo test"), "cargo build", module)
        }
        Language::C => (format!("{enter}; make"), "make check", format!("./{name}.so")),
    };
    [
        test,
        build.into(),
        format!("penfold run --module {module} -s {name}.value=42 -- penfold cat /job {name}.value"),
    ]
}

/// Makes the directory, which must be new, and the files.
///
/// Other users can't write any of them, whatever the umask is: modules that others could change are not loaded.
fn write(directory: &Path, files: &SkeletonFiles) -> std::io::Result<()> {
    let make = |path: &Path, all: bool| fs::DirBuilder::new().mode(0o755).recursive(all).create(path);
    make(directory, false)?;
    let written = files.iter().try_for_each(|(path, content)| {
        let path = directory.join(path);
        make(path.parent().unwrap_or(directory), true)?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
    });
    if written.is_err() {
        // The first error is returned, not one of the removal.
        let _ = fs::remove_dir_all(directory);
    }
    written
}
