//! The jobs of one supervisor: each a command, what it starts, and a rule for what it leaves behind.

use std::sync::mpsc;

use libc::c_int;
use nix::errno::Errno;

use super::command::Command;
use super::filter::{self, Interest};
use super::launch::{self, Launched, StartError};
use super::supervise::{Options, Supervisor, ptrace_options};
use super::table::{JobId, Lineage, NO_JOB, State, Task};
use super::{Policy, Tid, sys};

/// The end of a job: the main command's status as wait(2) gives it, or why it could not be executed.
pub type JobEnd = Result<i32, StartError>;

/// A command that was launched beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// The main command's process id.
    pub main: Tid,
    /// The job's number, which no other job of this supervisor has.
    pub job: JobId,
}

/// How a command is to be launched beside others.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// How it is supervised; [`Options::follow_stops`] is for a job of its own only.
    pub options: Options,
    /// What the main command leaves behind when it ends goes on, a member of no job. Otherwise it is killed.
    pub leave_running: bool,
    /// Told once when the job is over: the main command has ended and, unless it is left running, the last task that
    /// it left behind has died.
    pub ended: Option<mpsc::Sender<JobEnd>>,
}

impl JobOptions {
    /// A job that takes everything with it when it ends, and tells nobody.
    pub fn new(options: Options) -> Self {
        Self { options, leave_running: false, ended: None }
    }
}

/// A job that is not over.
#[derive(Debug)]
pub(super) struct Begun {
    main: Tid,
    launched: Launched,
    leave_running: bool,
    ended: Option<mpsc::Sender<JobEnd>>,
    /// Set when the main command has died and what it left behind is being killed.
    end: Option<JobEnd>,
}

impl Begun {
    fn tell(&mut self) {
        if let (Some(ended), Some(end)) = (self.ended.take(), self.end.take()) {
            // whoever asked may have gone
            let _ = ended.send(end);
        }
    }
}

impl<P: Policy> Supervisor<P> {
    /// Launches a command beside what runs already. `place` puts it where it belongs, as [`Policy::started`] does for
    /// a job of its own; if that fails, the command never runs and its process is gone.
    ///
    /// That the program can't be executed is told at the job's end.
    ///
    /// # Errors
    /// [`StartError`], or what `place` answers.
    pub fn launch_command<E: From<StartError>>(
        &mut self,
        command: &Command,
        options: JobOptions,
        place: impl FnOnce(&mut P, Tid) -> Result<(), E>,
    ) -> Result<Launch, E> {
        let (main, lineage) = self.spawn(command, options)?;
        if let Err(error) = place(&mut self.policy, main) {
            self.jobs.remove(&lineage.job);
            self.policy.exited(main, true);
            self.table.remove(main);
            let _ = sys::kill(main, libc::SIGKILL);
            sys::reap_blocking(main);
            return Err(error);
        }
        self.let_loose(lineage.job);
        Ok(Launch { main, job: lineage.job })
    }

    /// Makes the process of a new job, seized and waiting.
    pub(super) fn spawn(
        &mut self,
        command: &Command,
        options: JobOptions,
    ) -> Result<(Tid, Lineage), StartError> {
        let JobOptions { options, leave_running, ended } = options;
        let interest =
            Interest { fork: options.fork_veto, affinity: options.affinity, sockets: options.sockets };
        self.last_job = self.last_job.checked_add(1).unwrap_or(NO_JOB + 1);
        let lineage = Lineage {
            job: self.last_job,
            exit_kill: options.exit_kill,
            filter: Some(interest),
            adopted: false,
        };
        let launched = launch::launch(command, &filter::program(interest), ptrace_options(lineage))?;
        let main = launched.pid;
        self.table.insert(main, Task { state: State::Running, ..Task::new(main, lineage) }, 0);
        self.jobs.insert(lineage.job, Begun { main, launched, leave_running, ended, end: None });
        Ok((main, lineage))
    }

    /// Lets a job's main command run.
    pub(super) fn let_loose(&mut self, job: JobId) {
        let Some(main) = self.jobs.get(&job).map(|job| job.main) else { return };
        // it has no first stop of its own to be held at
        if self.policy.starts_frozen(main) {
            self.freeze(main);
        }
        if let Some(job) = self.jobs.get_mut(&job) {
            job.launched.go();
        }
    }

    /// Sends a signal to the main command of a job. `ESRCH` when it has ended.
    pub fn kill_main(&self, job: JobId, signal: c_int) -> Result<(), Errno> {
        // not reaped before its death is seen here, so the id cannot have been reused
        let job = self.jobs.get(&job).filter(|job| job.end.is_none());
        job.map_or(Err(Errno::ESRCH), |job| sys::kill(job.main, signal))
    }

    /// Whether the tasks of a job are not to live any more.
    pub(super) fn is_over(&self, job: JobId) -> bool {
        job != NO_JOB && self.jobs.get(&job).is_none_or(|job| job.end.is_some())
    }

    /// A task of a job has died and been reaped.
    pub(super) fn note_end(&mut self, id: JobId, tid: Tid, status: i32) {
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
                job.tell();
                self.jobs.remove(&id);
                return self.disband(id);
            }
            self.doom(id);
        }
        if self.table.members_of(id) == 0
            && let Some(mut job) = self.take_ended(id)
        {
            job.tell();
        }
    }

    fn take_ended(&mut self, id: JobId) -> Option<Begun> {
        if self.jobs.get(&id)?.end.is_some() { self.jobs.remove(&id) } else { None }
    }

    /// What a job has left behind goes on without it.
    fn disband(&mut self, id: JobId) {
        self.table.disband(id);
        let killed = self.killed.iter_mut().filter(|(_, lineage)| lineage.job == id);
        killed.for_each(|(_, lineage)| lineage.job = NO_JOB);
    }

    /// Kills what a job has left behind. Forks fail from now on.
    fn doom(&mut self, id: JobId) {
        let mut processes = Vec::new();
        for (tid, task) in self.table.tasks.iter_mut().filter(|(_, task)| task.lineage.job == id) {
            task.doomed = true;
            if *tid == task.tgid {
                processes.push(*tid);
            }
        }
        for tgid in processes {
            let _ = sys::kill(tgid, libc::SIGKILL);
        }
    }
}
