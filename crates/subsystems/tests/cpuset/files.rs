//! The files: their defaults, the values that they take, and their output.

use penfold_core::Errno;

use super::{Cpusets as _, world, world_with};

#[test]
fn defaults_of_the_root_and_of_a_child() {
    let mut w = world();
    let (root, child) = (w.top, w.mkdir(w.top, "g"));
    for (file, of_root, of_child) in [
        ("cpus", "0-1\n", "\n"),
        ("mems", "0\n", "\n"),
        ("effective_cpus", "0-1\n", "\n"),
        ("effective_mems", "0\n", "\n"),
        ("cpu_exclusive", "1\n", "0\n"),
        ("mem_exclusive", "1\n", "0\n"),
        ("mem_hardwall", "0\n", "0\n"),
        ("memory_migrate", "0\n", "0\n"),
        ("memory_pressure", "0\n", "0\n"),
        ("memory_spread_page", "0\n", "0\n"),
        ("memory_spread_slab", "0\n", "0\n"),
        ("sched_load_balance", "1\n", "1\n"),
        ("sched_relax_domain_level", "-1\n", "-1\n"),
    ] {
        assert_eq!(
            (w.read(root, file).as_str(), w.read(child, file).as_str()),
            (of_root, of_child),
            "{file}"
        );
    }
    assert_eq!(w.read(root, "memory_pressure_enabled"), "0\n");
    assert!(!w.has_file(child, "memory_pressure_enabled"));
}

#[test]
fn read_only_files_have_mode_0444_and_refuse_a_write() {
    let mut w = world();
    for file in ["memory_pressure", "effective_cpus", "effective_mems"] {
        let id = w.file(w.top, file);
        assert_eq!(w.engine.file_owner(w.top, id).unwrap().mode, 0o444, "{file}");
        assert_eq!(w.try_write(w.top, file, "0"), Err(Errno::EINVAL), "{file}");
        assert_eq!(w.try_write(w.top, file, ""), Ok(()), "{file}");
    }
}

#[test]
fn lists_as_the_kernel_reads_them() {
    let mut w = world();
    let parent = w.cpuset(w.top, "B", "0-1");
    let g = w.cpuset(parent, "g", "1");
    for (text, answer) in [
        ("0", Ok("0\n")),
        ("1,0", Ok("0-1\n")),
        ("0-1,1", Ok("0-1\n")),
        ("0,,1", Ok("0-1\n")),
        (",", Ok("\n")),
        ("0,", Ok("0\n")),
        (" 0 ", Ok("0\n")),
        ("0 1", Ok("0-1\n")),
        ("0\n1", Ok("0\n")),
        ("0-1:1/2", Ok("0\n")),
        ("0-1:0/2", Ok("\n")),
        ("N", Ok("1\n")),
        ("0-N", Ok("0-1\n")),
        ("ALL", Ok("0-1\n")),
        ("all:1/2", Ok("0\n")),
        ("", Ok("1\n")),
        ("\n", Ok("\n")),
        ("  ", Ok("\n")),
        ("01", Ok("1\n")),
        ("0\0x", Ok("0\n")),
        ("1,all", Ok("0-1\n")),
        ("0-", Err(Errno::EINVAL)),
        ("-", Err(Errno::EINVAL)),
        ("1-0", Err(Errno::EINVAL)),
        ("0 - 1", Err(Errno::EINVAL)),
        ("0- 1", Err(Errno::EINVAL)),
        ("0-1:1/0", Err(Errno::EINVAL)),
        ("0:1/1", Err(Errno::EINVAL)),
        ("0-1:1/", Err(Errno::EINVAL)),
        ("n", Err(Errno::EINVAL)),
        ("none", Err(Errno::EINVAL)),
        ("0x1", Err(Errno::EINVAL)),
        ("+0", Err(Errno::EINVAL)),
        ("0-1-1", Err(Errno::EINVAL)),
        ("2", Err(Errno::ERANGE)),
        ("0-2", Err(Errno::ERANGE)),
        ("9999", Err(Errno::ERANGE)),
        ("4294967295", Err(Errno::EINVAL)),
        ("4294967296", Err(Errno::EOVERFLOW)),
        ("99999999999999999999", Err(Errno::EOVERFLOW)),
    ] {
        w.write(g, "cpus", "1");
        let written = w.try_write(g, "cpus", text);
        assert_eq!(written, answer.map(|_| ()), "{text:?}");
        assert_eq!(w.read(g, "cpus"), answer.unwrap_or("1\n"), "{text:?}");
        assert_eq!(w.read(g, "effective_cpus"), answer.unwrap_or("1\n"), "{text:?}");
    }
}

#[test]
fn a_memory_node_that_is_not_online_is_einval_up_to_1023() {
    let mut w = world();
    let g = w.mkdir(w.top, "g");
    for (text, errno) in [
        ("1", Errno::EINVAL),
        ("1023", Errno::EINVAL),
        ("1024", Errno::ERANGE),
        ("all", Errno::EINVAL),
        ("N", Errno::EINVAL),
        ("0-1", Errno::EINVAL),
    ] {
        assert_eq!(w.try_write(g, "mems", text), Err(errno), "{text}");
    }
    assert_eq!(w.try_write(g, "mems", "0"), Ok(()));
}

#[test]
fn the_longest_writes_are_1636_and_6244_bytes() {
    let mut w = world();
    let g = w.mkdir(w.top, "g");
    for (file, longest) in [("cpus", 1636), ("mems", 6244)] {
        let text = |length: usize| format!("0{}", " ".repeat(length - 1));
        assert_eq!(w.try_write(g, file, text(longest)), Ok(()), "{file}");
        assert_eq!(w.try_write(g, file, text(longest + 1)), Err(Errno::E2BIG), "{file}");
    }
}

#[test]
fn flags_take_any_number() {
    let mut w = world();
    let g = w.mkdir(w.top, "g");
    for file in
        ["mem_hardwall", "sched_load_balance", "memory_migrate", "memory_spread_page", "memory_spread_slab"]
    {
        for (text, answer) in [
            ("1", Ok("1\n")),
            ("0", Ok("0\n")),
            ("2", Ok("1\n")),
            // the upper half of the number is lost
            ("4294967296", Ok("0\n")),
            ("4294967295", Ok("1\n")),
            ("9223372036854775808", Ok("0\n")),
            ("0x1", Ok("1\n")),
            ("", Ok("1\n")),
            ("-1", Err(Errno::EINVAL)),
            ("abc", Err(Errno::EINVAL)),
            ("1 ", Err(Errno::EINVAL)),
            ("99999999999999999999", Err(Errno::ERANGE)),
        ] {
            let written = w.try_write(g, file, text);
            assert_eq!(written, answer.map(|_| ()), "{file} {text:?}");
            assert_eq!(w.read(g, file), answer.unwrap_or("1\n"), "{file} {text:?}");
        }
    }
    for text in ["2", "4294967296"] {
        assert_eq!(w.try_write(w.top, "memory_pressure_enabled", text), Ok(()));
        assert_eq!(w.read(w.top, "memory_pressure_enabled"), "1\n");
    }
}

#[test]
fn the_relax_domain_level_goes_from_minus_1_to_2() {
    let mut w = world();
    let g = w.mkdir(w.top, "g");
    for (text, answer) in [
        ("2", Ok("2\n")),
        ("0x1", Ok("1\n")),
        ("-0", Ok("0\n")),
        ("-1", Ok("-1\n")),
        ("3", Err(Errno::EINVAL)),
        ("-2", Err(Errno::EINVAL)),
        ("\n", Err(Errno::EINVAL)),
        ("99999999999999999999", Err(Errno::ERANGE)),
    ] {
        assert_eq!(w.try_write(g, "sched_relax_domain_level", text), answer.map(|_| ()), "{text:?}");
        assert_eq!(w.read(g, "sched_relax_domain_level"), answer.unwrap_or("-1\n"), "{text:?}");
    }
}

#[test]
fn root_takes_flags_and_refuses_any_list() {
    let mut w = world();
    for text in ["0-1", "abc", "9999"] {
        assert_eq!(w.try_write(w.top, "cpus", text), Err(Errno::EACCES), "{text}");
        assert_eq!(w.try_write(w.top, "mems", text), Err(Errno::EACCES), "{text}");
    }
    assert_eq!(w.try_write(w.top, "cpus", ""), Ok(()));
    assert_eq!(w.try_write(w.top, "cpu_exclusive", "1"), Ok(()));
    assert_eq!(w.try_write(w.top, "sched_load_balance", "0"), Ok(()));
}

#[test]
fn the_old_file_system_type_has_the_files_without_prefix() {
    let w = world_with(2, "cpuset,noprefix");
    for file in ["cpus", "mems", "memory_pressure_enabled"] {
        assert!(w.files(w.top).iter().any(|name| name == file), "{file}");
    }
}
