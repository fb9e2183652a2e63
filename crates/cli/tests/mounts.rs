//! `penfold mount` and its helpers with a real daemon, in a mount namespace of the test's own.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::skipped;

/// Starts a daemon, runs a script with `penfold` as `$P`, and ends the daemon.
const FRAME: &str = r#"
set -u
cd "$(mktemp -d)" && trap 'umount -l m n c 2>/dev/null; kill $D 2>/dev/null; wait $D 2>/dev/null; rm -rf "$PWD"' EXIT
export PENFOLD_SOCKET=$PWD/socket
mkdir m n c
$P serve --socket "$PENFOLD_SOCKET" --log error & D=$!
for i in $(seq 200); do $P hierarchies >/dev/null 2>&1 && break; sleep 0.05; done
"#;

fn play(script: &str) -> Option<String> {
    let usable = nix::unistd::geteuid().is_root() && Path::new("/dev/fuse").exists();
    if !usable {
        skipped("root and /dev/fuse are needed to mount");
        return None;
    }
    let output = Command::new("timeout")
        .args(["60", "unshare", "-m", "bash", "-c", &format!("{FRAME}{script}")])
        .env("P", env!("CARGO_BIN_EXE_penfold"))
        .stdin(Stdio::null())
        .output()
        .expect("bash and unshare");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    Some(text.trim_end().to_owned())
}

#[test]
fn a_hierarchy_is_mounted_used_and_unmounted() {
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
fn mount_of_util_linux_reaches_penfold_through_the_helpers() {
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
