//! `penfold module info`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use nix::unistd::geteuid;
use penfold_module::loader::{FileDescription, ModuleDescription, inspect, ownership_check};
use penfold_server::escape::escape;
use serde::Serialize;

use crate::failure::Outcome;
use crate::modules::ModuleOperand;
use crate::output::{self, TextTable};
use crate::verbs::EXIT_STATUS;

/// Shows a module's description of itself, without running any of its code.
///
/// The description is read from the file. "loadable" says whether this user could load the module, or else which file
/// or directory prevents that, and why.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold module info net_cls
  penfold module info --json ./hello.so | jq -r .files[].name

{EXIT_STATUS}"))]
pub(crate) struct ModuleInfoArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,

    /// The module's path or name.
    #[arg(value_name = "MODULE", value_parser = ModuleOperand::parser())]
    module: ModuleOperand,
}

#[derive(Serialize)]
struct ShownModule {
    name: String,
    version: String,
    summary: String,
    path: String,
    interface: u32,
    callbacks: Vec<String>,
    rules: Vec<ShownRule>,
    refusing_file: Option<String>,
    files: Vec<ShownFile>,
    /// The reason why this user can't load the module; `None` if the user can.
    refusal: Option<String>,
}

#[derive(Serialize)]
struct ShownRule {
    counts: &'static str,
    limit: Option<String>,
    refusal: &'static str,
}

#[derive(Serialize)]
struct ShownFile {
    name: String,
    mode: String,
    place: &'static str,
    read: &'static str,
    write: &'static str,
    max_write: usize,
}

pub(crate) fn run(arguments: &ModuleInfoArguments) -> Outcome {
    let path = arguments.module.find()?;
    let info = inspect(&path)?;
    let refusal =
        ownership_check::check(&path, geteuid().as_raw()).err().map(|error| error.detail().into_owned());
    let shown = shown(&path, info, refusal);
    if arguments.json {
        output::json(&shown)?;
    } else {
        output::write(text(&shown).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(path: &Path, info: ModuleDescription, refusal: Option<String>) -> ShownModule {
    let named = |file: &str| Some(format!("{}.{file}", info.name)).filter(|_| !file.is_empty());
    let rules = info.rules.iter().map(|rule| ShownRule {
        counts: rule.resource.name(),
        limit: named(&rule.limit_file),
        refusal: rule.refusal.name(),
    });
    let file = |file: &FileDescription| ShownFile {
        name: format!("{}.{}", info.name, file.name),
        mode: format!("{:04o}", file.mode),
        place: file.visibility.name(),
        read: file.read,
        write: file.write,
        max_write: file.max_write,
    };
    ShownModule {
        path: escape(path.as_os_str().as_encoded_bytes()),
        interface: info.abi_version,
        callbacks: info.callbacks.iter_names().map(|(name, _)| name.to_lowercase()).collect(),
        rules: rules.collect(),
        refusing_file: named(&info.refusing_file),
        files: info.files.iter().map(file).collect(),
        refusal,
        name: info.name,
        version: info.version,
        summary: info.summary,
    }
}

fn text(shown: &ShownModule) -> String {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let rule = |rule: &ShownRule| match &rule.limit {
        Some(file) => format!("{} (limit in {file}, refused with {})", rule.counts, rule.refusal),
        None => rule.counts.to_owned(),
    };
    let rules: Vec<String> = shown.rules.iter().map(rule).collect();
    let loadable = shown.refusal.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
    let mut text = String::new();
    for (what, value) in [
        ("name", shown.name.clone()),
        ("version", dash(&shown.version)),
        ("summary", dash(&shown.summary)),
        ("path", shown.path.clone()),
        ("interface", shown.interface.to_string()),
        ("callbacks", dash(&shown.callbacks.join(", "))),
        ("counts", dash(&rules.join(", "))),
        ("loadable", loadable),
    ] {
        let _ = writeln!(text, "{what:<10} {value}");
    }
    if let Some(file) = &shown.refusing_file {
        let _ = writeln!(text, "{:<10} forks, by {file}", "refuses");
    }
    if !shown.files.is_empty() {
        let mut table = TextTable::new(&["FILE", ">MODE", "READ", "WRITE", "WHERE"]);
        for file in &shown.files {
            let [read, write] =
                [file.read, file.write].map(|kind| if kind == "none" { "-" } else { kind }.to_owned());
            table.row([file.name.clone(), file.mode.clone(), read, write, file.place.to_owned()]);
        }
        text.push('\n');
        text += &table.text();
    }
    text
}
