//! Nothing is left after the command's end, and after penfold's own.

mod common;

use std::time::{Duration, Instant};

use common::{LiveRun, TestUser, penfold, plain, users};
use nix::sys::signal::Signal;
use penfold_testkit::{is_root, needs, skip, wait_until};

/// A tree with daemons, processes that ignore signals, stopped ones and a busy fork chain.
const TREE: &str = "
    for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM HUP INT QUIT; while :; do sleep 1; done' &); done
    (trap '' TERM; sleep 1000) &
    sh -c 'kill -STOP $$' &
    (while :; do (sleep 0.01) ; done) &
    sleep 0.2; echo ready";

fn tree(user: TestUser) -> LiveRun {
    let script = format!("{TREE} > $OUT/ready; sleep 1000");
    let run = penfold(&["pids.max=100"], &["sh", "-c", &script]).user(user);
    let scratch = run.scratch();
    let temporary = scratch.join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let run = run.env("OUT", &scratch).env("TMPDIR", &temporary);
    let running = run.start();
    wait_until("the tree is there", || scratch.join("ready").exists());
    wait_until("all of it is there", || running.processes().len() >= 9);
    running
}

#[test]
fn sigkill_of_penfold_kills_the_whole_tree_at_once() {
    needs!("setsid", "setpriv");
    for user in users() {
        let mut running = tree(user);
        running.signal(Signal::SIGKILL);
        running.wait();
        let dead = Instant::now();
        wait_until("the tree is dead", || running.processes().is_empty());
        assert!(dead.elapsed() < Duration::from_secs(5), "it took {:?}", dead.elapsed());
        let left: Vec<_> = std::fs::read_dir(running.scratch.path().join("tmp")).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn leftover_daemons_and_sigterm_ignorers_are_killed() {
    needs!("setsid", "setpriv");
    for user in users() {
        let ended = penfold(&[], &["sh", "-c", TREE]).user(user).limit(10).run().succeeded();
        assert_eq!(ended.stdout, "ready\n");
        assert!(ended.elapsed < Duration::from_secs(5), "{:?}", ended.elapsed);
    }
}

#[test]
fn sigkill_of_penfold_leaves_no_mount() {
    needs!("unshare", "sh");
    if !is_root() {
        return skip("a mount namespace needs root");
    }
    // In a mount namespace of its own, where no other process mounts. Mounts that were there before may change even
    // here: their owners can remove the directories under them, and change their options.
    let script = r#"
        mounts() { cut -d ' ' -f 1-5 /proc/self/mountinfo; }
        before=$(mounts)
        "$@" run -s pids.max=10 -- sleep 1000 &
        sleep 0.3; [ -d /proc/$! ] || exit 3; kill -KILL $!; wait $!
        "$@" run -q -- true || exit 4
        after=$(mounts)
        echo "$after" | grep -vxF "$before" && exit 5
        echo "$before" | grep -vxF "$after" |
            while read -r id parent device root point; do [ ! -e "$point" ] || exit 6; done"#;
    plain::<&str>(&[]).under(["unshare", "-m", "sh", "-c", script, "sh"]).run().succeeded();
}

#[test]
fn nothing_is_left_in_the_temporary_directory() {
    let run = penfold(&["pids.max=10"], &["true"]);
    let temporary = run.scratch().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut running = run.env("TMPDIR", &temporary).start();
    running.wait();
    assert!(std::fs::read_dir(&temporary).unwrap().next().is_none());
}

#[test]
fn run_ends_when_its_command_kills_its_own_group() {
    let ended =
        penfold(&[], &["setsid", "-w", "sh", "-c", "sleep 1000 & kill -KILL 0"]).limit(10).run().clean();
    assert_eq!(ended.code(), 128 + libc::SIGKILL);
}
