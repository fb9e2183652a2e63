//! Control files: names, modes, parsing, limits (B2, B3, B6, B7, D3), as measured on Linux 6.18.

mod common;

use common::{Probe, world_with};
use penfold_core::{Access, Caller, Errno, Owner, Tid};
use penfold_testkit::SimWorld;

fn named() -> (SimWorld, penfold_core::CgroupId) {
    let mut world = world_with(&["p"]);
    let top = world.mount("p");
    (world, top)
}

/// B2: the table, and its modes.
#[test]
fn directory_has_the_measured_files() {
    let (mut world, top) = named();
    let child = world.mkdir(top, "g");
    let entries = |world: &SimWorld, cgroup| -> Vec<(String, u32)> {
        let files = world.engine.files(cgroup).unwrap();
        files.into_iter().map(|entry| (entry.name, entry.owner.mode)).collect()
    };
    let of_probe = [
        ("p.value", 0o644),
        ("p.signed", 0o644),
        ("p.text", 0o644),
        ("p.map", 0o444),
        ("p.kick", 0o200),
        ("p.usage", 0o444),
        ("p.limit", 0o200),
        ("p.refuse", 0o200),
    ];
    let root = [
        ("cgroup.procs", 0o644),
        ("cgroup.clone_children", 0o644),
        ("cgroup.sane_behavior", 0o444),
        ("tasks", 0o644),
        ("notify_on_release", 0o644),
        ("release_agent", 0o644),
    ];
    let owned =
        |list: &[(&str, u32)]| list.iter().map(|&(name, mode)| (name.to_owned(), mode)).collect::<Vec<_>>();
    let expected = [owned(&root), owned(&of_probe), owned(&[("p.top", 0o444)])].concat();
    assert_eq!(entries(&world, top), expected);
    let generic: Vec<_> =
        root.into_iter().filter(|(name, _)| !name.contains("sane") && *name != "release_agent").collect();
    let expected = [owned(&generic), owned(&of_probe), owned(&[("p.below", 0o600)])].concat();
    assert_eq!(entries(&world, child), expected);
    assert_eq!(world.try_read(child, "release_agent"), Err(Errno::ENOENT));
    for entry in world.engine.files(child).unwrap() {
        assert_eq!(world.engine.find_file(child, &entry.name), Some(entry.id));
        assert_eq!(world.engine.file_name(child, entry.id), entry.name);
    }
}

/// B3.7: the measured writes to number files; a refused write changes nothing.
#[test]
fn number_file_parses_as_kstrtoull() {
    let (mut world, top) = named();
    let padded = |length: usize| format!("{}1", "0".repeat(length - 1));
    let (page, more) = (padded(4096), padded(4097));
    let vectors: &[(&str, Result<u64, Errno>)] = &[
        ("1", Ok(1)),
        ("0", Ok(0)),
        ("1\n", Ok(1)),
        ("2", Ok(2)),
        ("0x1", Ok(1)),
        ("010", Ok(8)),
        ("+1", Ok(1)),
        ("999999999999999999", Ok(999_999_999_999_999_999)),
        ("18446744073709551615", Ok(u64::MAX)),
        ("1\0", Ok(1)),
        ("1\0x", Ok(1)),
        (&page, Ok(1)),
        ("-1", Err(Errno::EINVAL)),
        ("-0", Err(Errno::EINVAL)),
        (" 1", Err(Errno::EINVAL)),
        ("1 ", Err(Errno::EINVAL)),
        ("1\t", Err(Errno::EINVAL)),
        ("1\r\n", Err(Errno::EINVAL)),
        ("1\n\n", Err(Errno::EINVAL)),
        ("\n1", Err(Errno::EINVAL)),
        ("\n", Err(Errno::EINVAL)),
        (" ", Err(Errno::EINVAL)),
        ("\0", Err(Errno::EINVAL)),
        ("abc", Err(Errno::EINVAL)),
        ("1 0", Err(Errno::EINVAL)),
        ("0x", Err(Errno::EINVAL)),
        ("true", Err(Errno::EINVAL)),
        ("99999999999999999999", Err(Errno::ERANGE)),
        ("18446744073709551616", Err(Errno::ERANGE)),
        (&more, Err(Errno::E2BIG)),
    ];
    for (text, expected) in vectors {
        world.write(top, "p.value", "77");
        assert_eq!(world.try_write(top, "p.value", text), expected.map(|_| ()), "{text:?}");
        assert_eq!(world.read(top, "p.value"), format!("{}\n", expected.unwrap_or(77)), "{text:?}");
        for flag in ["notify_on_release", "cgroup.clone_children"] {
            world.write(top, flag, "0");
            assert_eq!(world.try_write(top, flag, text), expected.map(|_| ()), "{text:?} to {flag}");
            let on = u8::from(expected.is_ok_and(|number| number != 0));
            assert_eq!(world.read(top, flag), format!("{on}\n"), "{text:?} to {flag}");
        }
    }
    assert_eq!(world.try_write(top, "p.signed", "-0x10\n"), Ok(()));
    assert_eq!(world.read(top, "p.signed"), "-16\n");
    assert_eq!(world.try_write(top, "p.signed", "--1"), Err(Errno::EINVAL));
    assert_eq!(world.try_write(top, "p.signed", "9223372036854775808"), Err(Errno::ERANGE));
}

/// An empty write succeeds and does nothing, also on a file that can not be written.
#[test]
fn empty_write_does_nothing() {
    let (mut world, top) = named();
    let files: Vec<String> = world.files(top);
    let before: Vec<_> = files.iter().map(|file| world.try_read(top, file)).collect();
    for file in &files {
        assert_eq!(world.try_write(top, file, ""), Ok(()), "{file}");
    }
    let after: Vec<_> = files.iter().map(|file| world.try_read(top, file)).collect();
    assert_eq!(before, after);
    assert_eq!(world.read(top, "p.value"), "0\n", "the trigger did not fire");
}

/// D3: strings are stripped and have a limit of their own, a trigger takes anything, a map has lines.
#[test]
fn text_trigger_and_map_files_have_their_own_rules() {
    let (mut world, top) = named();
    assert_eq!(world.try_write(top, "p.text", " \t a b \n\n"), Ok(()));
    assert_eq!(world.read(top, "p.text"), "a b");
    assert_eq!(world.try_write(top, "p.text", "0123456789abcdef"), Ok(()));
    assert_eq!(world.try_write(top, "p.text", "0123456789abcdefg"), Err(Errno::E2BIG));
    assert_eq!(world.try_write(top, "p.text", b"\xff"), Err(Errno::EINVAL));
    assert_eq!(world.read(top, "p.text"), "0123456789abcdef");
    assert_eq!(world.try_write(top, "p.kick", vec![0xff; 10_000]), Ok(()));
    assert_eq!(world.read(top, "p.map"), "value 5\ntasks 0\n");
    assert_eq!(world.try_write(top, "p.map", "1"), Err(Errno::EINVAL));
    assert_eq!(world.try_read(top, "p.kick"), Err(Errno::EINVAL));
    assert_eq!(world.try_write(top, "cgroup.sane_behavior", "1"), Err(Errno::EINVAL));
    assert_eq!(world.read(top, "cgroup.sane_behavior"), "0\n");
    assert_eq!(world.try_read(top, "p.nothing"), Err(Errno::ENOENT));
    assert_eq!(world.try_read(top, "value"), Err(Errno::ENOENT));
}

/// B6.3, B6.4: the measured writes to `release_agent`.
#[test]
fn release_agent_is_a_stripped_path() {
    let (mut world, top) = named();
    let (fits, big) = (format!("/{}", "a".repeat(4094)), format!("/{}", "a".repeat(4095)));
    for (text, expected) in [
        ("/bin/true", Ok("/bin/true")),
        ("/bin/true\n", Ok("/bin/true")),
        ("  /a b  \n", Ok("/a b")),
        ("/a\n/b", Ok("/a\n/b")),
        ("", Ok("/prev")),
        ("\n", Ok("")),
        (" ", Ok("")),
        ("/a\0b", Ok("/a")),
        (&*fits, Ok(&*fits)),
        (&*big, Err(Errno::E2BIG)),
    ] {
        world.write(top, "release_agent", "/prev");
        assert_eq!(world.try_write(top, "release_agent", text), expected.map(|_| ()));
        assert_eq!(world.read(top, "release_agent"), format!("{}\n", expected.unwrap_or("/prev")));
    }
    world.set_file_owner(top, "release_agent", Owner { uid: 1000, gid: 1000, mode: 0o666 });
    world.as_caller(&Caller::user(Tid(1), 1000, 1000), |world| {
        assert!(world.try_open(top, "release_agent", Access::WRITE).is_ok());
        assert_eq!(world.try_write(top, "release_agent", "/x"), Err(Errno::EPERM), "its mode is not enough");
    });
}

/// B6.3: any bytes but NUL; the white space at both ends is that of Latin-1.
#[test]
fn release_agent_may_be_any_bytes() {
    let (mut world, top) = named();
    let file = world.file(top, "release_agent");
    for (written, read) in [
        (&b"/\xff\xfe b\xc3"[..], &b"/\xff\xfe b\xc3\n"[..]),
        (b" /\xe9\n", b"/\xe9\n"),
        (b"\xa0/\xa0x\xa0\n", b"/\xa0x\n"),
        ("/\u{e0}".as_bytes(), b"/\xc3\n"),
        (b"\xa0", b"\n"),
        (b"/\xff\0\xff", b"/\xff\n"),
    ] {
        world.write(top, "release_agent", written);
        let content = world.try_read_opened(top, file).unwrap();
        assert_eq!(content.escape_ascii().to_string(), read.escape_ascii().to_string());
    }
}

/// Measured: the kernel's `isspace` knows Latin-1, and a number out of range is refused as such whatever follows.
#[test]
fn bytes_beyond_text_are_parsed_as_by_the_kernel() {
    let (mut world, top) = named();
    let task = world.spawn();
    for (file, content, expected) in [
        ("tasks", format!("{task}\u{a0}").into_bytes(), Err(Errno::EINVAL)),
        ("tasks", [b"\xa0", task.to_string().as_bytes(), b"\xa0\n"].concat(), Ok(())),
        ("tasks", [task.to_string().as_bytes(), b"\xff"].concat(), Err(Errno::EINVAL)),
        ("p.value", b"1\xa0".to_vec(), Err(Errno::EINVAL)),
        ("p.value", b"1\xff".to_vec(), Err(Errno::EINVAL)),
        ("p.value", b"1\0\xff".to_vec(), Ok(())),
        ("p.value", b"99999999999999999999\xff".to_vec(), Err(Errno::ERANGE)),
        ("p.signed", b"-99999999999999999999\xff".to_vec(), Err(Errno::ERANGE)),
        ("notify_on_release", b"99999999999999999999\xff".to_vec(), Err(Errno::ERANGE)),
        ("p.text", b"\xa0a\xa0b\xa0".to_vec(), Ok(())),
        ("p.text", b"a\xa0\xff".to_vec(), Err(Errno::EINVAL)),
    ] {
        assert_eq!(world.try_write(top, file, &content), expected, "{} to {file}", content.escape_ascii());
    }
    assert_eq!(world.read(top, "p.text"), "a b");
}

/// open(2) checks the owner and the mode of a control file, read(2) and write(2) do not.
#[test]
fn owner_and_mode_decide_who_opens_a_file() {
    let (mut world, top) = named();
    let user = Caller::user(Tid(1), 1000, 50);
    let mut member = Caller::user(Tid(1), 1001, 1001);
    member.groups = vec![50];
    let allowed = |world: &mut SimWorld, caller: &Caller, access| {
        world.as_caller(caller, |world| world.try_open(top, "p.value", access)).is_ok()
    };
    assert!(allowed(&mut world, &user, Access::READ) && !allowed(&mut world, &user, Access::WRITE));
    let given = Owner { uid: 1000, gid: 50, mode: 0o640 };
    let give = |world: &mut SimWorld, owner| world.try_set_file_owner(top, "p.value", owner);
    assert_eq!(world.as_caller(&user, |world| give(world, given)), Err(Errno::EPERM));
    assert_eq!(give(&mut world, given), Ok(()));
    assert!(allowed(&mut world, &user, Access::READ | Access::WRITE));
    assert!(allowed(&mut world, &member, Access::READ) && !allowed(&mut world, &member, Access::WRITE));
    assert!(!allowed(&mut world, &Caller::user(Tid(1), 7, 7), Access::READ));
    let closed = Owner { mode: 0o600, ..given };
    assert_eq!(world.as_caller(&user, |world| give(world, closed)), Ok(()));
    assert!(!allowed(&mut world, &member, Access::READ), "its owner may change the mode");
}

/// A clashing table of files is refused before anything is loaded.
#[test]
fn clashing_file_table_is_refused() {
    for (name, file) in
        [("p", "value"), ("p", ""), ("p", "a/b"), ("p", "a\nb"), ("cgroup", "procs"), ("cpuset", "tasks")]
    {
        let mut world = SimWorld::new();
        let probe = Probe { more_files: vec![file], ..Probe::plain(name) };
        assert_eq!(world.try_load(probe), Err(Errno::EINVAL), "{name}.{file}");
        assert_eq!(world.engine.subsystems().count(), 0);
    }
    let probe = Probe { more_files: vec!["tasks"], ..Probe::plain("p") };
    assert!(SimWorld::new().try_load(probe).is_ok(), "with a prefix it does not clash");
}
