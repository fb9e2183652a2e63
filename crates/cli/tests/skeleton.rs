//! `penfold module new`, and then the commands that it prints, as a new author types them.

mod common;

use common::{PrivateDir, without_slowness};
use penfold_testkit::{needs, skip};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes a skeleton, runs the printed commands, and then tries more.
fn follow(language: &str, module: &str) {
    let place = PrivateDir::new();
    let made = place.shell(&format!("umask 022; penfold module new --lang {language} wheel"));
    assert!(made.status.success(), "{}", text(&made.stderr));
    let made = text(&made.stdout);
    let commands: Vec<&str> = made.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let [test, build, run] = commands[..] else { panic!("three commands in:\n{made}") };
    let built = place.shell(&format!("umask 022\n{test}\n{build}"));
    assert!(built.status.success(), "{test}; {build}:\n{}{}", text(&built.stdout), text(&built.stderr));

    if let Some(refusal) = place.refusal(&format!("wheel/{module}")) {
        return skip(&refusal);
    }
    let output = place.shell(&format!("cd wheel; {run}"));
    assert_eq!(text(&output.stdout), "42\n", "{run}: {}", text(&output.stderr));
    let output = place.shell(&format!("cd wheel; penfold run --module {module} -s wheel.value=101 -- true"));
    let refused = "penfold: -s wheel.value=101: takes a number from 0 to 100 [EINVAL]\n";
    assert_eq!(without_slowness(&text(&output.stderr)), refused);
    let output = place.shell(&format!("penfold module check wheel/{module} wheel.value=7"));
    let checked = text(&output.stdout);
    assert!(output.status.success() && checked.contains(" 0 to look at, 0 wrong"), "{checked}");
}

#[test]
fn printed_commands_load_a_skeleton_in_rust() {
    needs!("sh", "timeout");
    follow("rust", "target/debug/libpenfold_wheel.so");
}

#[test]
fn printed_commands_load_a_skeleton_in_c() {
    needs!("sh", "timeout", "make", "cc");
    follow("c", "./wheel.so");
}

#[test]
fn refused_skeleton_has_a_reason() {
    let place = PrivateDir::new();
    let output = place.shell("mkdir wheel; penfold module new wheel");
    assert_eq!(output.status.code(), Some(1));
    let told = "penfold: wheel: can't write a controller there: File exists [EEXIST]\n";
    assert_eq!(text(&output.stderr), told);
    let output = place.shell("penfold module new pids");
    assert_eq!(text(&output.stderr), "penfold: pids: penfold has a controller of this name [EEXIST]\n");
    assert!(!place.path().join("pids").exists());
}
