//! Runs a command under the trace host's supervisor, with a policy that only counts.
//!
//! `trace_run [--limit N] [--veto] [--quiet] -- COMMAND [ARGUMENT…]`

use std::ffi::OsString;
use std::process::ExitCode;

use nix::errno::Errno;
use penfold_linux::trace::{
    Command, Fork, ForkRefusal, ForwardedSignals, Job, Notice, Policy, TaskTable, Tid, TraceOptions,
};

#[derive(Debug, Default)]
struct CountingPolicy {
    limit: Option<u64>,
    living: u64,
    peak: u64,
    forks: u64,
    refused: u64,
    user_ns: u64,
    system_ns: u64,
}

impl CountingPolicy {
    fn add(&mut self) {
        self.living += 1;
        self.peak = self.peak.max(self.living);
    }
}

impl Policy for CountingPolicy {
    type Task = ();
    type Common = ();

    fn started(&mut self, _: &mut TaskTable<(), ()>, _: Tid) -> Result<(), Errno> {
        self.add();
        Ok(())
    }

    fn may_fork(&mut self, _: &mut TaskTable<(), ()>, _: Tid, certain: bool) -> Result<(), ForkRefusal> {
        if self.limit.is_some_and(|limit| self.living >= limit) {
            self.refused += u64::from(certain);
            return Err(if certain { ForkRefusal::Final(Errno::EAGAIN) } else { ForkRefusal::NotYet });
        }
        self.add();
        Ok(())
    }

    fn cancel_fork(&mut self, _: &mut TaskTable<(), ()>, _: Tid) {
        self.living -= 1;
    }

    fn forked(&mut self, _: &mut TaskTable<(), ()>, fork: Fork) {
        self.forks += 1;
        if !fork.charged {
            self.add();
        }
    }

    fn exited(&mut self, _: &mut TaskTable<(), ()>, _: Tid, _: bool) {
        self.living -= 1;
    }

    fn charge_cpu(&mut self, _: Tid, _: Option<&()>, _: usize, user_ns: u64, system_ns: u64) {
        self.user_ns += user_ns;
        self.system_ns += system_ns;
    }

    fn notice(&mut self, notice: Notice) {
        eprintln!("trace_run: {notice:?}");
    }
}

fn main() -> ExitCode {
    let signals = ForwardedSignals::block();
    let mut options = TraceOptions { follow_stops: true, ..TraceOptions::default() };
    let mut policy = CountingPolicy::default();
    let mut quiet = false;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--limit") => {
                let limit = arguments.next().and_then(|text| text.to_str()?.parse().ok());
                policy.limit = Some(limit.expect("--limit takes a number"));
                options.fork_veto = true;
            }
            Some("--veto") => options.fork_veto = true,
            Some("--quiet") => quiet = true,
            Some("--") => break,
            _ => panic!("unknown argument {}", argument.display()),
        }
    }
    let command: Vec<OsString> = arguments.collect();
    let job = match Job::start(Command::new(command), options, policy) {
        Ok(job) => job,
        Err(error) => {
            eprintln!("trace_run: {error}");
            return ExitCode::from(125);
        }
    };
    let outcome = job.wait_forwarding(&signals);
    if !quiet {
        let count = &outcome.policy;
        eprintln!(
            "trace_run: {} forks, {} refused, peak {}, {} left, user {} µs, system {} µs",
            count.forks,
            count.refused,
            count.peak,
            count.living,
            count.user_ns / 1000,
            count.system_ns / 1000
        );
    }
    match outcome.status {
        Ok(status) if libc::WIFSIGNALED(status) => ExitCode::from(128 + libc::WTERMSIG(status) as u8),
        Ok(status) => ExitCode::from(libc::WEXITSTATUS(status) as u8),
        Err(error) => {
            eprintln!("trace_run: {error}");
            let not_found =
                matches!(error, penfold_linux::trace::StartError::Exec { errno: Errno::ENOENT, .. });
            ExitCode::from(if not_found { 127 } else { 126 })
        }
    }
}
