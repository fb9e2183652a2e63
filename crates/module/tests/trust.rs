//! The check that no other user can change a module's file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use penfold_module::Errno;
use penfold_module::loader::{LoadError, Untrusted, ownership_check};
use penfold_testkit::{TempDir, is_root, skip};

fn own_uid() -> u32 {
    fs::metadata("/proc/self").expect("/proc").uid()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// A directory with a file in it, which only this user can write. `None`, with the reason printed, where the directory
/// would lie below one that others can write.
fn trusted() -> Option<(TempDir, PathBuf)> {
    let directory = TempDir::trusted(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join("module.so");
    fs::write(&file, "").expect("a file");
    set_mode(&file, 0o644);
    match ownership_check::check(&file, own_uid()) {
        Ok(_) => Some((directory, file)),
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

fn problem(path: &Path, owner: u32) -> Untrusted {
    match ownership_check::check(path, owner) {
        Err(error @ LoadError::Untrusted { .. }) => {
            assert_eq!(error.errno(), Errno::EPERM);
            let LoadError::Untrusted { problem, .. } = error else { unreachable!() };
            problem
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusal_of_a_writable_file_names_the_permission() {
    let Some((_directory, file)) = trusted() else { return };
    let file = &file;
    for (mode, who, remedy) in
        [(0o664, "its group", "g-w"), (0o646, "everybody", "o-w"), (0o666, "its group and everybody", "go-w")]
    {
        set_mode(file, mode);
        let found = problem(file, own_uid());
        assert_eq!(found, Untrusted::Mode { path: file.clone(), mode, who, remedy });
        let says = format!("can be written by {who} (mode {mode:04o}); take that away with chmod {remedy}");
        assert_eq!(found.to_string(), format!("{} {says}", file.display()));
        let refusal = ownership_check::check(file, own_uid()).expect_err("as before");
        assert_eq!(refusal.to_string(), format!("{}: not loaded: it {says}", file.display()));
    }
    set_mode(file, 0o400);
    assert_eq!(ownership_check::check(file, own_uid()).expect("nobody else can write it"), *file);
}

#[test]
fn writable_directory_on_the_way_is_refused() {
    let Some((directory, _)) = trusted() else { return };
    let directory = &directory.path().to_owned();
    let below = directory.join("a/b");
    fs::create_dir_all(&below).expect("directories");
    let file = below.join("module.so");
    fs::write(&file, "").expect("a file");
    for path in [&below, &directory.join("a"), directory] {
        for mode in [0o775, 0o757, 0o1777] {
            set_mode(path, mode);
            let found = problem(&file, own_uid());
            assert!(
                matches!(&found, Untrusted::Mode { path: at, mode: found, .. } if at == path && *found == mode),
                "{found}"
            );
        }
        set_mode(path, 0o755);
    }
    assert!(ownership_check::check(&file, own_uid()).is_ok());
}

#[test]
fn file_of_another_user_is_refused() {
    let Some((directory, file)) = trusted() else { return };
    let (directory, file) = (&directory.path().to_owned(), &file);
    if !is_root() {
        return skip("only root can give files away");
    }
    for path in [file, directory] {
        chown(path, Some(4711), None).expect("chown");
        let expected = Untrusted::Owner { path: path.clone(), uid: 4711, owner: 0 };
        assert_eq!(problem(file, 0), expected);
        // that user's own daemon may load it: every part is that user's or root's
        assert!(ownership_check::check(file, 4711).is_ok());
        assert!(matches!(problem(file, 4712), Untrusted::Owner { uid: 4711, owner: 4712, .. }));
        chown(path, Some(0), None).expect("chown");
    }
}

#[test]
fn link_counts_by_its_target() {
    let Some((directory, file)) = trusted() else { return };
    let (directory, file) = (&directory.path().to_owned(), &file);
    let open = directory.join("open");
    fs::create_dir(&open).expect("a directory");
    set_mode(&open, 0o1777);
    let link = open.join("link.so");
    symlink(file, &link).expect("a link");
    assert_eq!(ownership_check::check(&link, own_uid()).expect("what is loaded is safe"), *file);
    let inside = open.join("module.so");
    fs::write(&inside, "").expect("a file");
    let link = directory.join("link.so");
    symlink(&inside, &link).expect("a link");
    assert!(matches!(problem(&link, own_uid()), Untrusted::Mode { path, .. } if path == open));
}

#[test]
fn path_to_no_regular_file_is_refused() {
    let Some((directory, _)) = trusted() else { return };
    let directory = &directory.path().to_owned();
    assert_eq!(problem(directory, own_uid()), Untrusted::NotAFile);
    let error = ownership_check::check(&directory.join("nothing.so"), own_uid()).expect_err("nothing");
    assert_eq!(error.errno(), Errno::ENOENT);
}
