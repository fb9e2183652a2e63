use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::{Finished, PENFOLD, PYTHON, Run, Running, User, eventually};

/// A `penfold serve` of the test's own, gone with it.
#[derive(Debug)]
pub struct Daemon {
    running: Running,
    socket: PathBuf,
    user: User,
}

impl Daemon {
    /// Starts it as a user and mounts hierarchies with these options.
    pub fn start(user: User, mounts: &[&str]) -> Daemon {
        let run = Run::new([PENFOLD, "serve", "--socket"]);
        let socket = run.scratch().join("control");
        let running = run.word(&socket).user(user).limit(120).start();
        eventually("the daemon listens", || UnixStream::connect(&socket).is_ok());
        let daemon = Daemon { running, socket, user };
        for options in mounts {
            daemon.mount(options);
        }
        daemon
    }

    /// Mounts a hierarchy to a name, as the daemon's user, which the socket must be told by a process of that user's.
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
        Run::new(words).user(self.user).run().succeeded();
    }

    /// A run of a verb, as the daemon's user.
    pub fn verb(&self, words: &[&str]) -> Run {
        let words = [PENFOLD].into_iter().chain(words.iter().copied());
        Run::new(words).user(self.user).env("PENFOLD_SOCKET", &self.socket)
    }

    /// Runs a verb.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Finished {
        self.verb(words).run()
    }

    /// What a verb that succeeds writes.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        self.run(words).succeeded().stdout
    }

    /// What a verb with `--json` writes.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.says(words)).expect("a JSON document")
    }

    /// A verb that is refused: exit status 1 and one line of each of these on standard error.
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

    /// Where it listens.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }
}

/// A process that sleeps, of the test's own, until dropped.
#[derive(Debug)]
pub struct Sleeper(Running);

impl Sleeper {
    pub fn start(user: User) -> Sleeper {
        let running = Run::new(["sleep", "1000"]).user(user).limit(120).start();
        let comm = format!("/proc/{}/comm", running.pid());
        eventually("it sleeps", || std::fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n"));
        Sleeper(running)
    }

    pub fn pid(&self) -> String {
        self.0.pid().to_string()
    }

    pub fn is_dead(&mut self) -> bool {
        self.0.child.try_wait().expect("wait").is_some()
    }
}
