//! `penfold mount` and its helpers with a real daemon, in a mount namespace of the test's own.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{AS_NOBODY, PENFOLD, for_everybody};
use penfold_testkit::{TempDir, has_program, is_root, skip};

/// Starts a daemon, runs a script with `penfold` as `$P`, and ends the daemon.
const FRAME: &str = r#"
set -u
cd "$(mktemp -d)" && trap 'umount -l m n c 2>/dev/null; kill $D 2>/dev/null; wait $D 2>/dev/null; rm -rf "$PWD"' EXIT
export PENFOLD_SOCKET=$PWD/socket
mkdir m n c
$P serve --socket "$PENFOLD_SOCKET" --log error & D=$!
for i in $(seq 200); do $P hierarchies >/dev/null 2>&1 && break; sleep 0.05; done
"#;

/// Opens /dev/fuse to every user, as most machines do, writes `$1` into fuse.conf, and runs the words behind `$1`.
const WITH_DEVICE: &str = r#"
F=$(mktemp -d); mknod "$F/fuse" c 10 229; chmod 666 "$F/fuse"; mount --bind "$F/fuse" /dev/fuse
touch /etc/fuse.conf; echo "$1" > "$F/conf"; mount --bind "$F/conf" /etc/fuse.conf; rm -r "$F"
shift; exec "$@"
"#;

fn play(script: &str) -> Option<String> {
    run(Path::new(PENFOLD), &["-c", &format!("{FRAME}{script}")])
}

fn play_as_nobody(configuration: &str, script: &str) -> Option<String> {
    play_as_nobody_with(WITH_DEVICE, configuration, script)
}

fn play_as_nobody_with(preparation: &str, configuration: &str, script: &str) -> Option<String> {
    if !has_program("fusermount3") {
        skip("there is no fusermount3");
        return None;
    }
    let scratch = TempDir::open_to_all();
    let (first, then) = (["-c", preparation, "bash", configuration], format!("{FRAME}{script}"));
    run(&for_everybody(&scratch), &[&first[..], &AS_NOBODY, &["bash", "-c", &then]].concat())
}

/// Runs bash in a mount namespace of its own.
fn run(penfold: &Path, arguments: &[&str]) -> Option<String> {
    let usable = is_root() && Path::new("/dev/fuse").exists();
    if !usable {
        skip("root and /dev/fuse are needed to mount");
        return None;
    }
    let output = Command::new("timeout")
        .args(["60", "unshare", "-m", "bash"])
        .args(arguments)
        .env("P", penfold)
        .stdin(Stdio::null())
        .output()
        .expect("bash and unshare");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    Some(text.trim_end().to_owned())
}

#[test]
fn hierarchy_is_mounted_used_and_unmounted() {
    let script = "
        $P mount -o pids,name=both m; $P mount -o name=both n; grep -c ' fuse.cgroup.pids+name=both ' /proc/self/mounts
        mkdir m/g; ls -d n/g; bash -c 'echo $$ > m/g/tasks; cat n/g/pids.current'; $P mkdir pids:/h; ls -d m/h; $P rmdir pids:/h /g
        $P mount -o cpuacct m/nothing; echo $?; $P mount -o nonsense c; echo $?; grep -c ' c ' /proc/self/mounts
        $P hierarchies --json | grep -o '\"mounts\": *[0-9]*'
        umount n; $P umount ./m; for i in $(seq 100); do [ -z \"$($P hierarchies --json | grep both)\" ] && break; sleep 0.05; done; $P hierarchies --json | grep -c both; true";
    let Some(seen) = play(script) else { return };
    println!("{seen}");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..4], ["2", "n/g", "1", "m/h"], "{seen}");
    assert!(seen.contains("[EINVAL]") && seen.contains("No such file"), "{seen}");
    assert!(seen.contains("\"mounts\": 2") || seen.contains("\"mounts\":2"), "{seen}");
    assert!(lines.contains(&"0"), "both mounts are gone: {seen}");
}

#[test]
fn mount_of_util_linux_reaches_penfold_by_the_helpers() {
    let script = "
        mkdir -p fake/sbin; $P install-helpers --prefix fake | wc -l; $P install-helpers --prefix fake --only-fuse
        fake/sbin/mount.cgroup none $PWD/m -o rw,nosuid,none,name=helped; echo $?; mkdir m/g && ls -d m/g && rmdir m/g && umount m
        fake/sbin/mount.cgroup none $PWD/m -o $'none,name=bytes,release_agent=/\\xff'; od -An -tx1 m/release_agent | xargs; umount m
        fake/sbin/mount.fuse.penfold penfold $PWD/m -o rw,fs=proc; head -1 m/cgroups | cut -f 1; umount m
        fake/sbin/mount.cgroup none $PWD/m -o nonsense; echo $?
        fake/sbin/mount.cpuset x $PWD/m; echo $?; ls m/cpus && umount m
        $P install-helpers --prefix fake --remove | wc -l; ls fake/sbin | wc -l";
    let Some(seen) = play(script) else { return };
    println!("{seen}");
    let out: Vec<&str> = seen
        .lines()
        .filter(|line| !line.contains("mount -t cgroup") && !line.contains("wrong fs type"))
        .collect();
    let expected = [
        "3",
        "fake/sbin/mount.fuse.penfold",
        "0",
        "m/g",
        "2f ff 0a",
        "#subsys_name",
        "32",
        "0",
        "m/cpus",
        "3",
        "0",
    ];
    assert_eq!(out[..expected.len()], expected, "{seen}");
    assert!(seen.contains("mount.cgroup:") && seen.contains("wrong fs type, bad option"), "{seen}");
}

/// P40.14: a user who may not mount gets a working mount.
#[test]
fn fusermount3_mounts_a_hierarchy_without_root() {
    let script = "
        $P mount -o pids m; stat -c %a m; mkdir m/g && echo 2 > m/g/pids.max && cat m/g/pids.max
        dash -c 'echo $$ > m/g/tasks; cat m/g/pids.current; (sleep 0.3; :) & (:); echo never'
        echo 5 > m/g/pids.current; until rmdir m/g 2>/dev/null; do sleep 0.05; done; ls -d m/g; $P umount m; ls m | wc -l";
    let Some(seen) = play_as_nobody("", script) else { return };
    let lines: Vec<&str> =
        seen.lines().filter(|line| line.bytes().all(|byte| byte.is_ascii_digit())).collect();
    assert_eq!(lines, ["755", "2", "2", "0"], "{seen}");
    assert!(
        seen.contains("Cannot fork")
            && seen.contains("pids.current: Permission denied")
            && seen.contains("cannot access 'm/g'"),
        "{seen}"
    );
}

#[test]
fn other_users_see_a_mount_if_fuse_conf_permits() {
    for (configuration, options) in [("user_allow_other", "1"), ("# user_allow_other", "0")] {
        let script = "
            $P mount -o none,name=x m; grep ' fuse.cgroup.name=x ' /proc/self/mounts | grep -c allow_other; mkdir m/g; ls -d m/g; $P umount m";
        let Some(seen) = play_as_nobody(configuration, script) else { return };
        assert_eq!(seen.lines().collect::<Vec<_>>(), [options, "m/g"], "{seen}");
    }
}

/// P40.14
#[test]
fn user_namespace_mounts_a_hierarchy_without_a_helper() {
    let script = "
        unshare -rm bash -c '
            $P mount -o pids m; id -u; stat -c %u:%a m; mkdir m/g; echo 7 > m/g/pids.max
            bash -c \"echo \\$\\$ > m/g/tasks; cat m/g/pids.current\"; grep -c fuse.cgroup.pids /proc/self/mounts; umount m'
        grep -c fuse.cgroup.pids /proc/self/mounts; true";
    let Some(seen) = play_as_nobody("", script) else { return };
    assert_eq!(seen.lines().collect::<Vec<_>>(), ["0", "0:755", "1", "1", "0"], "{seen}");
}

/// P40.27
#[test]
fn hint_tells_why_the_device_is_not_opened() {
    let script = r"
        mknod a c 10 231; mknod b c 240 229; mknod d c 10 229; chmod 666 d
        for x in a b d; do
            mount --bind $x /dev/fuse; [ $x = d ] && mount -o remount,bind,nodev /dev/fuse
            $P mount -o pids m; umount /dev/fuse
        done
        unshare -r $P mount -o pids m
        mount -t tmpfs dev /dev; $P mount -o pids m; umount /dev; ls m | wc -l";
    let Some(seen) = play(script) else { return };
    let reasons = [
        ("the kernel's fuse module is not loaded", "[ENODEV]"),
        ("the kernel's fuse module is not loaded", "[ENXIO]"),
        ("the device is there, but it may not be opened", "[EACCES]"),
        ("make both with `unshare -rm`", "[EPERM]"),
        ("there is no device", "[ENOENT]"),
    ];
    let failures: Vec<&str> = seen.lines().filter(|line| line.starts_with("penfold: ")).collect();
    assert_eq!(failures.len(), reasons.len(), "{seen}");
    for (line, (reason, errno)) in failures.iter().zip(reasons) {
        assert!(line.contains(reason) && line.ends_with(errno), "{line}");
    }
    assert!(seen.lines().any(|line| line == "0"), "nothing is mounted: {seen}");
}

/// P40.27
#[test]
fn hint_names_the_mode_that_forbids_the_device() {
    let script = "
        $P mount -o pids m; PATH=/nowhere $P mount -o pids m; true";
    let closed = WITH_DEVICE.replace("chmod 666", "chmod 600");
    let Some(seen) = play_as_nobody_with(&closed, "", script) else { return };
    let hint = "the device is there with mode 0600 and owner 0:0";
    let failures: Vec<&str> = seen.lines().filter(|line| line.starts_with("penfold: ")).collect();
    assert_eq!(failures.len(), 2, "with and without the helper: {seen}");
    assert!(failures.iter().all(|line| line.contains(hint) && line.ends_with("[EACCES]")), "{seen}");
}
