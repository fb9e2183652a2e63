//! A refused load has errno, kind and subject, and a message that names the module once.
#![cfg(feature = "loader")]

use std::error::Error;
use std::io;
use std::path::PathBuf;

use penfold_core::{Errno, ErrorKind};
use penfold_module::loader::{Fault, LoadError, ownership_check::Untrusted};

const FILE: &str = "/usr/lib/fine.so";

fn untrusted(problem: Untrusted) -> LoadError {
    LoadError::Untrusted { path: FILE.into(), problem }
}

fn mode(path: &str) -> Untrusted {
    Untrusted::Mode { path: path.into(), mode: 0o1777, who: "everybody", remedy: "o-w" }
}

fn system(number: i32) -> LoadError {
    LoadError::System { operation: "open", path: FILE.into(), source: io::Error::from_raw_os_error(number) }
}

#[test]
fn every_load_error_has_errno_kind_subject_and_message() {
    let names = ["libpenfold_fine.so".to_owned(), "fine.so".to_owned()];
    let missing = LoadError::NotFound { name: "fine".into(), names, looked: vec![PathBuf::from("/lib")] };
    let description = LoadError::Description { path: FILE.into(), fault: Fault::Missing("create") };
    let refused = LoadError::Refused { path: FILE.into(), errno: Errno::ENOMEM, reason: "no memory".into() };
    let owner = Untrusted::Owner { path: FILE.into(), uid: 7, owner: 0 };
    let not_a_module = LoadError::NotAModule { path: FILE.into(), reason: "it is empty".into() };
    let table = [
        (
            missing,
            Errno::ENOENT,
            ErrorKind::NotFound,
            "fine: no such module; looked for libpenfold_fine.so and fine.so in /lib",
        ),
        (
            system(2),
            Errno::ENOENT,
            ErrorKind::NotFound,
            "/usr/lib/fine.so: can't open: No such file or directory",
        ),
        (
            system(13),
            Errno::EACCES,
            ErrorKind::NotPermitted,
            "/usr/lib/fine.so: can't open: Permission denied",
        ),
        // an errno that core has no name for
        (system(24), Errno::EIO, ErrorKind::System, "/usr/lib/fine.so: can't open: Too many open files"),
        (
            untrusted(mode("/usr")),
            Errno::EPERM,
            ErrorKind::NotPermitted,
            "/usr/lib/fine.so: not loaded: /usr can be written by everybody (mode 1777); take that away with chmod o-w",
        ),
        (
            untrusted(mode(FILE)),
            Errno::EPERM,
            ErrorKind::NotPermitted,
            "/usr/lib/fine.so: not loaded: it can be written by everybody (mode 1777); take that away with chmod o-w",
        ),
        (
            untrusted(owner),
            Errno::EPERM,
            ErrorKind::NotPermitted,
            "/usr/lib/fine.so: not loaded: it belongs to uid 7; it must belong to root or to uid 0, who runs the engine",
        ),
        (
            untrusted(Untrusted::NotAFile),
            Errno::EPERM,
            ErrorKind::NotPermitted,
            "/usr/lib/fine.so: not loaded: it is not a regular file",
        ),
        (not_a_module, Errno::ENOEXEC, ErrorKind::Load, "/usr/lib/fine.so: not a module: it is empty"),
        (
            LoadError::Open { path: FILE.into() },
            Errno::EEXIST,
            ErrorKind::AlreadyExists,
            "/usr/lib/fine.so: this file is loaded already; unload it first, or load a copy of it under another name",
        ),
        (
            description,
            Errno::EINVAL,
            ErrorKind::Load,
            "/usr/lib/fine.so: the module has no create, which is mandatory",
        ),
        (refused, Errno::ENOMEM, ErrorKind::Load, "/usr/lib/fine.so: the module's load failed: no memory"),
    ];
    for (error, errno, kind, message) in table {
        assert_eq!((error.errno(), error.kind(), &*error.to_string()), (errno, kind, message), "{error:?}");
        assert_eq!(message, format!("{}: {}", error.subject(), error.detail()));
        let named = error.detail().split_whitespace().any(|word| word == error.subject());
        assert!(!named, "named twice: {message}");
        assert_eq!(error.source().is_some(), matches!(error, LoadError::System { .. }), "{error:?}");
    }
}
