//! A daemon in this process, real clients, and clients of another user.
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports)] // each test file uses its part

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use penfold_linux::trace::AtEnd;
use penfold_server::address::Address;
use penfold_server::connection::{CallError, Connection};
use penfold_server::control::Limits;
use penfold_server::daemon::{Config, Daemon};
use penfold_server::protocol::{
    ListCall, Method, MkdirCall, MountCall, ReadCall, SetOwnerCall, TasksCall, WriteCall,
};

#[path = "../hosts/mod.rs"]
mod hosts;

pub use hosts::HostKind;
pub(crate) use hosts::on_each_host;

pub const NOBODY: u32 = 65534;

pub struct World {
    pub directory: PathBuf,
    daemon: Option<Daemon>,
}

impl World {
    pub fn start(host: HostKind) -> World {
        World::with(host, Limits::default())
    }

    /// A daemon with all controllers mounted together.
    pub fn with(host: HostKind, limits: Limits) -> World {
        let world = World::empty(host, limits);
        world.call(&MountCall { options: "all,clone_children".into(), ..MountCall::default() });
        world
    }

    pub fn empty(host: HostKind, limits: Limits) -> World {
        let directory = new_directory();
        let address = Address::Path(directory.join("control"));
        let config = Config { address, at_end: AtEnd::Kill, limits };
        let daemon = Daemon::start(config, |on_change| host.start(on_change)).expect("a daemon");
        World { directory, daemon: Some(daemon) }
    }

    /// A daemon without hierarchies. It keeps a journal, and its members run on when it ends.
    pub fn keeping(host: HostKind) -> World {
        let mut world = World { directory: new_directory(), daemon: None };
        world.begin(host);
        world
    }

    /// Starts the next daemon, which restores the state of the one that [`World::keeping`] started.
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
        self.daemon = Some(prepared.serve(None, Vec::new()).expect("it serves"));
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    pub fn stop(&mut self) {
        self.daemon.take().expect("it runs").stop();
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
            // another process copies: a child that is forked here meanwhile would keep the file open for writing
            let copied = Command::new("cp").arg(built).arg(&fresh).status().expect("cp");
            assert!(copied.success(), "the example is built with the tests");
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).expect("its mode");
            fs::rename(fresh, &program).expect("its name");
        }
        let mut command = Command::new(program);
        command.arg(self.socket()).arg(format!("org.penfold.Control.{method}")).arg(parameters);
        command
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn new_directory() -> PathBuf {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("penfold-server-{}-{number}", std::process::id()))
}

/// A sleeping process of a user. Drop kills it.
pub struct Stranger(pub Child);

impl Stranger {
    pub fn sleeping(uid: u32) -> Stranger {
        let child = Command::new("sleep").arg("1000").uid(uid).spawn().expect("sleep");
        wait_until("it sleeps", || command_of(child.id() as i32) == "sleep");
        Stranger(child)
    }

    pub fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn command_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// True if there is such a process and it is no zombie.
pub fn lives(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

pub fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !reached() {
        assert!(Instant::now() < deadline, "not reached in 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// True, after a note that the test is skipped, if this process is not root's.
pub fn not_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: this needs root");
    }
    !root
}
