//! A mount namespace with a daemon, in which mount(8) knows penfold. Nothing of the namespace outlives the test.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::PENFOLD;
use penfold_testkit::{PATIENCE, TempDir, has_program, is_root, retry, skip};

/// The script that prepares a namespace.
///
/// The helpers of mount(8) go into a copy of /usr/sbin that only this namespace sees, and a program that waits keeps
/// the namespace alive.
const FOUNDATION: &str = r#"
set -e
mount --make-rprivate /
mkdir "$0/sbin"
mount --bind /usr/sbin "$0/sbin"
mount -t tmpfs helpers /usr/sbin
for program in "$0"/sbin/*; do ln -s "$program" /usr/sbin/; done
mount -t tmpfs cgroup_root /sys/fs/cgroup
echo ready
exec sleep 1000
"#;

/// A private mount namespace. On drop all its processes are killed, and its mounts go with them.
pub(crate) struct MountNamespace {
    scratch: TempDir,
    holder: Child,
    daemon: Option<Child>,
    started: Vec<Child>,
}

/// A program that has ended, with its outputs as text.
pub(crate) struct ProgramResult {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    what: String,
}

impl ProgramResult {
    fn new(command: &Command, output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            what: format!("{command:?}"),
        }
    }

    /// The result of a program whose outputs were collected together.
    pub(crate) fn of(code: i32, said: String, what: String) -> Self {
        Self { code, stdout: said, stderr: String::new(), what }
    }

    /// The standard output of a program that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.code == 0, "{}: {}\n{}{}", self.what, self.code, self.stdout, self.stderr);
        self.stdout
    }

    /// The message of a program that must have failed: its standard error, or all output if collected together.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert!(self.code != 0, "{}: succeeded\n{}{}", self.what, self.stdout, self.stderr);
        if self.stderr.is_empty() { self.stdout } else { self.stderr }
    }
}

/// The path of the preload library. It is built here, since cargo does not build the library for tests of the program.
pub(crate) fn preload_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "penfold-preload"]);
        assert!(build.status().expect("run cargo").success());
        // target/PROFILE/penfold
        let directory =
            Path::new(PENFOLD).ancestors().nth(2).expect("the directory of the build").join("debug");
        directory.join("libpenfold_preload.so").canonicalize().expect("the library")
    })
}

impl MountNamespace {
    /// Makes a namespace with a daemon. `None`, with a printed reason, without root or /dev/fuse.
    pub(crate) fn new() -> Option<Self> {
        Self::foundation()
            .map(|namespace| if Self::is_kernels() { namespace } else { namespace.with_daemon() })
    }

    /// Whether the kernel's own cgroup v1 answers instead of penfold, to check that the tests expect the right answers.
    pub(crate) fn is_kernels() -> bool {
        std::env::var("PENFOLD_SESSIONS").as_deref() == Ok("kernel")
    }

    fn foundation() -> Option<Self> {
        if !is_root() || !Path::new("/dev/fuse").exists() || !has_program("nsenter") {
            skip("mount namespaces need root, the file view /dev/fuse");
            return None;
        }
        let scratch = TempDir::open_to_all();
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", FOUNDATION])
            .arg(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("run unshare");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).expect("a line");
        assert_eq!(said, "ready\n", "the namespace could not be made");
        Some(Self { scratch, holder, daemon: None, started: Vec::new() })
    }

    fn with_daemon(mut self) -> Self {
        let log = fs::File::create(self.scratch.path().join("log")).expect("a log");
        let mut daemon = self.command(PENFOLD);
        daemon.args(["serve", "--socket"]).arg(self.socket());
        daemon.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log).process_group(0);
        self.daemon = Some(daemon.spawn().expect("run the daemon"));
        let connect = || std::os::unix::net::UnixStream::connect(self.socket());
        let connected = retry(PATIENCE, connect);
        assert!(connected.is_ok(), "no daemon:\n{}", self.log());
        self.run(PENFOLD, ["install-helpers"]).ok();
        self
    }

    fn socket(&self) -> PathBuf {
        self.scratch.path().join("control")
    }

    /// A directory for the test, removed afterwards.
    pub(crate) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The daemon's log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// A command that will run in this namespace.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg("--").arg(program);
        command.current_dir("/").env("PENFOLD_SOCKET", self.socket()).env_remove("XDG_RUNTIME_DIR");
        command.env("PENFOLD_PRELOAD", preload_library());
        command
    }

    /// Runs a command to its end, within half a minute.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
    ) -> ProgramResult {
        let mut command = self.command("timeout");
        command.args(["--kill-after=1", "30"]).arg(program).args(arguments);
        let output = command.stdin(Stdio::null()).output().expect("run nsenter");
        ProgramResult::new(&command, output)
    }

    /// Runs a script that must succeed, and returns its output.
    #[track_caller]
    pub(crate) fn script(&self, script: &str) -> String {
        self.run("sh", ["-ec", script]).ok()
    }

    /// Starts a program that goes on; it is killed at the end of the test.
    pub(crate) fn start<S: AsRef<OsStr>>(&mut self, words: impl IntoIterator<Item = S>) -> Pid {
        let mut command = self.command("setsid");
        let child = command.args(words).stdin(Stdio::null()).spawn().expect("run nsenter");
        let pid = Pid::from_raw(child.id().cast_signed());
        self.started.push(child);
        pid
    }

    /// Mounts a hierarchy below /sys/fs/cgroup with mount(8), and returns the mount point.
    pub(crate) fn mount(&self, name: &str, options: &str) -> String {
        let point = format!("/sys/fs/cgroup/{name}");
        self.script(&format!("mkdir {point}; mount -t cgroup -o {options} {name} {point}"));
        point
    }

    /// The mount point of penfold's texts for /proc.
    pub(crate) fn proc(&self) -> String {
        if Self::is_kernels() {
            return "/proc".to_owned();
        }
        let point = self.scratch.path().join("proc").display().to_string();
        if !Path::new(&point).exists() {
            self.script(&format!("mkdir {point}; {PENFOLD} mount -t proc {point}"));
        }
        point
    }

    /// A file as a program in this namespace reads it, without the newline at the end.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        self.run("cat", [path]).ok().trim_end().to_owned()
    }
}

impl Drop for MountNamespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.log());
        }
        for child in &mut self.started {
            let _ = child.kill();
        }
        if let Some(daemon) = &mut self.daemon {
            let pid = Pid::from_raw(daemon.id().cast_signed());
            let _ = kill(pid, Signal::SIGTERM);
            let ended = retry(Duration::from_secs(5), || daemon.try_wait().transpose().ok_or(()));
            if ended.is_err() {
                let _ = daemon.kill();
                let _ = daemon.wait();
            }
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        for child in &mut self.started {
            let _ = child.wait();
        }
    }
}
