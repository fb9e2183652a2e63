//! `penfold exec`.

use nix::errno::Errno;
use penfold_linux::trace::StartError;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use penfold_server::protocol::{AttachCall, InfoCall};

use crate::address::CgroupAddress;
use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::{Failure, Outcome};
use crate::relay::{self, RelayedCommand};

/// Runs a command in a cgroup of the daemon.
///
/// The daemon starts the command as the caller, with the caller's standard input, output and error, working directory,
/// environment and umask. From a terminal, the command gets a new session with a terminal of its own, which is relayed.
/// Signals sent to penfold are passed on. When the command ends, the processes that it left behind are killed, unless
/// --leave-running is given.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit status: the command's own; 128+N if signal N killed it; 125 if penfold failed, 126 if the command can't be \
executed, 127 if it is not found.

Examples:
  penfold exec /build -- make -j8
  penfold exec pids:/a --also cpuset:/fast -- ./server
  penfold exec --detach /daemons -- ./server")]
pub(crate) struct ExecArguments {
    /// A cgroup of another hierarchy, to run the command in as well. May be given again.
    #[arg(short, long, value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    also: Vec<CgroupAddress>,

    /// Lets the processes go on that the command leaves behind when it ends.
    #[arg(short, long)]
    leave_running: bool,

    /// Prints the command's pid and does not wait for the command, which goes on with all its processes.
    #[arg(short, long)]
    detach: bool,

    /// Gives the command no terminal of its own, even if penfold is run from one.
    #[arg(short = 'T', long)]
    no_terminal: bool,

    /// The cgroup: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroup: CgroupAddress,

    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: &ExecArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    let cgroups: Vec<CgroupAddress> =
        [&arguments.cgroup].into_iter().chain(&arguments.also).cloned().collect();
    if arguments.detach {
        let job = RelayedCommand::new(&cgroups, &arguments.command, false, true);
        println!("{}", job.start(&mut remote)?);
        return Ok(ExitCode::SUCCESS);
    }
    execute(&mut remote, &cgroups, &arguments.command, !arguments.no_terminal, arguments.leave_running)
}

/// Runs a command in cgroups to its end. Returns the command's exit status.
pub(crate) fn execute(
    remote: &mut EngineConnection,
    cgroups: &[CgroupAddress],
    command: &[OsString],
    terminal: bool,
    leave_running: bool,
) -> Outcome {
    let embedded = remote.call(&InfoCall {})?.embedded;
    if embedded {
        return exec_here(remote, cgroups, command);
    }
    let terminal = terminal && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let status = relay::run(remote, &RelayedCommand::new(cgroups, command, terminal, leave_running))?;
    Ok(ExitCode::from(status.code()))
}

/// Runs the command in place of this process, inside a job.
///
/// The job's engine starts no commands, but supervises this process, and so every program that it executes.
fn exec_here(remote: &mut EngineConnection, cgroups: &[CgroupAddress], command: &[OsString]) -> Outcome {
    for cgroup in cgroups {
        remote.call(&AttachCall { cgroup: cgroup.0.clone(), task: 0, process: true })?;
    }
    let (program, arguments) = command.split_first().expect("at least one word");
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(not_executed(program, &error))
}

/// The failure of an exec in this process.
pub(crate) fn not_executed(program: &OsStr, error: &std::io::Error) -> Failure {
    let errno = error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw);
    StartError::Exec { program: program.to_string_lossy().into_owned(), errno }.into()
}
