//! A daemon in this process, real clients, and clients of another user.
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports)] // each test file uses its part

use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use penfold_linux::trace::AtEnd;
use penfold_server::address::Address;
use penfold_server::connection::{CallError, Connection};
use penfold_server::control::Limits;
use penfold_server::daemon::{Config, Daemon};
use penfold_server::protocol::{
    ListCall, Method, MkdirCall, MountCall, ReadCall, SetOwnerCall, TasksCall, WriteCall,
};
use penfold_testkit::{TempDir, copy_program, is_root, skip, wait_until};

#[path = "../hosts/mod.rs"]
mod hosts;

pub use hosts::HostKind;
pub(crate) use hosts::on_each_host;

pub const NOBODY: u32 = 65534;

/// A daemon in this process. Drop stops it.
pub struct InProcessDaemon {
    pub directory: TempDir,
    running: Option<Daemon>,
}

impl InProcessDaemon {
    pub fn start(host: HostKind) -> InProcessDaemon {
        InProcessDaemon::with(host, Limits::default())
    }

    /// A daemon with all controllers mounted together.
    pub fn with(host: HostKind, limits: Limits) -> InProcessDaemon {
        let daemon = InProcessDaemon::empty(host, limits);
        daemon.call(&MountCall { options: "all,clone_children".into(), ..MountCall::default() });
        daemon
    }

    pub fn empty(host: HostKind, limits: Limits) -> InProcessDaemon {
        let directory = TempDir::new();
        let address = Address::Path(directory.join("control"));
        let config = Config { address, at_end: AtEnd::Kill, limits };
        let daemon = Daemon::start(config, |on_change| host.start(on_change)).expect("a daemon");
        InProcessDaemon { directory, running: Some(daemon) }
    }

    /// A daemon without hierarchies. It keeps a journal, and its members run on when it ends.
    pub fn keeping(host: HostKind) -> InProcessDaemon {
        let mut daemon = InProcessDaemon { directory: TempDir::new(), running: None };
        daemon.begin(host);
        daemon
    }

    /// Starts the next daemon, which restores the state of the one that [`InProcessDaemon::keeping`] started.
    pub fn begin(&mut self, host: HostKind) {
        let address = Address::Path(self.socket());
        let config = Config { address, at_end: AtEnd::Leave, limits: Limits::default() };
        let prepare = || Daemon::prepare(config.clone(), |on_change| host.start(on_change)).ok();
        // a child that another test forks has copies of both locks until it executes its program
        let mut prepared = None;
        wait_until("the socket is free", || {
            prepared = prepare();
            prepared.is_some()
        });
        let mut prepared = prepared.expect("it was prepared");
        wait_until("the directory is free", || prepared.restore(&self.directory.join("state")).is_ok());
        self.running = Some(prepared.serve(None, Vec::new()).expect("it serves"));
    }

    pub fn running(&self) -> &Daemon {
        self.running.as_ref().expect("it runs")
    }

    pub fn stop(&mut self) {
        self.running.take().expect("it runs").stop();
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join("control")
    }

    pub fn connect(&self) -> Connection {
        let connection = Connection::connect(&Address::Path(self.socket())).expect("it listens");
        connection.set_timeout(Some(Duration::from_mins(1))).expect("a timeout");
        connection
    }

    pub fn stream(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
        stream
    }

    pub fn try_call<M: Method>(&self, call: &M) -> Result<M::Reply, CallError> {
        self.connect().call(call)
    }

    pub fn call<M: Method>(&self, call: &M) -> M::Reply {
        self.try_call(call).unwrap_or_else(|error| panic!("{}: {error}", M::NAME))
    }

    /// The errno that a call is refused with.
    pub fn refused<M: Method>(&self, call: &M) -> String {
        match self.try_call(call) {
            Err(CallError::Refused(failure)) => failure.errno_name(),
            Err(other) => panic!("{}: {other}", M::NAME),
            Ok(_) => "nothing".to_owned(),
        }
    }

    pub fn mkdir(&self, cgroup: &str) {
        self.call(&MkdirCall { cgroup: cgroup.into(), ..MkdirCall::default() });
    }

    pub fn read(&self, cgroup: &str, file: &str) -> String {
        self.call(&ReadCall { cgroup: cgroup.into(), file: file.into() }).content
    }

    pub fn write(&self, cgroup: &str, file: &str, content: &str) {
        self.call(&WriteCall { cgroup: cgroup.into(), file: file.into(), content: content.into() });
    }

    pub fn give(&self, cgroup: &str, uid: u32) {
        let uid = Some(i64::from(uid));
        self.call(&SetOwnerCall { cgroup: cgroup.into(), uid, ..SetOwnerCall::default() });
    }

    pub fn names(&self, top: &str) -> Vec<String> {
        let call = ListCall { cgroup: top.into(), recursive: Some(true), ..ListCall::default() };
        self.call(&call).cgroups.into_iter().map(|cgroup| cgroup.path).collect()
    }

    pub fn processes(&self, cgroup: &str) -> Vec<i32> {
        let tasks = self.call(&TasksCall { cgroup: cgroup.into(), ..TasksCall::default() }).tasks;
        tasks.into_iter().map(|task| task.process as i32).collect()
    }

    /// The answer to a call of another user.
    pub fn as_user(&self, uid: u32, method: &str, parameters: &str) -> String {
        let output = self.client(method, parameters).uid(uid).gid(uid).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("JSON")
    }

    /// The example client, where every user can execute it.
    pub fn client(&self, method: &str, parameters: &str) -> Command {
        let program = self.directory.join("call");
        if !program.exists() {
            let own = std::env::current_exe().expect("a path");
            let built = own.parent().and_then(Path::parent).expect("target/debug").join("examples/call");
            let fresh = self.directory.join(format!("call-{:?}", std::thread::current().id()));
            copy_program(&built, &fresh);
            fs::rename(fresh, &program).expect("its name");
        }
        let mut command = Command::new(program);
        command.arg(self.socket()).arg(format!("org.penfold.Control.{method}")).arg(parameters);
        command
    }
}

impl Drop for InProcessDaemon {
    fn drop(&mut self) {
        if let Some(daemon) = self.running.take() {
            daemon.stop();
        }
    }
}

/// Whether this process is root's. If it is not, the test is skipped.
pub fn has_root() -> bool {
    let root = is_root();
    if !root {
        skip("this needs root");
    }
    root
}
