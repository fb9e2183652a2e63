//! The helper processes of the differential test.
//!
//! By its arguments the program is an operator, an actor, the reaper or a process that dies early. Under the name
//! `agent_N` the program is a release agent.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_tests::differential::{
    Act, BaseDir, FileCall, OPERATORS, Operator, PathAt, Profile, SideOperation, actor, kernel_pair, left_by,
    operator, reaper,
};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args[0].rsplit('/').next().is_some_and(|name| name.starts_with("agent_")) {
        return note_agent_call(&args);
    }
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "operator", name, work_dir] => {
            let operator = OPERATORS.into_iter().find(|operator| operator.name() == name);
            operator::serve(operator.expect("root or user"), work_dir.into())
        }
        [_, "actor", socket, user] => actor::serve(Path::new(socket), user == "user"),
        [_, "die"] => die(),
        [_, "reaper", owner, ref programs @ ..] => {
            let programs: Vec<PathBuf> = programs.iter().map(PathBuf::from).collect();
            reaper(owner.parse().map_err(io::Error::other)?, &programs)
        }
        _ => panic!(
            "differential operator root|user DIRECTORY, actor SOCKET root|user, reaper PID PROGRAM..., or die"
        ),
    }
}

/// Freezes a process in a group on two sides, prints everything that it has made, and kills itself.
fn die() -> io::Result<()> {
    let mut pair = kernel_pair(Profile::Freezer, &std::env::current_exe()?)?;
    let at = |path: &str| PathAt { at: BaseDir::Root, path: path.into() };
    let write = |path: &str, text: &str| {
        SideOperation::Call(Operator::Root, FileCall::Write { place: at(path), flags: 1, data: text.into() })
    };
    for side in [&mut pair.left, &mut pair.right] {
        side.begin()?;
        side.perform(&SideOperation::Act("a1".into(), Act::Start { user: false }))?;
        side.perform(&SideOperation::Call(Operator::Root, FileCall::Mkdir { place: at("g"), mode: 0o755 }))?;
        side.perform(&write("g/cgroup.procs", "{a1}"))?;
        side.perform(&write("g/freezer.state", "FROZEN"))?;
    }
    println!("{:?}", left_by(std::process::id()));
    kill(Pid::this(), Signal::SIGKILL)?;
    Ok(())
}

/// Logs a call with one write, so that calls at the same time do not mix.
fn note_agent_call(args: &[String]) -> io::Result<()> {
    let line = format!("{}\n", args[1..].join(" ").escape_debug());
    let mut log = OpenOptions::new().create(true).append(true).open(format!("{}.log", args[0]))?;
    log.write_all(line.as_bytes())
}
