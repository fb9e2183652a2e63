//! Daemon, mount and reader in one user namespace or in several: ids, rights and task numbers are right in each.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::for_everybody;
use penfold_testkit::{TempDir, is_root, needs, skip};

/// Functions for the scripts. `as_user` is an ordinary user. `alone` is `unshare -rm` of that user, `alone_same_mounts`
/// the same without a mount namespace. `container` has the map of a rootless container: the user is root there.
const FRAME: &str = r#"
set -u
F=$(mktemp -d); mknod "$F/fuse" c 10 229; chmod 666 "$F/fuse"; mount --bind "$F/fuse" /dev/fuse; rm -r "$F"
W=$(mktemp -d); chmod 777 "$W"; cd "$W"; mkdir m; chown 1000:1000 m
trap 'umount -l m 2>/dev/null; kill $(cat daemon) 2>/dev/null; wait; cd /; rm -rf "$W"' EXIT
export W PENFOLD_SOCKET=$W/socket
as_user() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
alone() { as_user unshare -rm "$@"; }
alone_same_mounts() { as_user unshare -r "$@"; }
container() {
    rm -f "$W/go"; mkfifo -m 666 "$W/go"
    # not by the function: its process has to be this namespace's first
    setpriv --reuid 1000 --regid 1000 --clear-groups unshare -Um bash -c 'read -r _ < "$W/go"; exec setpriv --reuid 0 --regid 0 --clear-groups "$@"' bash "$@" & C=$!
    until [ "$(readlink /proc/$C/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
    # the kernel takes a map in one write only, and printf writes line by line
    printf '0 1000 1\n1 100000 65536\n' > map; cat map > /proc/$C/uid_map; cat map > /proc/$C/gid_map
    echo > "$W/go"; wait $C
}
daemon() {
    $P serve --no-state --log error & echo $! > "$W/daemon"
    for i in $(seq 200); do $P hierarchies >/dev/null 2>&1 && break; sleep 0.05; done
}
owner() { stat -c %u:%g:%a "$@"; }
# every operation of an ordinary user of a view
use_view() {
    use_files; use_tasks; remove
}
use_files() {
    owner m m/tasks; mkdir m/g && owner m/g; echo 3 > m/g/pids.max; cat m/g/pids.max
    { echo 5 > m/g/pids.current; } 2>/dev/null || echo read-only
}
use_tasks() {
    bash -c 'echo $$ > m/g/tasks; grep -qx $$ m/g/tasks && echo listed'
    bash -c 'echo 0 > m/g/tasks; grep -qx $$ m/g/tasks && echo itself'
    dash -c 'echo $$ > m/g/tasks; sleep 1 & sleep 1 & sleep 1 & wait' 2>&1
}
remove() {
    until rmdir m/g 2>/dev/null; do sleep 0.05; done; [ -e m/g ] || echo removed
}
export -f as_user alone container daemon owner use_view use_files use_tasks remove
"#;

/// The lines of `use_files` where `owner` owns the view and makes directories.
fn files(owner: u32) -> Vec<String> {
    let owned = [755, 644, 755].map(|mode| format!("{owner}:{owner}:{mode}"));
    owned.into_iter().chain(["3", "read-only"].map(str::to_owned)).collect()
}

/// The lines of `use_view`.
fn used(owner: u32) -> Vec<String> {
    let tasks = ["listed", "itself", "dash: 0: Cannot fork", "removed"];
    files(owner).into_iter().chain(tasks.map(str::to_owned)).collect()
}

/// The lines that a script prints; `None` where the test can't run.
fn play(script: &str) -> Option<Vec<String>> {
    if !is_root() || !Path::new("/dev/fuse").exists() {
        skip("root and /dev/fuse are needed to mount");
        return None;
    }
    let scratch = TempDir::open_to_all();
    let output = Command::new("timeout")
        .args(["60", "unshare", "-m", "bash", "-c", &format!("{FRAME}{script}")])
        .env("P", for_everybody(&scratch))
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null())
        .output()
        .expect("bash and unshare");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stderr}", String::from_utf8_lossy(&output.stdout));
    println!("{stderr}");
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// P40.24
#[test]
fn daemon_and_mount_share_a_namespace_of_one_id() {
    needs!("setpriv");
    let script = "alone bash -c '
        daemon; $P mount -o pids m; use_view; $P mkdir /x; owner m/x; chown 0:0 m/x && echo same
        chown 1:1 m/x 2>/dev/null || echo unmapped
        $P exec /x -- id -u; umount m; kill $(cat daemon); wait'";
    let Some(seen) = play(script) else { return };
    let then = ["0:0:755", "same", "unmapped", "0"].map(str::to_owned);
    assert_eq!(seen, [used(0), then.to_vec()].concat());
}

/// P40.24
#[test]
fn daemon_and_mount_share_a_containers_namespace() {
    needs!("setpriv");
    let script = r#"container bash -c '
        daemon; $P mount -o pids m; use_view; mkdir m/a; chown 1:1 m/a m/a/*; owner m/a m/a/tasks
        setpriv --reuid 1 --regid 1 --clear-groups bash -c "mkdir m/a/b; owner m/a/b; echo 0 > m/a/b/tasks; grep -cx \$\$ m/a/b/tasks
            \$P mkdir /a/c; owner m/a/c; mkdir m/no || echo denied"
        setpriv --reuid 2 --regid 2 --clear-groups bash -c "mkdir m/a/no || echo denied; echo 0 > m/a/tasks || echo denied; cat m/a/pids.max"
        unshare -pf --mount-proc bash -c "echo 0 > m/a/tasks; cat m/a/tasks | head -1; echo 1 > m/tasks; grep -cx 1 m/a/tasks"
        $P ls -l /a | cut -c 11-25 | tail -2
        umount m; kill $(cat daemon); wait'"#;
    let Some(seen) = play(script) else { return };
    let then = [
        "1:1:755", "1:1:644", // chown
        "1:1:755", "1", "1:1:755", "denied", // user 1
        "denied", "denied", "max", // user 2
        "1", "0", // the numbers of the reader's pid namespace
    ];
    assert_eq!(seen[..used(0).len()], used(0), "{seen:#?}");
    assert_eq!(seen[used(0).len()..][..then.len()], then, "{seen:#?}");
    let listed = &seen[used(0).len() + then.len()..];
    assert!(listed.len() == 2 && listed.iter().all(|line| line.trim() == "1    1"), "{seen:#?}");
}

/// P40.24
#[test]
fn container_mounts_from_the_daemon_outside() {
    needs!("setpriv");
    let script = r#"
        as_user bash -c daemon
        container bash -c '
            $P mount -o pids m; use_view; mkdir m/a; chown 7:8 m/a; owner m/a
            setpriv --reuid 7 --regid 8 --clear-groups bash -c "mkdir m/a/b; owner m/a/b; echo 0 > m/a/b/tasks && grep -cx \$\$ m/a/b/tasks"
            $P mkdir /a/c; owner m/a/c'
        as_user $P ls -l / | tail -1 | xargs | cut -d " " -f 2,3"#;
    let Some(seen) = play(script) else { return };
    let then = ["7:8:755", "7:8:755", "1", "0:0:755", "100006 100007"].map(str::to_owned);
    assert_eq!(seen, [used(0), then.to_vec()].concat());
}

/// P40.25: the daemon can't trace a process outside, since it has no rights there.
#[test]
fn owner_mounts_the_daemon_of_a_namespace_outside() {
    needs!("setpriv", "fusermount3");
    let script = r"
        alone_same_mounts bash -c 'daemon; sleep 1000 & echo $! > inside; wait' &
        until [ -s inside ]; do sleep 0.05; done
        as_user bash -c '
            $P mount -o pids m; use_files; cat inside > m/g/tasks; cmp inside m/g/tasks && cat m/g/pids.current
            sleep 1000 & { echo $! > m/g/tasks; } 2>/dev/null || echo refused; $P attach /g $! 2>&1 | grep -c EPERM; kill $!
            kill $(cat inside); remove; umount m 2>/dev/null || $P umount m'
        setpriv --reuid 1001 --regid 1001 --clear-groups $P mount -o none,name=x 2>&1 | grep -c EPERM";
    let Some(seen) = play(script) else { return };
    assert_eq!(seen, [&files(1000)[..], &OUTSIDE.map(str::to_owned), &["1".to_owned()]].concat());
}

/// P40.25
#[test]
fn root_mounts_the_daemon_of_its_own_namespace_outside() {
    let script = r#"
        unshare -r bash -c 'daemon; sleep 1000 & echo $! > inside; wait' &
        until [ -s inside ]; do sleep 0.05; done
        $P mount -o pids m; use_files; cat inside > m/g/tasks; cmp inside m/g/tasks && cat m/g/pids.current
        sleep 1000 & { echo $! > m/g/tasks; } 2>/dev/null || echo refused; $P attach /g $! 2>&1 | grep -c EPERM; kill $!
        kill $(cat inside); remove; mkdir m/a; chown 1000:1000 m/a 2>&1 | grep -c "too large"; owner m/a; umount m"#;
    let Some(seen) = play(script) else { return };
    let then = ["1", "0:0:755"].map(str::to_owned);
    assert_eq!(seen, [&files(0)[..], &OUTSIDE.map(str::to_owned), &then].concat());
}

/// A process inside is moved and counted. One outside is refused, at the file and by the socket.
const OUTSIDE: [&str; 4] = ["1", "refused", "1", "removed"];

/// P40.26
#[test]
fn root_of_a_namespace_looks_at_its_runtime_directory() {
    needs!("setpriv");
    let script = r#"
        unset PENFOLD_SOCKET; export XDG_RUNTIME_DIR=$W
        alone bash -c 'daemon; [ -S penfold/control ] && $P mount -o none,name=inside'
        as_user $P hierarchies | grep -c inside
        alone $P hierarchies | grep -c inside
        mkdir run; XDG_RUNTIME_DIR=$W/run unshare -r $P hierarchies 2>&1 | grep -c "$W/run/penfold/control"
        rm -r penfold"#;
    let Some(seen) = play(script) else { return };
    assert_eq!(seen, ["1", "1", "1", "1"]);
}
