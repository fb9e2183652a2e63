//! The shared part of the program's tests: runs with a watchdog, and a search for processes that are left behind.
#![allow(dead_code, unused_imports, unreachable_pub)] // each test file uses its part

mod kernel;
mod module_dir;
mod private_dir;
mod test_daemon;

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_testkit::{TempDir, copy_program, is_root, proc, retry};
use serde_json::Value;

pub use kernel::KernelGroup;
pub use module_dir::ModuleDir;
pub use private_dir::PrivateDir;
pub use test_daemon::{Sleeper, TestDaemon};

/// The program under test.
pub const PENFOLD: &str = env!("CARGO_BIN_EXE_penfold");

/// Not the version manager's script of the same name, which forks a dozen times first.
pub const PYTHON: &str = "/usr/bin/python3";

/// A variable in the environment of every process of a run, by which escaped processes are found.
pub const MARK: &str = "PENFOLD_TEST_RUN";

/// A user without any right.
pub const NOBODY: u32 = 65534;

/// The words before a command that is to run as [`NOBODY`].
pub const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// The program under test where every user can execute it: the build directory may be readable by its owner only.
pub fn for_everybody(scratch: &TempDir) -> PathBuf {
    let copy = scratch.path().join("penfold");
    if !copy.exists() && std::fs::hard_link(PENFOLD, &copy).is_err() {
        copy_program(Path::new(PENFOLD), &copy);
    }
    copy
}

/// `raw_clone(flags)`: the system call itself, on the caller's stack.
pub const CLONE: &str = r#"
    static long raw_clone(unsigned long flags) {
        long result;
        register long r10 __asm__("r10") = 0; register long r8 __asm__("r8") = 0;
        __asm__ volatile("syscall" : "=a"(result) : "0"(56L), "D"(flags), "S"(0L), "d"(0L), "r"(r10), "r"(r8)
            : "rcx", "r11", "memory");
        return result;
    }
"#;

/// Whether this machine has two CPUs, so that pinning to CPU 0 would show.
pub fn two_cpus() -> bool {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).expect("affinity");
    let there = |cpu| allowed.is_set(cpu).unwrap_or(false);
    if !(there(0) && there(1)) {
        penfold_testkit::skip("CPUs 0 and 1 are not both ours");
    }
    there(0) && there(1)
}

/// The user of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestUser {
    Same,
    Nobody,
}

/// The user of the tests, and also a user without privilege if the tests run as root.
pub fn users() -> Vec<TestUser> {
    if is_root() { vec![TestUser::Same, TestUser::Nobody] } else { vec![TestUser::Same] }
}

/// The text without its lines about slow modules: on a busy machine every callback may be slow.
pub fn without_slowness(stderr: &str) -> String {
    let is_slowness = |line: &str| {
        line.trim_start().starts_with("WARN ")
            && (line.contains("; it may take ") || line.contains(" and goes on"))
    };
    stderr.split_inclusive('\n').filter(|line| !is_slowness(line)).collect()
}

/// A command to run, usually penfold.
#[derive(Debug)]
pub struct TestRun {
    words: Vec<OsString>,
    user: TestUser,
    limit: Duration,
    input: Vec<u8>,
    environment: Vec<(OsString, OsString)>,
    mark: String,
    scratch: TempDir,
}

/// A run that is under way. All its processes are killed on drop, and when its time is over.
#[derive(Debug)]
pub struct LiveRun {
    pub child: Child,
    pub scratch: TempDir,
    mark: String,
    began: Instant,
    limit: Duration,
    stdout: CapturedOutput,
    stderr: CapturedOutput,
    ended: bool,
}

/// A run that has ended.
#[derive(Debug)]
pub struct FinishedRun {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
    json: Option<String>,
    /// The command names of the processes that the run has left behind.
    pub left: Vec<String>,
}

/// `penfold run` with these settings and this command, and a report as JSON.
pub fn penfold<S: AsRef<OsStr>>(settings: &[&str], command: &[S]) -> TestRun {
    let mut run = TestRun::new([PENFOLD, "run"]);
    run.words.push("--json".into());
    run.words.push(run.scratch.path().join("report.json").into());
    for setting in settings {
        run.words.extend(["-s".into(), OsString::from(setting)]);
    }
    run.words.push("--".into());
    run.words.extend(command.iter().map(|word| word.as_ref().to_owned()));
    run
}

/// `penfold` with just these arguments.
pub fn plain<S: AsRef<OsStr>>(arguments: &[S]) -> TestRun {
    let words = [OsString::from(PENFOLD)].into_iter();
    TestRun::new(words.chain(arguments.iter().map(|word| word.as_ref().to_owned())))
}

pub fn shell(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

pub fn python(script: &str) -> [&str; 3] {
    [PYTHON, "-c", script]
}

impl TestRun {
    pub fn new<S: Into<OsString>>(words: impl IntoIterator<Item = S>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            words: words.into_iter().map(Into::into).collect(),
            user: TestUser::Same,
            limit: Duration::from_mins(1),
            input: Vec::new(),
            environment: Vec::new(),
            mark: format!("{}-{number}", std::process::id()),
            scratch: TempDir::open_to_all(),
        }
    }

    /// Puts the run behind another program, such as `strace -f`.
    pub fn under<S: Into<OsString>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.words.splice(0..0, words.into_iter().map(Into::into));
        self
    }

    /// More options of `penfold run`, before those that are there.
    pub fn options(mut self, options: &[&str]) -> Self {
        let at = 1 + self.words.iter().position(|word| word == "run").expect("a run");
        self.words.splice(at..at, options.iter().map(OsString::from));
        self
    }

    /// One more word at the end.
    pub fn word(mut self, word: impl Into<OsString>) -> Self {
        self.words.push(word.into());
        self
    }

    pub fn user(mut self, user: TestUser) -> Self {
        self.user = user;
        self
    }

    pub fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    pub fn input(mut self, input: &[u8]) -> Self {
        self.input = input.to_vec();
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A directory that every user can write to, removed after the run.
    pub fn scratch(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }

    pub fn start(mut self) -> LiveRun {
        if self.user == TestUser::Nobody {
            let copy = for_everybody(&self.scratch);
            for word in self.words.iter_mut().filter(|word| *word == PENFOLD) {
                *word = copy.clone().into();
            }
            self = self.under(AS_NOBODY);
        }
        let mut child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .env(MARK, &self.mark)
            .envs(self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.words));
        let mut stdin = child.stdin.take().expect("piped");
        let input = self.input;
        thread::spawn(move || stdin.write_all(&input));
        let stdout = CapturedOutput::of(child.stdout.take().expect("piped"));
        let stderr = CapturedOutput::of(child.stderr.take().expect("piped"));
        LiveRun {
            child,
            scratch: self.scratch,
            mark: self.mark,
            began: Instant::now(),
            limit: self.limit,
            stdout,
            stderr,
            ended: false,
        }
    }

    pub fn run(self) -> FinishedRun {
        self.start().finish()
    }
}

/// The output of a run, collected as it comes.
#[derive(Debug)]
struct CapturedOutput {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl CapturedOutput {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                read.lock().expect("no reader panics").extend(&piece[..length]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("an output");
        }
        self.so_far()
    }
}

impl LiveRun {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the run is alive");
    }

    /// The standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// The standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// All living processes of the run but the first.
    pub fn processes(&self) -> Vec<Pid> {
        marked(&self.mark).into_iter().filter(|pid| *pid != self.pid()).collect()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let left = self.limit.saturating_sub(self.began.elapsed());
        let waited = retry(left, || self.child.try_wait().expect("wait for the run").ok_or(()));
        let Ok(status) = waited else {
            self.kill_all();
            panic!("not within {:?}: {:?}", self.limit, self.child);
        };
        self.ended = true;
        status
    }

    pub fn finish(mut self) -> FinishedRun {
        let status = self.wait();
        let elapsed = self.began.elapsed();
        let left = marked(&self.mark).into_iter().map(|pid| proc::command(pid.as_raw())).collect();
        self.kill_all();
        let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
        let json = std::fs::read_to_string(self.scratch.path().join("report.json")).ok();
        FinishedRun { status, stdout, stderr, elapsed, json, left }
    }

    /// Kills every process of the run, found by its environment. A fork bomb outruns one search, so there are many.
    fn kill_all(&mut self) {
        for _ in 0..100 {
            let living = marked(&self.mark);
            if living.is_empty() {
                break;
            }
            for pid in living {
                let _ = kill(pid, Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        if !self.ended {
            self.kill_all();
            let _ = self.child.wait();
        }
    }
}

fn marked(mark: &str) -> Vec<Pid> {
    proc::with_environment(&format!("{MARK}={mark}")).into_iter().map(Pid::from_raw).collect()
}

impl FinishedRun {
    /// The exit code. Panics if a signal has ended the run.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("killed by {:?}: {self:?}", self.status.signal()))
    }

    /// Asserts that the run has exited with 0 and left no process behind.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self.clean()
    }

    /// Asserts that the run has left no process behind.
    #[track_caller]
    pub fn clean(self) -> Self {
        assert!(self.left.is_empty(), "left behind: {:?}", self.left);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.json.as_deref().unwrap_or_else(|| panic!("no JSON: {self:#?}"));
        serde_json::from_str(text).expect("valid JSON")
    }

    /// A number of the report.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.json()[name].as_u64().unwrap_or_else(|| panic!("{name} in {:#}", self.json()))
    }

    /// The content of a control file at the end, from the report.
    #[track_caller]
    pub fn file(&self, name: &str) -> String {
        let json = self.json();
        json["files"][name].as_str().unwrap_or_else(|| panic!("{name} in {json:#}")).to_owned()
    }

    /// User and system time in seconds, from the report.
    #[track_caller]
    pub fn times(&self) -> (f64, f64) {
        let json = self.json();
        (json["user_seconds"].as_f64().unwrap(), json["system_seconds"].as_f64().unwrap())
    }
}
