//! `penfold run`: the main job.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use penfold_linux::release::run_agent;
use penfold_linux::trace::{
    Command, ContainError, Contained, Ended, Notice, Options, Signals, StartError, TRACER_NAME, Workshop,
};

use crate::containment::{self, owner};
use crate::failure::{CANNOT_EXECUTE, Failure, NOT_FOUND, OWN_FAILURE};
use crate::remote::Global;
use crate::report::{self, Destination, Facts};
use crate::settings::{self, Setting};

/// Runs COMMAND in a cgroup of its own, in an engine inside this process: no root, no daemon, no configuration.
///
/// Terminal, signals and job control pass through. When the command ends, everything it left behind is killed, also
/// daemons, and a report goes to standard error. The exit status is the command's own; 128+N if signal N killed it;
/// 125 if penfold failed, 126 if the command can't be executed, 127 if it is not found.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Sets a control file of the job's cgroup, such as pids.max=64 or cpuset.cpus=0-1. May be given again.
    #[arg(short = 's', long = "set", value_name = "FILE=VALUE")]
    set: Vec<Setting>,

    /// The name of the job's cgroup; with slashes, a path of new cgroups.
    #[arg(short = 'g', long = "group", value_name = "NAME", default_value = "job")]
    group: String,

    /// Writes one JSON document with the report to a file, or to the open file descriptor of that number.
    #[arg(long, value_name = "FILE|FD")]
    json: Option<Destination>,

    /// No report on standard error.
    #[arg(short, long)]
    quiet: bool,

    /// The host that supervises: trace needs no privilege.
    #[arg(long, default_value = "trace")]
    host: HostName,

    /// Lets pass what the host can't give, with a warning, instead of refusing to run.
    #[arg(long)]
    best_effort: bool,

    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum HostName {
    Trace,
}

pub(crate) fn run(arguments: &Arguments, _global: &Global) -> ExitCode {
    // Before any other thread exists, so that all inherit the mask.
    let signals = Signals::block();
    match attempt(arguments, &signals) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.code)
        }
    }
}

fn attempt(arguments: &Arguments, signals: &Signals) -> Result<u8, Failure> {
    let HostName::Trace = arguments.host;
    let json = arguments.json.as_ref().map(Destination::open).transpose().map_err(Failure::own)?;
    let mut workshop = Workshop::new(arguments.best_effort);
    workshop.on_notice(tell);
    let (engine, host) = workshop.parts();
    let (cgroup, root) = containment::prepare(engine, host, &arguments.group).map_err(Failure::own)?;
    for setting in &arguments.set {
        settings::apply(engine, host, &owner(), [cgroup, root], setting).map_err(Failure::own)?;
    }
    let warnings = workshop.warnings().to_vec();
    for warning in &warnings {
        eprintln!("penfold: warning: {warning}");
    }
    let options = Options { follow_stops: true, ..Options::default() };
    let began = Instant::now();
    let command = Command::new(arguments.command.iter());
    let contained = workshop.start(command, cgroup, options).map_err(|error| not_started(&error))?;
    let mut ended = wait(contained, signals)?;
    while let Some(release) = ended.parts().0.take_release() {
        if let Err(error) = run_agent(&release) {
            eprintln!("penfold: warning: release agent {}: {error}", release.agent);
        }
    }
    let facts =
        Facts::gather(&arguments.command, &arguments.set, warnings, began.elapsed(), cgroup, &mut ended);
    if !arguments.quiet {
        eprint!("{}", facts.text());
    }
    if let Some(file) = json {
        report::write_json(file, &facts).map_err(Failure::own)?;
    }
    Ok(report::exit_code(ended.status))
}

fn wait(contained: Contained, signals: &Signals) -> Result<Ended, Failure> {
    contained.wait_forwarding(signals).map_err(|error| match error {
        ContainError::Start(error) => not_started(&error),
        ContainError::Attach(_) => Failure::own(error),
    })
}

fn not_started(error: &StartError) -> Failure {
    let code = match error {
        StartError::Exec { errno: nix::errno::Errno::ENOENT, .. } => NOT_FOUND,
        StartError::Exec { .. } => CANNOT_EXECUTE,
        _ => OWN_FAILURE,
    };
    let message = match error {
        StartError::Traced { tracer, pid } if tracer == TRACER_NAME => format!(
            "penfold inside a penfold job is not supported yet: this one runs in the job of {tracer} (pid {pid}); \
             set the rules there, or run this one outside of it"
        ),
        _ => error.to_string(),
    };
    Failure { code, ..Failure::new(message) }
}

fn tell(notice: &Notice) {
    if let Some(text) = report::notice_text(notice) {
        eprintln!("penfold: {text}");
    }
}
