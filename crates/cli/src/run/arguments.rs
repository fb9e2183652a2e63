//! What `penfold run` takes.

use std::ffi::OsString;

use crate::address::CgroupAddress;
use crate::modules::ModuleOperand;
use crate::report::Destination;
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
pub(crate) struct RunArguments {
    /// Sets a control file of the job's cgroup, such as pids.max=64 or cpuset.cpus=0-1. May be given again.
    #[arg(short = 's', long = "set", value_name = "FILE=VALUE")]
    pub(super) set: Vec<Setting>,

    /// Loads a module, a controller from a file, for this job: its path, or its name, see `penfold module --help`. May be
    /// given again.
    ///
    /// Without it, a module that -s has a file of is loaded by itself if it is found by its name. In the tree of a daemon, or
    /// of the job around this one, it must be loaded there already, or the caller be one who may load it there: then it is
    /// mounted for this job, and unloaded when that has ended.
    #[arg(short, long, value_name = "MODULE", value_parser = ModuleOperand::parser())]
    pub(super) module: Vec<ModuleOperand>,

    /// The name of the job's cgroup; with slashes, a path of new cgroups. Without: job, or run-PID where there are
    /// others.
    #[arg(short = 'g', long = "group", value_name = "NAME")]
    pub(super) group: Option<String>,

    /// Makes the job's cgroup below this one of the daemon's: [HIERARCHY:]/path. May be given again, each of another
    /// hierarchy.
    #[arg(long = "in", value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    pub(super) below: Vec<CgroupAddress>,

    /// Writes one JSON document with the report to a file, or to the open file descriptor of that number.
    #[arg(long, value_name = "FILE|FD")]
    pub(super) json: Option<Destination>,

    /// No report on standard error.
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// The host that supervises: trace needs no privilege.
    #[arg(long, default_value = "trace")]
    pub(super) host: HostName,

    /// Lets pass what the host can't give, with a warning, instead of refusing to run.
    #[arg(long)]
    pub(super) best_effort: bool,

    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum HostName {
    Trace,
}
