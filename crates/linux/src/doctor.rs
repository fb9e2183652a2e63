//! The abilities of each host on this machine, as data, found by trying.

use nix::errno::Errno;

use crate::trace::{Command, Job, Policy, StartError, TraceOptions, can_mark_sockets};

/// One ability of a host, and whether it works here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFeature {
    /// The name of the host.
    pub host: &'static str,
    /// The ability in a few words.
    pub what: &'static str,
    /// Whether it works on this machine.
    pub given: bool,
    /// The way in which it works, or the reason why not and a remedy.
    pub how: String,
}

struct ProbePolicy;

impl Policy for ProbePolicy {
    type Task = ();
    type Common = ();
}

/// The abilities of all hosts on this machine. Runs a process that executes no program.
pub fn host_features() -> Vec<HostFeature> {
    let mut all = trace();
    all.extend(bpf());
    all
}

/// A job whose program does not exist is seized and filtered like any other before exec fails.
fn probe() -> Result<(), StartError> {
    let command = Command::new(["/nonexistent/penfold-doctor"]);
    let options = TraceOptions { fork_veto: true, affinity: true, ..TraceOptions::default() };
    match Job::start(command, options, ProbePolicy)?.wait().status {
        Err(StartError::Exec { errno: Errno::ENOENT, .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

fn trace() -> Vec<HostFeature> {
    let works = probe();
    let given = works.is_ok();
    let say = |what, how: &str| HostFeature {
        host: "trace",
        what,
        given,
        how: works.as_ref().map_or_else(ToString::to_string, |()| how.to_owned()),
    };
    vec![
        say("membership at fork", "exact, before the child runs: ptrace attaches every child at birth"),
        say("refusal of forks", "EAGAIN to the caller: a seccomp filter stops fork, vfork and clone"),
        say("CPU time", "exact at exit, sampled while alive; per CPU by where a task was last seen"),
        say("freezing", "invisible trace stops; SIGKILL still kills"),
        say("CPU affinity", "set, and sched_setaffinity inside is clamped"),
        HostFeature {
            host: "trace",
            what: "memory placement",
            given: false,
            how: "a tracer can't bind the memory of another process to nodes; a cpuset has to hold all online nodes"
                .to_owned(),
        },
        HostFeature {
            host: "trace",
            what: "classes on sockets",
            given: given && can_mark_sockets(),
            how: if can_mark_sockets() {
                "SO_MARK and SO_PRIORITY, before socket(2) returns".to_owned()
            } else {
                "needs CAP_NET_ADMIN; --best-effort gives a priority up to 6 and a DSCP".to_owned()
            },
        },
    ]
}

fn bpf() -> Vec<HostFeature> {
    vec![HostFeature {
        host: "bpf",
        what: "everything",
        given: false,
        how: "this version has no bpf host".to_owned(),
    }]
}
