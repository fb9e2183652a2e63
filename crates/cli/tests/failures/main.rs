//! Every verb and how it fails: the exit status and the whole of standard error.

#[path = "../common/mod.rs"]
mod common;
mod other_daemons;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{PENFOLD, TestDaemon, TestUser};
use penfold_core::ErrorKind;

/// For each call the exit status and the lines on standard error, without `penfold: `.
///
/// WORK is a directory of the test, `@` before a call stands for a socket where no daemon listens.
const FAILURES: &str = include_str!("table.txt");

/// A daemon with some cgroups, and a directory with files that are no programs and tools by their names.
struct FailureBench {
    daemon: TestDaemon,
    work: PathBuf,
}

impl FailureBench {
    fn new() -> FailureBench {
        let daemon = TestDaemon::start(TestUser::Same, &["pids,cpuset,freezer,cpuacct,clone_children"]);
        let work = daemon.socket().parent().expect("a directory").to_owned();
        for cgroup in ["/a", "/a/taken", "/full", "/full/inner"] {
            daemon.says(&["mkdir", cgroup]);
        }
        fs::write(work.join("plain"), "no program").expect("a file");
        fs::create_dir(work.join("tools")).expect("a directory");
        for tool in ["cgclassify", "cgcreate", "cgdelete", "cgexec", "cgget", "cgset", "lscgroup", "penfold"]
        {
            symlink(PENFOLD, work.join("tools").join(tool)).expect("a symbolic link");
        }
        FailureBench { daemon, work }
    }

    /// Runs one line of the table. Returns exit status and standard error, with WORK for the directory.
    fn run(&self, line: &str) -> (i32, String) {
        let work = self.work.to_str().expect("UTF-8");
        let (mark, words) = line.split_once(' ').expect("a mark and words");
        let mut words = words.split_whitespace().map(|word| word.replace("WORK", work));
        let socket = if mark == "@" { self.work.join("nobody") } else { self.daemon.socket().to_owned() };
        let program = self.work.join("tools").join(words.next().expect("a program"));
        let output = Command::new("timeout")
            .arg("60")
            .arg(program)
            .args(words)
            .env("PENFOLD_SOCKET", socket)
            .env("PENFOLD_LOG", "off")
            .env("PATH", "/usr/bin:/bin")
            .env_remove("PENFOLD_MODULES")
            .env_remove("PENFOLD_JOB")
            .current_dir(&self.work)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let text = String::from_utf8(output.stderr).expect("UTF-8").replace(work, "WORK");
        (output.status.code().expect("it exits"), text)
    }
}

/// Checks `SUBJECT: what is wrong; what to do [ERRNO]`, each name once.
fn check_form(message: &str) {
    let (rest, errno) = message.strip_suffix(']').and_then(|rest| rest.rsplit_once(" [")).expect(message);
    let (subject, detail) = rest.split_once(": ").expect(message);
    assert!(errno.starts_with('E') && !rest.contains(errno), "{message}");
    let joins = |c: char| c.is_alphanumeric() || "._=/:-".contains(c);
    let mut words = detail.split(|c: char| !joins(c)).map(|word| word.trim_end_matches(':'));
    assert!(words.all(|word| word != subject), "the subject is named twice: {message}");
}

#[test]
fn each_failure_has_its_exit_status_and_one_line() {
    let bench = FailureBench::new();
    let mut lines = FAILURES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    let mut wrong = String::new();
    while let Some(call) = lines.next() {
        let (mut code, mut text) = (None, String::new());
        while let Some(line) = lines.next_if(|line| !line.starts_with(['$', '@'])) {
            let (status, message) = line.split_once(' ').expect("an exit status and a message");
            code = Some(status.parse::<i32>().expect("an exit status"));
            check_form(message);
            let _ = writeln!(text, "penfold: {message}");
        }
        let expected = (code.expect("what happens"), text);
        let ended = bench.run(call);
        if ended != expected {
            let _ = writeln!(wrong, "{call}\n  is {ended:?}\n  not {expected:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn manual_has_every_kind_and_exit_status() {
    let manual =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md")).expect("the manual");
    let rows = |first: &str| manual.lines().filter(|line| line.starts_with(&format!("| {first} |"))).count();
    for kind in ErrorKind::ALL {
        assert_eq!(rows(&format!("`{}`", kind.name())), 1, "{kind:?}");
    }
    for status in ["0", "1", "125", "126", "127"] {
        assert_eq!(rows(status), 1, "{status}");
    }
}
