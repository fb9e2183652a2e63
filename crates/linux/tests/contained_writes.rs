//! Writes to control files while a job runs: tasks of others, rules without their filter, and a frozen start.

mod common;
mod contained;

use std::time::Duration;

use common::shell;
use contained::{EngineJob, owner, read};
use penfold_core::{
    CgroupId, Engine, Errno, MoveScope, Tid,
    host::{Capability, Host},
};
use penfold_testkit::{TempFile, is_root, skip, wait_until};

fn write_errno(
    engine: &mut Engine,
    host: &mut dyn Host,
    cgroup: CgroupId,
    name: &str,
    value: &str,
) -> Option<Errno> {
    let file = engine.find_file(cgroup, name).expect("the file is there");
    engine.session(host, &owner()).write(cgroup, file, value.as_bytes()).err().map(|error| error.errno())
}

impl EngineJob {
    /// The errno of a write, and the contents of that file and of `tasks` before and after it.
    fn refused(&self, name: &'static str, value: String) -> (Option<Errno>, [String; 2], [String; 2]) {
        let cgroup = self.cgroup;
        let answer = self.control.with_exact(move |engine, host| {
            let show = |engine: &mut Engine, host: &mut dyn Host| {
                [name, "tasks"].map(|name| read(engine, host, cgroup, name))
            };
            let before = show(engine, host);
            let errno = write_errno(engine, host, cgroup, name, &value);
            (errno, before, show(engine, host))
        });
        answer.expect("the job runs")
    }

    fn end(self) {
        let main = nix::unistd::Pid::from_raw(self.main);
        nix::sys::signal::kill(main, nix::sys::signal::Signal::SIGKILL).expect("it lives");
        assert_eq!(self.finish().status, libc::SIGKILL);
    }
}

#[test]
fn task_outside_of_the_job_is_esrch() {
    let job = EngineJob::start(&[], &["sleep", "100"]);
    // of this process, of init, and of no process
    for outside in [std::process::id().cast_signed(), 1, 4_194_304] {
        for file in ["tasks", "cgroup.procs"] {
            let (errno, before, after) = job.refused(file, outside.to_string());
            assert_eq!((errno, after), (Some(Errno::ESRCH), before), "{outside} into {file}");
        }
    }
    let (cgroup, main) = (job.cgroup, Tid(job.main));
    let own = job.control.with_exact(move |engine, host| {
        engine.session(host, &owner()).attach(cgroup, main, MoveScope::ThreadGroup).is_ok()
    });
    assert_eq!(own, Ok(true), "where its own are taken");
    job.end();
}

#[test]
fn rule_without_its_filter_is_eopnotsupp() {
    let job = EngineJob::start_with(&[], &[], &["sleep", "100"]);
    let mut rules = vec![("pids.max", "5")];
    if job.read("cpuset.cpus") != "0" {
        rules.push(("cpuset.cpus", "0"));
    }
    rules.push(("net_cls.classid", "0x10001"));
    for (file, value) in rules {
        let (errno, before, after) = job.refused(file, value.to_owned());
        assert_eq!((errno, after), (Some(Errno::EOPNOTSUPP), before), "{file}");
    }
    // a write that removes a rule needs no filter
    for (file, value) in [("pids.max", "max"), ("net_cls.classid", "0"), ("freezer.state", "THAWED")] {
        assert_eq!(job.refused(file, value.to_owned()).0, None, "{file}");
    }
    job.end();
}

#[test]
fn a_frozen_command_does_not_run_until_it_is_thawed() {
    let scratch = TempFile::new();
    let job = EngineJob::start(
        &[("freezer.state", "FROZEN")],
        &shell(&format!("echo ran > {}", scratch.path().display())),
    );
    wait_until("it is frozen", || job.read("freezer.state") == "FROZEN");
    assert_eq!(job.tasks(), [job.main]);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!((scratch.text().as_str(), job.read("freezer.state").as_str()), ("", "FROZEN"));
    job.write("freezer.state", "THAWED");
    assert_eq!(job.finish().status, 0);
    assert_eq!(scratch.text(), "ran\n");
}

#[test]
fn class_written_while_the_job_runs_marks_open_sockets() {
    if !is_root() {
        return skip("marking sockets needs CAP_NET_ADMIN");
    }
    let script = "
import socket, sys, time
mark = lambda one: one.getsockopt(socket.SOL_SOCKET, socket.SO_MARK)
old = [socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
before = list(map(mark, old))
open(sys.argv[1], 'w').write('ready')
while mark(old[1]) == 0: time.sleep(0.001)
new = socket.socket()
open(sys.argv[1], 'w').write(str([before, list(map(mark, old + [new]))]))";
    let scratch = TempFile::new();
    let argv = ["/usr/bin/python3", "-c", script, scratch.path().to_str().unwrap()];
    let job = EngineJob::start_with(&[Capability::SocketClass], &[], &argv);
    wait_until("its sockets are open", || scratch.text() == "ready");
    job.write("net_cls.classid", "0x10007");
    assert_eq!(job.finish().status, 0);
    assert_eq!(scratch.text(), "[[0, 0], [65543, 65543, 65543]]");
}
