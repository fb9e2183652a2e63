use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use penfold_testkit::{proc, wait_until};

use super::{FinishedRun, LiveRun, PENFOLD, PYTHON, TestRun, TestUser};

/// A `penfold serve` of one test, killed on drop.
#[derive(Debug)]
pub struct TestDaemon {
    running: LiveRun,
    socket: PathBuf,
    user: TestUser,
}

impl TestDaemon {
    /// Starts a daemon as a user and mounts hierarchies with these options.
    pub fn start(user: TestUser, mounts: &[&str]) -> TestDaemon {
        TestDaemon::start_with(user, &[], mounts)
    }

    /// The same, with more options of `penfold serve`.
    pub fn start_with(user: TestUser, options: &[&str], mounts: &[&str]) -> TestDaemon {
        let words = [&[PENFOLD, "serve"], options, &["--socket"]].concat();
        let run = TestRun::new(words);
        let socket = run.scratch().join("control");
        let running = run.word(&socket).user(user).limit(120).start();
        wait_until("the daemon listens", || UnixStream::connect(&socket).is_ok());
        let daemon = TestDaemon { running, socket, user };
        for options in mounts {
            daemon.mount(options);
        }
        daemon
    }

    /// Mounts a hierarchy without a path. A process of the daemon's user makes the call: no other may mount.
    pub fn mount(&self, options: &str) {
        let script = "
import json, socket, sys
control = socket.socket(socket.AF_UNIX)
control.connect(sys.argv[1])
call = {'method': 'org.penfold.Control.Mount', 'parameters': {'options': sys.argv[2]}}
control.sendall(json.dumps(call).encode() + b'\\0')
answer = json.loads(control.recv(65536).rstrip(b'\\0'))
sys.exit(str(answer) if 'error' in answer else 0)";
        let words: [std::ffi::OsString; 5] =
            [PYTHON.into(), "-c".into(), script.into(), self.socket.clone().into_os_string(), options.into()];
        TestRun::new(words).user(self.user).run().succeeded();
    }

    /// A run of a verb, as the daemon's user.
    pub fn verb(&self, words: &[&str]) -> TestRun {
        let words = [PENFOLD].into_iter().chain(words.iter().copied());
        TestRun::new(words).user(self.user).env("PENFOLD_SOCKET", &self.socket)
    }

    /// Runs a verb.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> FinishedRun {
        self.verb(words).run()
    }

    /// The standard output of a verb that must succeed.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        self.run(words).succeeded().stdout
    }

    /// The document that a verb with `--json` prints.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.says(words)).expect("a JSON document")
    }

    /// Asserts that a verb ends with 1 and prints these lines on standard error, each with these parts.
    #[track_caller]
    pub fn refuses(&self, words: &[&str], lines: &[&[&str]]) {
        let ended = self.run(words);
        assert_eq!(ended.code(), 1, "{ended:#?}");
        assert_eq!(ended.stderr.lines().count(), lines.len(), "{ended:#?}");
        for (line, parts) in ended.stderr.lines().zip(lines) {
            assert!(
                line.starts_with("penfold: ") && parts.iter().all(|part| line.contains(part)),
                "{ended:#?}"
            );
        }
    }

    /// The path of the socket.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }
}

/// A sleeping process of one test, killed on drop.
#[derive(Debug)]
pub struct Sleeper(LiveRun);

impl Sleeper {
    pub fn start(user: TestUser) -> Sleeper {
        let running = TestRun::new(["sleep", "1000"]).user(user).limit(120).start();
        wait_until("it sleeps", || proc::command(running.pid().as_raw()) == "sleep");
        Sleeper(running)
    }

    pub fn pid(&self) -> String {
        self.0.pid().to_string()
    }

    pub fn is_dead(&mut self) -> bool {
        self.0.child.try_wait().expect("wait").is_some()
    }
}
