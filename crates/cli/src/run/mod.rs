//! `penfold run`: the main job.

mod embedded;
mod inside;
mod job_socket;
mod lent;
mod tenancy;

pub(crate) use self::tenancy::Used;

use std::ffi::OsString;
use std::process::ExitCode;

use nix::errno::Errno;
use penfold_linux::trace::{Notice, Signals, StartError, TRACER_NAME};

use crate::address::CgroupAddress;
use crate::failure::{CANNOT_EXECUTE, Failure, NOT_FOUND, OWN_FAILURE};
use crate::modules::Operand;
use crate::remote::Global;
use crate::report::{self, Destination, Facts};
use crate::settings::Setting;

/// Runs a command in a cgroup of its own: caps, counts, pins and cleanly kills the whole process tree.
///
/// The engine is inside this process: no root, no daemon, no configuration. Inside a job of another penfold run, the job
/// is a child cgroup of the caller's own, so that limits add up; with --in, it is one in the daemon's tree.
///
/// Terminal, signals and job control pass through. When the command ends, everything it left behind is killed, also
/// daemons, and a report goes to standard error. The exit status is the command's own; 128+N if signal N killed it;
/// 125 if penfold failed, 126 if the command can't be executed, 127 if it is not found.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  penfold run -s pids.max=64 -s cpuset.cpus=0-1 -- make -j8
  penfold run -s pids.max=64 -- penfold run -s pids.max=8 -- ./tests
  penfold run --in pids:/ci -s pids.max=64 -- make
  penfold run --module ./fdcount.so -s fdcount.max=1000 -- make")]
pub(crate) struct Arguments {
    /// Sets a control file of the job's cgroup, such as pids.max=64 or cpuset.cpus=0-1. May be given again.
    #[arg(short = 's', long = "set", value_name = "FILE=VALUE")]
    set: Vec<Setting>,

    /// Loads a module, a controller from a file, for this job: its path, or its name, see `penfold module --help`. May be
    /// given again.
    ///
    /// Without it, a module that -s has a file of is loaded by itself if it is found by its name. In the tree of a daemon, or
    /// of the job around this one, it must be loaded there already, or the caller be one who may load it there: then it is
    /// mounted for this job, and unloaded when that has ended.
    #[arg(short, long, value_name = "MODULE", value_parser = Operand::parser())]
    module: Vec<Operand>,

    /// The name of the job's cgroup; with slashes, a path of new cgroups. Without: job, or run-PID where there are
    /// others.
    #[arg(short = 'g', long = "group", value_name = "NAME")]
    group: Option<String>,

    /// Makes the job's cgroup below this one of the daemon's: [HIERARCHY:]/path. May be given again, each of another
    /// hierarchy.
    #[arg(long = "in", value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    below: Vec<CgroupAddress>,

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

/// How a job has ended.
struct Over {
    /// The command's, as wait(2) gives it.
    status: i32,
    facts: Facts,
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> ExitCode {
    // Before any other thread exists, so that all inherit the mask.
    let signals = Signals::block();
    match attempt(arguments, global, &signals) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.code)
        }
    }
}

fn attempt(arguments: &Arguments, global: &Global, signals: &Signals) -> Result<u8, Failure> {
    let HostName::Trace = arguments.host;
    let json = arguments.json.as_ref().map(Destination::open).transpose().map_err(Failure::own)?;
    let host = inside::find(arguments, global).map_err(Failure::before_command)?;
    let Over { status, facts } = match host {
        Some(landlord) => inside::run(arguments, landlord, signals)?,
        None => embedded::run(arguments, signals)?,
    };
    if !arguments.quiet {
        eprint!("{}", facts.text());
    }
    if let Some(file) = json {
        report::write_json(file, &facts).map_err(Failure::own)?;
    }
    Ok(report::exit_code(status))
}

fn not_started(error: &StartError) -> Failure {
    let code = match error {
        StartError::Exec { errno: Errno::ENOENT, .. } => NOT_FOUND,
        StartError::Exec { .. } => CANNOT_EXECUTE,
        _ => OWN_FAILURE,
    };
    let message = match error {
        StartError::Traced { tracer, pid } if tracer == TRACER_NAME => format!(
            "this runs in a job of penfold (the tracer is pid {pid}), and the engine of that job can't be asked: {} is not in \
             the environment, or its socket is out of reach; set the rules there, or run this one outside of it",
            job_socket::VARIABLE
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
