//! Whom a module may come from.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use penfold_module::Errno;
use penfold_module::loader::{LoadError, Untrusted, ownership_check};

fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").expect("/proc").uid()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// A directory with a file in it, both writable by nobody else; gone when dropped.
struct Place {
    directory: PathBuf,
    file: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// `None`, after the reason was printed, where it would lie below a directory that others can write.
fn place(name: &str) -> Option<Place> {
    let base = Path::new(if own_uid() == 0 { "/var/lib" } else { env!("CARGO_TARGET_TMPDIR") });
    let directory = base.join(format!("penfold-trust-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("module.so");
    fs::write(&file, "").expect("a file");
    set_mode(&directory, 0o755);
    set_mode(&file, 0o644);
    match ownership_check::check(&file, own_uid()) {
        Ok(_) => Some(Place { directory, file }),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            println!("skipped: {error}");
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
fn a_file_that_others_can_write_is_refused_with_the_permission_that_is_wrong() {
    let Some(place) = place("file") else { return };
    let file = &place.file;
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
fn a_directory_that_others_can_write_is_refused_wherever_it_is_on_the_way() {
    let Some(place) = place("directory") else { return };
    let directory = &place.directory;
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
fn what_belongs_to_somebody_else_is_refused() {
    let Some(place) = place("owner") else { return };
    let (directory, file) = (&place.directory, &place.file);
    if own_uid() != 0 {
        assert!(std::env::var_os("CI").is_none(), "not root");
        println!("skipped: only root can give files away");
        return;
    }
    for path in [file, directory] {
        chown(path, Some(4711), None).expect("chown");
        let expected = Untrusted::Owner { path: path.clone(), uid: 4711, owner: 0 };
        assert_eq!(problem(file, 0), expected);
        // that user's own daemon may: it is his, or root's
        assert!(ownership_check::check(file, 4711).is_ok());
        assert!(matches!(problem(file, 4712), Untrusted::Owner { uid: 4711, owner: 4712, .. }));
        chown(path, Some(0), None).expect("chown");
    }
}

#[test]
fn a_link_is_judged_by_where_it_leads() {
    let Some(place) = place("link") else { return };
    let (directory, file) = (&place.directory, &place.file);
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
fn what_is_no_file_is_refused() {
    let Some(place) = place("kind") else { return };
    let directory = &place.directory;
    assert_eq!(problem(directory, own_uid()), Untrusted::NotAFile);
    let error = ownership_check::check(&directory.join("nothing.so"), own_uid()).expect_err("nothing");
    assert_eq!(error.errno(), Errno::ENOENT);
}
