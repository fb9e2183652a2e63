//! Shells that get signals while they fork see no failure, as they would under seccomp user notification.

mod common;

use std::process::{Child, Command};

use common::penfold;
use penfold_testkit::needs;

/// A script with 3,000 children and 100 pipelines under a CHLD trap, which dash installs without `SA_RESTART`.
const TRAPPED: &str = r#"
    trap 'caught=1' CHLD
    i=0
    while [ $i -lt 3000 ]; do (:) & i=$((i+1)); [ $((i % 50)) -eq 0 ] && wait; done
    wait
    j=0
    while [ $j -lt 100 ]; do x=$(echo $j | cat | cat); [ "$x" = $j ] || exit 1; j=$((j+1)); done
    [ "$caught" = 1 ]"#;

/// A script with children that no wait command waits for, so that a signal may come at any fork.
const UNWAITED: &str = r"
    trap 'n=$((n+1))' CHLD
    i=0
    while [ $i -lt 3000 ]; do (:) & i=$((i+1)); done
    wait
    [ $n -gt 0 ]";

fn ten_times(script: &str, least: u64) {
    for round in 1..=10 {
        let ended = penfold(&["pids.max=4000"], &["dash", "-c", script]).limit(60).run().succeeded();
        assert_eq!(ended.number("forks_refused"), 0, "round {round}");
        assert!(ended.number("tasks_created") >= least, "round {round}");
        let told = ended.stderr.lines().filter(|line| line.contains("dash:")).count();
        assert_eq!(told, 0, "round {round}: {}", ended.stderr);
    }
}

/// Two loops that keep two CPUs busy, for a minute at most.
struct Busy([Child; 2]);

impl Busy {
    fn start() -> Self {
        let busy = || {
            let script = "trap 'kill $!' TERM; while :; do :; done & wait $!";
            Command::new("timeout").args(["60", "sh", "-c", script]).spawn().expect("a busy loop")
        };
        Self([busy(), busy()])
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(child.id().cast_signed()),
                nix::sys::signal::Signal::SIGTERM,
            );
            let _ = child.wait();
        }
    }
}

#[test]
fn dash_script_with_a_chld_trap_forks_without_failure() {
    needs!("dash");
    ten_times(TRAPPED, 3301);
}

#[test]
fn dash_script_with_a_chld_trap_works_on_busy_cpus() {
    needs!("dash", "timeout");
    let _busy = Busy::start();
    ten_times(TRAPPED, 3301);
}

#[test]
fn dash_script_survives_signals_at_every_fork() {
    needs!("dash");
    ten_times(UNWAITED, 3001);
}
