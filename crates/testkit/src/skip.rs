//! Tests that can't run on every machine: each says `skipped:` and why, which `cargo xtask test` collects.

use std::env;
use std::path::Path;

/// Prints why a test is skipped. The test returns afterwards.
///
/// # Panics
/// With `CI=true`: a machine of CI has all that the tests need.
#[track_caller]
pub fn skip(reason: &str) {
    skip_even_in_ci(reason);
    assert!(!is_ci(), "must not be skipped in CI: {reason}");
}

/// Prints why a test is skipped, where no machine can promise what is missing: other users of a hierarchy, a kernel's
/// configuration.
pub fn skip_even_in_ci(reason: &str) {
    println!("skipped: {reason}");
}

/// Whether `CI` is `true` in the environment.
pub fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is in one of the directories of `PATH`.
pub fn has_program(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|path| path.join(Path::new(program)).exists())
}

/// Returns from a test, with the reason, when one of these programs is missing: `needs!("gdb", "setpriv")`.
#[macro_export]
macro_rules! needs {
    ($($program:expr),+) => {
        $(if !$crate::has_program($program) {
            return $crate::skip(concat!("there is no ", $program));
        })+
    };
}
