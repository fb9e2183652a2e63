//! `penfold proc`.

use std::process::ExitCode;

use penfold_server::escape::unescape;
use penfold_server::protocol::ProcCall;
use serde_json::json;

use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, usage};
use crate::output;
use crate::verbs::EXIT_STATUS;

/// Shows /proc/cgroups, /proc/PID/cgroup and /proc/PID/cpuset in the kernel's format, for penfold's own cgroups.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold proc cgroups
  penfold proc cgroup $$

{EXIT_STATUS}"))]
pub(crate) struct ProcArguments {
    /// As one JSON document: a list of lines, each a list of fields.
    #[arg(long)]
    json: bool,

    /// The text to show.
    #[arg(value_parser = ["cgroups", "cgroup", "cpuset"])]
    file: String,

    /// The task. The default is the caller's own.
    #[arg(value_name = "PID")]
    task: Option<i32>,
}

pub(crate) fn run(arguments: &ProcArguments, global: &GlobalOptions) -> Outcome {
    let task = match (arguments.file.as_str(), arguments.task) {
        ("cgroups", Some(_)) => {
            return Err(usage("PID", "`proc cgroups` takes none; its text is that of the whole machine"));
        }
        ("cgroups", None) => None,
        (_, task) => Some(task.unwrap_or(0).into()),
    };
    let content = global.connect()?.call(&ProcCall { file: arguments.file.clone(), task })?.content;
    if arguments.json {
        output::json(&fields(&arguments.file, &content))?;
    } else {
        output::write(&unescape(&content))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fields(file: &str, content: &str) -> serde_json::Value {
    let lines = content.lines();
    let parts = |line: &str| match file {
        // a path may have colons in it
        "cgroup" => json!(line.splitn(3, ':').collect::<Vec<_>>()),
        "cgroups" => json!(line.split('\t').collect::<Vec<_>>()),
        _ => json!([line]),
    };
    lines.map(parts).collect()
}
