//! `penfold module new`, and then what it says comes next, as a new author would.

mod common;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{PENFOLD, skipped};

/// A directory that only its owner can write, as modules need it; goes with everything in it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("make a directory");
        Place(path)
    }

    /// A script, with penfold on the path.
    fn shell(&self, script: &str) -> Output {
        let mut path = OsString::from(Path::new(PENFOLD).parent().expect("it is in a directory"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut shell = Command::new("timeout");
        shell
            .args(["300", "sh", "-ec", script])
            .current_dir(&self.0)
            .env("PATH", path)
            .env("CARGO_NET_OFFLINE", "true");
        shell.env_remove("CARGO_TARGET_DIR").env_remove("PENFOLD_MODULES").output().expect("run sh")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes a skeleton, follows what it says, and then tries more.
fn follow(language: &str, module: &str) {
    let place = Place::new(&format!("skeleton-{language}"));
    let made = place.shell(&format!("umask 022; penfold module new --lang {language} wheel"));
    assert!(made.status.success(), "{}", text(&made.stderr));
    let made = text(&made.stdout);
    let commands: Vec<&str> = made.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let [test, build, run] = commands[..] else { panic!("three commands in:\n{made}") };
    let built = place.shell(&format!("umask 022\n{test}\n{build}"));
    assert!(built.status.success(), "{test}; {build}:\n{}{}", text(&built.stdout), text(&built.stderr));

    let refusal = place.shell(&format!("penfold module info --json wheel/{module} | grep refusal"));
    if !text(&refusal.stdout).contains("null") {
        return skipped(&format!("the tests are built where others may write: {}", text(&refusal.stdout)));
    }
    let output = place.shell(&format!("cd wheel; {run}"));
    assert_eq!(text(&output.stdout), "42\n", "{run}: {}", text(&output.stderr));
    let output = place.shell(&format!("cd wheel; penfold run --module {module} -s wheel.value=101 -- true"));
    let refused = "penfold: -s wheel.value=101: wheel.value: takes a number from 0 to 100 [EINVAL]\n";
    assert_eq!(text(&output.stderr), refused);
    let output = place.shell(&format!("penfold module check wheel/{module} wheel.value=7"));
    let checked = text(&output.stdout);
    assert!(output.status.success() && checked.contains(" 0 to look at, 0 wrong"), "{checked}");
}

#[test]
fn a_new_author_gets_from_nothing_to_a_loaded_controller_in_rust() {
    needs!("sh", "timeout");
    follow("rust", "target/debug/libpenfold_wheel.so");
}

#[test]
fn a_new_author_gets_from_nothing_to_a_loaded_controller_in_c() {
    needs!("sh", "timeout", "make", "cc");
    follow("c", "./wheel.so");
}

#[test]
fn what_can_not_be_made_is_told_with_the_reason() {
    let place = Place::new("skeleton-refused");
    let output = place.shell("mkdir wheel; penfold module new wheel");
    assert_eq!(output.status.code(), Some(1));
    let told = "penfold: wheel: can't write a controller there: File exists (os error 17)\n";
    assert_eq!(text(&output.stderr), told);
    let output = place.shell("penfold module new pids");
    assert_eq!(text(&output.stderr), "penfold: \"pids\": penfold has a controller of this name\n");
    assert!(!place.0.join("pids").exists());
}
