//! The tests of the trace host share a policy that counts and checks.
#![allow(dead_code, missing_docs, unreachable_pub)] // each test file uses its part

use std::collections::HashMap;

use nix::errno::Errno;
use penfold_linux::trace::{
    Command, Fork, ForkRefusal, Handle, Job, JobOutcome, Notice, Policy, StartError, TaskTable, Tid,
    TraceOptions,
};

/// A policy that counts, limits, and checks that the calls of its methods are consistent.
#[derive(Debug)]
pub struct CheckingPolicy {
    pub limit: usize,
    /// Living tasks, with their processes.
    pub living: HashMap<Tid, Tid>,
    pub in_flight: usize,
    pub peak: usize,
    pub processes: usize,
    pub threads: usize,
    pub refused: usize,
    pub cancelled: usize,
    pub renamed: usize,
    pub orphaned: usize,
    pub user_ns: u64,
    pub system_ns: u64,
    pub cpu_of: HashMap<Tid, u64>,
    pub notices: Vec<Notice>,
    pub allowed: Option<penfold_core::host::IndexSet>,
    pub frozen: bool,
}

impl Default for CheckingPolicy {
    fn default() -> Self {
        Self {
            limit: usize::MAX,
            living: HashMap::new(),
            in_flight: 0,
            peak: 0,
            processes: 0,
            threads: 0,
            refused: 0,
            cancelled: 0,
            renamed: 0,
            orphaned: 0,
            user_ns: 0,
            system_ns: 0,
            cpu_of: HashMap::new(),
            notices: Vec::new(),
            allowed: None,
            frozen: false,
        }
    }
}

impl CheckingPolicy {
    pub fn limited(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub fn usage(&self) -> usize {
        self.living.len() + self.in_flight
    }
}

impl Policy for CheckingPolicy {
    type Task = ();
    type Common = ();

    fn started(&mut self, _: &mut TaskTable<(), ()>, main: Tid) -> Result<(), Errno> {
        self.living.insert(main, main);
        self.peak = 1;
        Ok(())
    }

    fn may_fork(&mut self, _: &mut TaskTable<(), ()>, parent: Tid, certain: bool) -> Result<(), ForkRefusal> {
        assert!(self.living.contains_key(&parent), "{parent} is unknown");
        if self.usage() >= self.limit {
            self.refused += usize::from(certain);
            return Err(if certain { ForkRefusal::Final(Errno::EAGAIN) } else { ForkRefusal::NotYet });
        }
        self.in_flight += 1;
        self.peak = self.peak.max(self.usage());
        Ok(())
    }

    fn cancel_fork(&mut self, _: &mut TaskTable<(), ()>, parent: Tid) {
        assert!(self.living.contains_key(&parent), "{parent} is unknown");
        self.cancelled += 1;
        self.in_flight -= 1;
    }

    fn forked(&mut self, tasks: &mut TaskTable<(), ()>, fork: Fork) {
        assert_eq!(tasks.tgid_of(fork.child), Some(fork.tgid));
        assert!(fork.parent_died || self.living.contains_key(&fork.parent), "{fork:?}: no parent");
        self.orphaned += usize::from(fork.parent_died);
        if fork.charged {
            self.in_flight -= 1;
        }
        if fork.child == fork.tgid {
            self.processes += 1;
        } else {
            self.threads += 1;
            assert!(self.living.contains_key(&fork.tgid), "{fork:?}: no leader");
        }
        assert_eq!(self.living.insert(fork.child, fork.tgid), None, "{fork:?}: born twice");
        self.peak = self.peak.max(self.usage());
    }

    fn exited(&mut self, tasks: &mut TaskTable<(), ()>, task: Tid, last_of_group: bool) {
        assert!(tasks.contains(task));
        let tgid = self.living.remove(&task).expect("a task dies once");
        let left = self.living.values().filter(|other| **other == tgid).count();
        if last_of_group {
            assert_eq!((task, left), (tgid, 0), "last of its process");
        }
    }

    fn renamed(&mut self, tasks: &mut TaskTable<(), ()>, former: Tid, tgid: Tid) {
        assert!(tasks.contains(tgid) && !tasks.contains(former));
        assert_eq!(self.living.remove(&former), Some(tgid));
        self.living.insert(tgid, tgid);
        self.renamed += 1;
    }

    fn charge_cpu(&mut self, task: Tid, _: Option<&()>, _cpu: usize, user_ns: u64, system_ns: u64) {
        assert!(self.living.contains_key(&task));
        self.user_ns += user_ns;
        self.system_ns += system_ns;
        *self.cpu_of.entry(task).or_default() += user_ns + system_ns;
    }

    fn allowed_cpus(&self, _: &TaskTable<(), ()>, _: Tid) -> Option<penfold_core::host::IndexSet> {
        self.allowed.clone()
    }

    fn starts_frozen(&self, _: Tid) -> bool {
        self.frozen
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

pub fn veto() -> TraceOptions {
    TraceOptions { fork_veto: true, ..TraceOptions::default() }
}

pub fn start<S: AsRef<str>>(
    argv: &[S],
    options: TraceOptions,
    policy: CheckingPolicy,
) -> Job<CheckingPolicy> {
    let command = Command::new(argv.iter().map(AsRef::as_ref));
    Job::start(command, options, policy).expect("the job starts")
}

/// Runs a command to its end, and checks that nothing is left over.
pub fn run<S: AsRef<str>>(
    argv: &[S],
    options: TraceOptions,
    policy: CheckingPolicy,
) -> JobOutcome<CheckingPolicy> {
    finish(start(argv, options, policy))
}

pub fn finish(job: Job<CheckingPolicy>) -> JobOutcome<CheckingPolicy> {
    let outcome = job.wait();
    assert_eq!(outcome.policy.usage(), 0, "{:?}", outcome.policy);
    outcome
}

pub fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// The exit code. Panics with the outcome if a signal has ended the command.
pub fn code(outcome: &JobOutcome<CheckingPolicy>) -> i32 {
    match &outcome.status {
        Ok(status) if libc::WIFEXITED(*status) => libc::WEXITSTATUS(*status),
        status => panic!("{status:?}, {:?}", outcome.policy),
    }
}

pub fn start_error<S: AsRef<str>>(argv: &[S]) -> StartError {
    let outcome = run(argv, TraceOptions::default(), CheckingPolicy::default());
    outcome.status.expect_err("the command does not exist")
}

/// The policy's numbers, exact.
pub fn look<R>(handle: &Handle<CheckingPolicy>, question: impl FnOnce(&CheckingPolicy) -> R) -> R {
    handle.with_exact(|_, count| question(count)).expect("the job runs")
}
