//! The jobs of one supervisor: each is a command, its descendants, and a rule for those that it leaves behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{Tid, host::Capability};

use super::job_record::{JobOptions, JobRecord, LaunchedJob};
use super::policy::Policy;
use super::supervisor::{Supervisor, ptrace_options};
use super::table::{JobId, Lineage, NO_JOB, TaskEntry, TaskState};
use crate::trace::os::Command;
use crate::trace::os::StartError;
use crate::trace::os::filter::TracedCalls;
use crate::trace::os::spawn;
use crate::trace::os::{ptrace, sched, task};

/// The time that the process of a refused command gets to be gone.
const KILL_TIME: Duration = Duration::from_secs(2);

/// The state of a launch that a request waits for.
#[derive(Debug)]
pub(crate) enum LaunchRequest<E> {
    /// The command runs.
    Runs(LaunchedJob),
    /// The command has no place, and its process is being killed.
    Refused { main: Tid, error: Option<E>, until: Instant },
}

impl<P: Policy> Supervisor<P> {
    /// Launches a command beside those that run already. `place` puts it into its cgroups, as [`Policy::started`] does
    /// for a job of its own. If that fails, the command never runs.
    ///
    /// The job's end reports a program that can't be executed.
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) fn launch<E>(
        &mut self,
        command: &Command,
        options: JobOptions,
        policy: &mut P,
        place: impl FnOnce(&mut P, &mut super::TableOf<P>, Tid) -> Result<(), E>,
    ) -> Result<LaunchRequest<E>, StartError> {
        let (main, lineage) = self.spawn(command, options, policy)?;
        if let Err(error) = place(policy, &mut self.tasks, main) {
            self.jobs.remove(&lineage.job);
            if let Some(task) = self.tasks.get_mut(main) {
                task.killed = true;
            }
            let _ = task::kill(main, libc::SIGKILL);
            return Ok(LaunchRequest::Refused {
                main,
                error: Some(error),
                until: Instant::now() + KILL_TIME,
            });
        }
        self.release_main(lineage.job, policy);
        Ok(LaunchRequest::Runs(LaunchedJob { main, job: lineage.job }))
    }

    /// The result of a launch; `None` while the process of a refused command dies.
    pub(crate) fn launched<E>(&self, launching: &mut LaunchRequest<E>) -> Option<Result<LaunchedJob, E>> {
        match launching {
            LaunchRequest::Runs(launch) => Some(Ok(*launch)),
            LaunchRequest::Refused { main, error, until } => {
                let gone = !self.tasks.contains(*main) || Instant::now() > *until;
                if gone { error.take().map(Err) } else { None }
            }
        }
    }

    /// Makes the process of a new job, seized and waiting for its place and its filter.
    pub(crate) fn spawn(
        &mut self,
        command: &Command,
        options: JobOptions,
        policy: &mut P,
    ) -> Result<(Tid, Lineage), StartError> {
        let JobOptions { options, leave_running, ended } = options;
        let interest =
            TracedCalls { fork: options.fork_veto, affinity: options.affinity, sockets: options.sockets };
        self.last_job = self.last_job.checked_add(1).unwrap_or(NO_JOB + 1);
        let lineage = Lineage {
            job: self.last_job,
            exit_kill: options.exit_kill,
            filter: Some(interest),
            filters: 1,
            adopted: false,
        };
        // no event reports an exec, so the pipes of the commands before are looked at here
        self.jobs.values_mut().for_each(|job| job.launched.look());
        let launched = spawn::launch(command, ptrace_options(lineage))?;
        let main = launched.pid;
        self.forget_reused(main, policy);
        let cpus = command.inheritance.as_ref().and_then(|inheritance| inheritance.cpus.clone());
        if let Some(cpus) = &cpus {
            // EINVAL: a cpuset of the kernel leaves none of them
            let _ = sched::set_affinity(main, cpus);
        }
        let wanted_cpus = cpus.map(Arc::new);
        let task = TaskEntry { state: TaskState::Unreleased, wanted_cpus, ..TaskEntry::new(main, lineage) };
        self.tasks.insert(main, task, 0);
        self.jobs.insert(lineage.job, JobRecord { main, launched, leave_running, ended, end: None });
        Ok((main, lineage))
    }

    /// Lets a job's main command run, with a filter for its options and for the rules of its cgroups.
    pub(crate) fn release_main(&mut self, job: JobId, policy: &mut P) {
        let Some(main) = self.jobs.get(&job).map(|job| job.main) else { return };
        if policy.needs_veto(&self.tasks, main) {
            self.tasks.want_filter(main, Capability::ForkVeto);
        }
        let starts_frozen = policy.starts_frozen(main);
        let Some(task) = self.tasks.get_mut(main) else { return };
        task.state = TaskState::Running;
        task.lineage.filter = task.wants.take().or(task.lineage.filter);
        task.freeze |= starts_frozen;
        if task.freeze {
            // it has no first stop at which it could be held
            let _ = ptrace::interrupt(main);
        }
        let filter = task.lineage.filter;
        if let Some(job) = self.jobs.get_mut(&job) {
            job.launched.go(filter);
        }
    }

    /// Sends a signal to the main command of a job. `ESRCH` when it has ended.
    pub(crate) fn kill_main(&self, job: JobId, signal: c_int) -> Result<(), Errno> {
        // not reaped before its death is seen here, so the id cannot have been reused
        let job = self.jobs.get(&job).filter(|job| job.end.is_none());
        job.map_or(Err(Errno::ESRCH), |job| task::kill(job.main, signal))
    }

    /// Whether the tasks of a job have to die.
    pub(crate) fn is_over(&self, job: JobId) -> bool {
        job != NO_JOB && self.jobs.get(&job).is_none_or(|job| job.end.is_some())
    }

    /// Notes that a task of a job has died and been reaped.
    pub(crate) fn note_end(&mut self, id: JobId, tid: Tid, status: i32) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.main == tid && job.end.is_none() {
            let failure = job.launched.failure();
            if tid == self.main {
                self.status = Some(status);
                self.failure = failure;
                self.jobs.remove(&id);
                return self.close();
            }
            job.end = Some(failure.map_or(Ok(status), Err));
            if job.leave_running {
                job.send_end();
                self.jobs.remove(&id);
                return self.detach_job(id);
            }
            self.mark_killed(id);
        }
        if self.tasks.members_of(id) == 0
            && let Some(mut job) = self.take_ended(id)
        {
            job.send_end();
        }
    }

    fn take_ended(&mut self, id: JobId) -> Option<JobRecord> {
        if self.jobs.get(&id)?.end.is_some() { self.jobs.remove(&id) } else { None }
    }

    /// Removes the remaining tasks of a job from it. They go on.
    fn detach_job(&mut self, id: JobId) {
        self.tasks.detach_job(id);
        let killed = self.killed.iter_mut().filter(|(_, lineage)| lineage.job == id);
        killed.for_each(|(_, lineage)| lineage.job = NO_JOB);
    }

    /// Kills the remaining tasks of a job. Their forks fail from now on.
    fn mark_killed(&mut self, id: JobId) {
        let mut processes = Vec::new();
        for (tid, task) in self.tasks.entries.iter_mut().filter(|(_, task)| task.lineage.job == id) {
            task.killed = true;
            if *tid == task.tgid {
                processes.push(*tid);
            }
        }
        for tgid in processes {
            let _ = task::kill(tgid, libc::SIGKILL);
        }
    }
}
