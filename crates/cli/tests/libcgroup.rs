//! The tools of libcgroup by their names: same flags, same output.

mod common;

use std::os::unix::fs::symlink;

use common::{FinishedRun, PENFOLD, Sleeper, TestDaemon, TestUser, users};
use penfold_testkit::{is_root, needs, skip};

/// Runs penfold by the name of a tool.
#[track_caller]
fn tool(daemon: &TestDaemon, name: &str, words: &[&str]) -> FinishedRun {
    let directory = daemon.socket().with_file_name("tools");
    let _ = std::fs::create_dir(&directory);
    let link = directory.join(name);
    if !link.exists() {
        // root's build directory may be closed to other users, but not the copy that a run makes of its program
        symlink(PENFOLD, &link).expect("a symbolic link");
    }
    let link = link.to_str().expect("UTF-8").to_owned();
    let words: Vec<String> = [link].into_iter().chain(words.iter().map(|word| (*word).to_owned())).collect();
    common::TestRun::new(words).env("PENFOLD_SOCKET", daemon.socket()).run()
}

#[track_caller]
fn says(daemon: &TestDaemon, name: &str, words: &[&str]) -> String {
    tool(daemon, name, words).succeeded().stdout
}

fn daemon() -> TestDaemon {
    TestDaemon::start(TestUser::Same, &["cpuset,cpuacct,clone_children", "pids", "none,name=foo"])
}

#[test]
fn cgcreate_and_cgdelete_work_in_every_hierarchy_named() {
    let daemon = daemon();
    says(&daemon, "cgcreate", &["-g", "cpuset,cpuacct,pids:/student", "-g", "name=foo:a/b"]);
    says(&daemon, "cgcreate", &["-g", "*:/everywhere"]);
    let all = "cpuset,cpuacct:/\ncpuset,cpuacct:/student\ncpuset,cpuacct:/everywhere\npids:/\npids:/student\n\
               pids:/everywhere\nname=foo:/\nname=foo:/a\nname=foo:/a/b\nname=foo:/everywhere\n";
    let mut listed: Vec<String> = says(&daemon, "lscgroup", &[]).lines().map(str::to_owned).collect();
    let mut expected: Vec<&str> = all.lines().collect();
    listed.sort();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert_eq!(says(&daemon, "lscgroup", &["-g", "pids:/student"]), "pids:/student\n");
    assert_eq!(says(&daemon, "lscgroup", &["name=foo:/a"]), "name=foo:/a\nname=foo:/a/b\n");
    let refused = tool(&daemon, "cgdelete", &["name=foo:/a"]);
    assert!(refused.code() == 1 && refused.stderr.contains("[EBUSY]"), "{refused:?}");
    says(&daemon, "cgdelete", &["-r", "-g", "name=foo:/a"]);
    says(&daemon, "cgdelete", &["*:/everywhere", "pids,cpuset:student"]);
    assert_eq!(says(&daemon, "lscgroup", &["pids:/", "name=foo:/"]), "pids:/\nname=foo:/\n");
    let refused = tool(&daemon, "cgcreate", &["-g", "memory:/x"]);
    assert!(refused.code() == 1 && refused.stderr.contains("memory: not mounted"), "{refused:?}");
}

#[test]
fn cgcreate_gives_owners_and_permissions() {
    if !is_root() {
        return skip("giving away needs root");
    }
    let daemon = daemon();
    let owners = ["-a", "65534:65534", "-t", "1:1", "-d", "750", "-f", "777", "-s", "666"];
    let words: Vec<&str> = owners.into_iter().chain(["-g", "pids:/a"]).collect();
    says(&daemon, "cgcreate", &words);
    let long = daemon.says(&["ls", "-la", "pids:/a"]);
    let line = |name: &str| {
        let line = long.lines().find(|line| line.ends_with(&format!(" {name}"))).expect("the file");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // at most the owner's permissions: 0644 gives 0666, 0444 gives 0444
    assert_eq!(line("pids.max"), "-rw-rw-rw- 65534 65534 pids.max");
    assert_eq!(line("pids.current"), "-r--r--r-- 65534 65534 pids.current");
    assert_eq!(line("tasks"), "-rw-rw-rw- 1 1 tasks");
    assert!(daemon.says(&["ls", "-ld", "pids:/a"]).contains("drwxr-x---  65534  65534"));
}

#[test]
fn cgset_and_cgget_have_their_formats() {
    let daemon = daemon();
    says(&daemon, "cgcreate", &["-g", "cpuset,pids:/first", "-g", "cpuset,pids:/second"]);
    says(&daemon, "cgset", &["-r", "pids.max=10", "-r", "cpuset.cpus=0", "first", "/second"]);
    let both = "first:\ncpuset.cpus: 0\npids.max: 10\n\nsecond:\ncpuset.cpus: 0\npids.max: 10\n\n";
    assert_eq!(says(&daemon, "cgget", &["-r", "cpuset.cpus", "-r", "pids.max", "first", "second"]), both);
    assert_eq!(says(&daemon, "cgget", &["-n", "-r", "pids.max", "first"]), "pids.max: 10\n");
    assert_eq!(says(&daemon, "cgget", &["-nv", "-r", "pids.max", "first", "second"]), "10\n10\n");
    let stat = says(&daemon, "cgget", &["-r", "cpuacct.stat", "/"]);
    assert!(
        stat.starts_with("/:\ncpuacct.stat: user ") && stat.contains("\n\tsystem ") && stat.ends_with("\n\n"),
        "{stat}"
    );
    let pids = says(&daemon, "cgget", &["-g", "pids:/first"]);
    assert!(pids.starts_with("/first:\n") && pids.contains("pids.max: 10\n"), "{pids}");
    assert!(!pids.contains("cpuset"), "{pids}");
    let all = says(&daemon, "cgget", &["-a", "first"]);
    assert!(all.contains("pids.max: 10\n") && all.contains("cpuset.cpus: 0\n"), "{all}");
    says(&daemon, "cgset", &["-r", "pids.max=33", "first"]);
    says(&daemon, "cgset", &["--copy-from", "first", "second"]);
    assert_eq!(says(&daemon, "cgget", &["-nv", "-r", "pids.max", "second"]), "33\n");
    let refused = tool(&daemon, "cgset", &["-r", "pids.max=no", "-r", "pids.max=5", "first"]);
    let told = "penfold: 2:/first/pids.max: takes 'max' or a number from 0 to 4194304 [EINVAL]\n";
    assert_eq!((refused.code(), refused.stderr.as_str()), (1, told));
    assert_eq!(says(&daemon, "cgget", &["-nv", "-r", "pids.max", "first"]), "5\n");
    assert_eq!(tool(&daemon, "cgget", &["-r", "pids.none", "first"]).code(), 1);
}

#[test]
fn cgexec_and_cgclassify_reach_all_named_hierarchies() {
    needs!("setpriv");
    for user in users().into_iter().take(1) {
        let daemon = daemon();
        says(&daemon, "cgcreate", &["-g", "cpuacct,pids:/a"]);
        let inside =
            says(&daemon, "cgexec", &["--sticky", "-g", "cpuacct,pids:a", PENFOLD, "proc", "cgroup"]);
        assert!(inside.contains("cpuset,cpuacct:/a\n") && inside.contains("pids:/a\n"), "{inside}");
        assert_eq!(tool(&daemon, "cgexec", &["-g", "pids:a", "sh", "-c", "exit 4"]).code(), 4);
        let mut sleeper = Sleeper::start(user);
        says(&daemon, "cgclassify", &["-g", "cpuacct:/a", &sleeper.pid()]);
        assert!(daemon.says(&["proc", "cgroup", &sleeper.pid()]).contains("cpuset,cpuacct:/a\n"));
        // after the deletion its tasks are in the parent
        says(&daemon, "cgdelete", &["cpuacct:/a"]);
        assert!(daemon.says(&["proc", "cgroup", &sleeper.pid()]).contains("cpuset,cpuacct:/\n"));
        assert!(!sleeper.is_dead());
    }
}

#[test]
fn lssubsys_lists_hierarchies_by_controller() {
    let daemon = daemon();
    let lines = |words: &[&str]| {
        let text = says(&daemon, "lssubsys", words);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mounted = lines(&[]);
    assert!(
        mounted.contains(&"cpuset,cpuacct".to_owned()) && mounted.contains(&"pids".to_owned()),
        "{mounted:?}"
    );
    assert!(!mounted.contains(&"freezer".to_owned()));
    assert!(lines(&["-a"]).contains(&"freezer".to_owned()));
    assert_eq!(lines(&["-i", "pids"]), ["pids 2"]);
    assert_eq!(lines(&["cpuacct"]), ["cpuset,cpuacct"]);
}

#[test]
fn libcgroup_tools_are_verbs_too() {
    let daemon = daemon();
    daemon.says(&["cgcreate", "-g", "pids:/a"]);
    assert_eq!(daemon.says(&["lscgroup", "pids:/"]), "pids:/\npids:/a\n");
    assert_eq!(daemon.run(&["cgcreate"]).code(), 125);
}
