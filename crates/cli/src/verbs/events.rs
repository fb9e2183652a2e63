//! `penfold events`.

use std::process::ExitCode;

use penfold_server::protocol::{EventInfo, WatchCall};

use crate::address::CgroupAddress;
use crate::engine_connection::GlobalOptions;
use crate::failure::Outcome;
use crate::output;
use crate::verbs::EXIT_STATUS;

/// Prints the events of cgroups, one line each, as `inotifywait -m` does for files.
///
/// A line is KIND ADDRESS [FILE]. KIND is created, removed, populated (the first task came), empty (the last left),
/// limit (FILE refused something) or released (the release agent's moment). Without ADDRESS there are also the lines
/// loaded NAME and unloaded NAME, of a module.
///
/// After the line "Watching." on standard error, no event is missed. If this reader is too slow, the lost events are
/// counted: lost NUMBER.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold events
  penfold events --json pids:/ci | jq .kind
  penfold events --kind empty -n 1 /job && penfold rmdir /job

{EXIT_STATUS}"))]
pub(crate) struct EventsArguments {
    /// Each event as one line of JSON.
    #[arg(long)]
    json: bool,

    /// Ends after this many events.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,

    /// Only events of this kind. May be given again.
    #[arg(short, long, value_name = "KIND", value_parser =
        ["created", "removed", "populated", "empty", "limit", "released", "loaded", "unloaded"])]
    kind: Vec<String>,

    /// Does not print "Watching.".
    #[arg(short, long)]
    quiet: bool,

    /// The cgroup, with those below it: [HIERARCHY:]/path. The default is all cgroups.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroup: Option<CgroupAddress>,
}

pub(crate) fn run(arguments: &EventsArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    let call = WatchCall { cgroup: arguments.cgroup.as_ref().map(|cgroup| cgroup.0.clone()) };
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut said = arguments.quiet;
    let mut replies = remote.connection.call_more(&call, &[])?;
    while let Some(reply) = replies.next() {
        let reply = reply?;
        // a wait for the next event says nothing about the daemon
        replies.without_interruption();
        if !said {
            eprintln!("Watching.");
            said = true;
        }
        if let Some(lost) = reply.lost.filter(|lost| *lost > 0) {
            if arguments.json {
                output::json_line(&serde_json::json!({ "lost": lost }))?;
            } else {
                output::write(format!("lost {lost}\n").as_bytes())?;
            }
        }
        let Some(event) = reply.event.filter(|event| is_wanted(arguments, event)) else { continue };
        if arguments.json {
            output::json_line(&event)?;
        } else {
            output::write(line(&event).as_bytes())?;
        }
        left -= 1;
        if left == 0 {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn is_wanted(arguments: &EventsArguments, event: &EventInfo) -> bool {
    arguments.kind.is_empty() || arguments.kind.contains(&event.kind)
}

fn line(event: &EventInfo) -> String {
    if let Some(subsystem) = &event.subsystem {
        return format!("{} {subsystem}\n", event.kind);
    }
    let file = event.file.as_ref().map_or_else(String::new, |file| format!(" {file}"));
    format!("{} {}{file}\n", event.kind, event.cgroup)
}
