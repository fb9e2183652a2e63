//! `-s release_agent=PROGRAM -s notify_on_release=1`: the agent runs when the job's last task is gone.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{TestRun, penfold, users};
use penfold_testkit::{needs, wait_until};

/// Writes an agent that records its arguments, directory, input and environment in one file.
fn agent(directory: &Path) -> PathBuf {
    let script = format!(
        "#!/bin/sh\n{{ echo \"$#\" \"$@\"; pwd; cat; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort; }} > {0}/told.new\n\
        mv {0}/told.new {0}/told\n",
        directory.display()
    );
    let path = directory.join("agent");
    std::fs::write(&path, script).expect("write the agent");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("make it a program");
    path
}

/// A run of `exit 3` with an agent in the scratch directory, and with further options.
fn with_agent(options: &[&str], notify: &str) -> (TestRun, PathBuf) {
    let run = penfold(&[notify, "pids.max=10"], &["sh", "-c", "(:); exit 3"]).options(options);
    let scratch = run.scratch();
    let setting = format!("release_agent={}", agent(&scratch).display());
    (run.options(&["-s", &setting]), scratch)
}

#[test]
fn release_agent_runs_after_the_command_has_ended() {
    needs!("setpriv");
    for user in users() {
        for (options, path) in [(&[][..], "/job"), (&["-g", "build/tests"], "/build/tests")] {
            let (run, scratch) = with_agent(options, "notify_on_release=1");
            let mut running = run.user(user).start();
            assert_eq!(running.wait().code(), Some(3), "the command's own");
            // penfold does not wait for the agent
            wait_until("the agent has run", || scratch.join("told").exists());
            let told = std::fs::read_to_string(scratch.join("told")).unwrap();
            assert_eq!(told, format!("1 {path}\n/\nHOME=/\nPATH=/sbin:/bin:/usr/sbin:/usr/bin\n"));
            assert!(!running.finish().clean().stderr.contains("warning"));
        }
    }
}

#[test]
fn release_agent_runs_only_with_notify_on_release() {
    let (run, scratch) = with_agent(&[], "notify_on_release=0");
    let mut running = run.start();
    assert_eq!(running.wait().code(), Some(3));
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!scratch.join("told").exists() && !scratch.join("told.new").exists());
    assert_eq!(running.finish().clean().code(), 3);
}

#[test]
fn release_agent_that_can_not_run_is_a_warning() {
    let settings = ["release_agent=/nonexistent/agent", "notify_on_release=1"];
    let ended = penfold(&settings, &["sh", "-c", "exit 3"]).run().clean();
    assert_eq!(ended.code(), 3);
    let warning = "penfold: warning: release agent /nonexistent/agent: No such file or directory";
    assert!(ended.stderr.lines().any(|line| line.starts_with(warning)), "{}", ended.stderr);
}
