//! The arguments of `penfold run`.

use std::ffi::OsString;

use crate::address::CgroupAddress;
use crate::modules::ModuleOperand;
use crate::report::Destination;
use crate::settings::Setting;

/// Runs a command in a cgroup of its own: caps, counts, pins and cleanly kills the whole process tree.
///
/// The engine is inside this process: no root, no daemon, no configuration. Inside a job of another penfold run, the
/// new job's cgroup is a child of the caller's own, so that limits add up. With --in, the cgroup is in the daemon's
/// tree.
///
/// Terminal, signals and job control pass through. When the command ends, every process that it left behind is killed,
/// daemons too, and a report goes to standard error.
///
/// The exit status is the command's own, or 128+N if signal N killed the command. The status is 125 if penfold failed,
/// 126 if the command can't be executed, and 127 if the command is not found.
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

    /// Loads a module, a controller from a file, for this job: its path, or its name, see `penfold module --help`. May
    /// be given again.
    ///
    /// Without this option, a module with a file that -s sets is loaded too, if the module is found by its name. The
    /// tree of a daemon, or of the job around this one, has another engine. There the module must be loaded already, or
    /// the caller must be allowed to load modules. Such a module is mounted for this job, and unloaded when the job has
    /// ended.
    #[arg(short, long, value_name = "MODULE", value_parser = ModuleOperand::parser())]
    pub(super) module: Vec<ModuleOperand>,

    /// The name of the job's cgroup; with slashes, a path of new cgroups. The default is job, or run-PID in the tree of
    /// another engine.
    #[arg(short = 'g', long = "group", value_name = "NAME")]
    pub(super) group: Option<String>,

    /// Makes the job's cgroup below this cgroup of the daemon: [HIERARCHY:]/path. May be given again, for another
    /// hierarchy each time.
    #[arg(long = "in", value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    pub(super) below: Vec<CgroupAddress>,

    /// Writes the report as one JSON document to a file, or to the open file descriptor of this number.
    #[arg(long, value_name = "FILE|FD")]
    pub(super) json: Option<Destination>,

    /// Writes no report to standard error.
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// The host that supervises the job: trace needs no privilege.
    #[arg(long, default_value = "trace")]
    pub(super) host: HostName,

    /// Runs with a warning where the host lacks a capability, instead of refusing to run.
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
