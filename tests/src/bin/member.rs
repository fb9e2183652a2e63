//! The process behind a member of a scenario; run under the name `agent` it is a release agent.

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, gettid, setresuid};
use penfold_testkit::retry;
use penfold_tests::kernel::protocol::{MemberReply, MemberRequest};
use penfold_tests::ops::{Performer, errno};
use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[0].ends_with("/agent") {
        note_agent_call(&args);
    } else if args.get(1).is_some_and(|a| a == "idle") {
        idle();
    } else {
        serve();
    }
}

/// Adds one line to the log beside the agent, with one write, so that calls at the same time do not mix.
fn note_agent_call(argv: &[String]) {
    let mut env: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    env.sort();
    let mut line = serde_json::to_string(&(argv, env)).expect("strings");
    line.push('\n');
    let log = OpenOptions::new().create(true).append(true).open(format!("{}.log", argv[0]));
    let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
}

/// Sleeps until killed, at the latest when the parent dies.
fn idle() {
    let _ = set_pdeathsig(Signal::SIGKILL);
    loop {
        thread::park();
    }
}

/// Answers requests until the tester is gone.
fn serve() {
    let mut performer = Performer::default();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let request = serde_json::from_str(&line).expect("the tester speaks this protocol");
        let reply = answer(&mut performer, request).unwrap_or_else(|e| MemberReply::Failed(e as i32));
        println!("{}", serde_json::to_string(&reply).expect("a reply is plain data"));
    }
}

fn answer(performer: &mut Performer, request: MemberRequest) -> Result<MemberReply, Errno> {
    match request {
        MemberRequest::Fs(op) => performer.perform(&op).map(MemberReply::Fs),
        MemberRequest::Thread => start_thread(),
        MemberRequest::Fork => start_child(),
        MemberRequest::Reap(pid) => reap(Pid::from_raw(pid)),
        MemberRequest::SetUids(real, effective, saved) => {
            setresuid(Uid::from_raw(real), Uid::from_raw(effective), Uid::from_raw(saved))
                .map(|()| MemberReply::Done)
        }
        MemberRequest::SetAffinity(cpus) => {
            let mut set = CpuSet::new();
            for cpu in cpus {
                set.set(cpu)?;
            }
            sched_setaffinity(Pid::from_raw(0), &set).map(|()| MemberReply::Done)
        }
    }
}

fn start_thread() -> Result<MemberReply, Errno> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new()
        .spawn(move || {
            let _ = tell.send(gettid().as_raw());
            loop {
                thread::park();
            }
        })
        .map_err(errno)?;
    told.recv().map(MemberReply::Task).map_err(|_| Errno::ESRCH)
}

fn start_child() -> Result<MemberReply, Errno> {
    let program = std::env::current_exe().map_err(errno)?;
    // neither pipe may be inherited: the tester waits for their ends
    let child = Command::new(program).arg("idle").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    child.map(|child| MemberReply::Task(child.id().cast_signed())).map_err(errno)
}

fn reap(pid: Pid) -> Result<MemberReply, Errno> {
    let reaped = retry(Duration::from_millis(200), || match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) => Err(Errno::ECHILD),
        outcome => Ok(outcome),
    });
    reaped?.map(|_| MemberReply::Done)
}
