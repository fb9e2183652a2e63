//! Reads the descriptions of modules from their files, which the C compiler of this machine makes.

use std::fs;
use std::path::Path;

use penfold_module::loader::{ModuleDescription, inspect};
use penfold_module::{Callbacks, Errno, Resource, Visibility};
use penfold_testkit::{TempDir, TempFile, compile_module, skip};

/// Compiles a variant of the module of these tests. Without a compiler: prints that and returns `None`.
fn compile(flags: &[&str]) -> Option<TempFile> {
    let file = TempFile::unmade(".so");
    let flags = [&["-std=gnu99", "-Wno-unused"], flags].concat();
    match compile_module("modules/probe.c", &file, &flags) {
        Ok(()) => Some(file),
        Err(error) => {
            skip(&format!("no C compiler: {error}"));
            None
        }
    }
}

fn refusal(path: &Path) -> (Errno, String) {
    let error = inspect(path).expect_err("not a usable module");
    (error.errno(), error.to_string())
}

#[test]
fn description_is_read_without_running_code() {
    let witness = TempFile::unmade("-constructed");
    let flag = format!("-DCONSTRUCTOR=\"{}\"", witness.path().display());
    let Some(path) = compile(&["-DRULES", "-DEVENTS", &flag]) else { return };
    let info = inspect(&path).expect("a module");
    assert!(!witness.path().exists(), "a constructor of the module has run");
    assert_eq!((info.name.as_str(), info.version.as_str()), ("probe", "1.2.3"));
    assert_eq!((info.summary.as_str(), info.abi_version), ("a module for tests", 1));
    assert_eq!(info.callbacks, Callbacks::ATTACH | Callbacks::FORK | Callbacks::EXIT);
    let files: Vec<_> =
        info.files.iter().map(|file| (file.name.as_str(), file.mode, file.read, file.write)).collect();
    let expected = [
        ("value", 0o644, "u64", "u64"),
        ("root", 0o444, "text", "none"),
        ("stats", 0o444, "map", "none"),
        ("poke", 0o200, "none", "trigger"),
        ("odd", 0o644, "u64", "u64"),
        ("slow", 0o200, "none", "u64"),
    ];
    assert_eq!(files, expected);
    assert_eq!(info.files[1].visibility, Visibility::RootOnly);
    assert!(info.files[4].not_a_setting && !info.files[0].not_a_setting);
    assert_eq!(info.files[0].max_write, 4096);
    assert_eq!((info.rules.len(), info.rules[0].resource), (1, Resource::Tasks));
    assert_eq!((info.rules[0].refusal, info.rules[0].limit_file.as_str()), (Errno::EAGAIN, "value"));
}

/// The ways differ in how the linker writes down the pointers of the tables.
#[test]
fn description_is_the_same_for_every_way_to_link() {
    let variants: [(&str, &[&str]); 6] = [
        ("static", &[]),
        // the pointers are symbols that another object could replace
        ("symbols", &["-DLINKAGE="]),
        ("bound", &["-DLINKAGE=", "-Wl,-Bsymbolic"]),
        ("stripped", &["-s", "-O2"]),
        ("compact", &["-Wl,-z,pack-relative-relocs"]),
        ("sysv", &["-Wl,--hash-style=sysv"]),
    ];
    let mut seen: Vec<ModuleDescription> = Vec::new();
    for (name, flags) in variants {
        let Some(path) = compile(flags) else { return };
        seen.push(inspect(&path).unwrap_or_else(|error| panic!("{name}: {error}")));
    }
    assert_eq!(seen[0].files.len(), 6);
    assert!(seen.iter().all(|info| *info == seen[0]), "{seen:?}");
}

#[test]
fn file_that_is_no_module_is_named() {
    let directory = TempDir::new();
    let text = directory.join("text.so");
    fs::write(&text, "#!/bin/sh\n").expect("a file");
    let (errno, message) = refusal(&text);
    assert!(errno == Errno::ENOEXEC && message.contains("not a 64-bit ELF file"), "{message}");
    fs::write(&text, "").expect("a file");
    assert_eq!(refusal(&text).0, Errno::ENOEXEC);
    assert_eq!(refusal(&directory.join("nowhere.so")).0, Errno::ENOENT);
    let (errno, message) = refusal(directory.path());
    assert!(errno == Errno::ENOEXEC && message.contains("not a regular file"), "{message}");
    let program = std::env::current_exe().expect("this program");
    let (errno, message) = refusal(&program);
    assert!(errno == Errno::ENOEXEC && message.contains("penfold_module"), "{message}");
    let Some(path) = compile(&["-DNO_SYMBOL"]) else { return };
    let (errno, message) = refusal(&path);
    assert!(errno == Errno::ENOEXEC && message.contains("exports no symbol penfold_module"), "{message}");
}

#[test]
fn module_for_another_machine_is_refused() {
    let Some(path) = compile(&[]) else { return };
    let mut bytes = fs::read(&path).expect("the module");
    // e_machine: SPARC
    bytes[18..20].copy_from_slice(&2_u16.to_ne_bytes());
    fs::write(&path, bytes).expect("to write it back");
    let (errno, message) = refusal(&path);
    assert!(errno == Errno::ENOEXEC && message.contains("another kind of machine"), "{message}");
}

#[test]
fn refusal_names_both_versions_or_both_sizes() {
    let Some(path) = compile(&["-DMORE=.abi_version = 7", "-Wno-override-init"]) else { return };
    let (errno, message) = refusal(&path);
    assert_eq!(errno, Errno::ENOEXEC);
    assert!(
        message.contains("made for version 7") && message.contains("this penfold has version 1"),
        "{message}"
    );
    let flags = ["-DMORE=.services_size = 8", "-Wno-override-init"];
    let Some(path) = compile(&flags) else { return };
    let (errno, message) = refusal(&path);
    assert_eq!(errno, Errno::ENOEXEC);
    assert!(message.contains("struct penfold_services has 8 bytes in the module"), "{message}");
}

#[test]
fn faults_of_a_description_are_named() {
    let cases: [(&str, &[&str], &str); 13] = [
        ("long-name", &["-DNAME=\"a1234567890123456789012345678901_\""], "name is too long"),
        ("bad-name", &["-DNAME=\"a.b\""], "is not 1 to 32 letters"),
        ("no-name", &["-DNAME=\"\""], "is not 1 to 32 letters"),
        ("latin", &["-DSUMMARY=\"caf\\xe9\""], "summary is not UTF-8"),
        ("escape", &["-DVERSION=\"\\033[2J\""], "version has control characters"),
        ("count", &["-DMORE=.file_count = 4000000000u"], "number of files is 4000000000"),
        ("far", &["-DMORE=.files = (const struct penfold_file *)0x7ffffff0"], "the file has no"),
        ("null", &["-DMORE=.files = NULL"], "but gives NULL"),
        ("odd", &["-DMORE=.files = (const struct penfold_file *)3"], "not aligned"),
        ("create", &["-DMORE=.create = NULL"], "has no create"),
        (
            "readers",
            &["-DFILES={ .name = \"x\", .read_u64 = value_read, .read_map = stats_read }"],
            "2 handlers to read",
        ),
        ("twice", &["-DFILES={ .name = \"value\" }"], "two files named \"value\""),
        ("refusing", &["-DMORE=.refusing_file = \"nothing\""], "names the file \"nothing\""),
    ];
    for (name, flags, expected) in cases {
        let flags = [flags, &["-Wno-override-init"]].concat();
        let Some(path) = compile(&flags) else { return };
        let (errno, message) = refusal(&path);
        assert!(message.contains(expected), "{name}: {message}");
        let wanted = if name == "far" { Errno::ENOEXEC } else { Errno::EINVAL };
        assert_eq!(errno, wanted, "{name}: {message}");
        assert!(message.contains(&path.path().display().to_string()), "{message}");
    }
}

/// A file that is cut or changed anywhere gives a description or an error, and no crash.
#[test]
fn damaged_file_gives_an_answer() {
    let Some(path) = compile(&["-s", "-DRULES"]) else { return };
    let bytes = fs::read(&path).expect("the module");
    for length in (0..bytes.len()).step_by(241) {
        fs::write(&path, &bytes[..length]).expect("to cut it");
        let _ = inspect(&path);
    }
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..1000 {
        let mut changed = bytes.clone();
        for _ in 0..4 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = (random >> 8) as usize % bytes.len();
            // half of them where the headers are
            let at = if random & 1 == 0 { at % 1024 } else { at };
            changed[at] = (random >> 40) as u8;
        }
        fs::write(&path, &changed).expect("to change it");
        let _ = inspect(&path);
    }
}
