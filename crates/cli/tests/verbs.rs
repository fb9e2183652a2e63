//! Every verb against a daemon of the test, as root and as a user without any right.

mod common;

use common::{Sleeper, TestDaemon, users};
use penfold_testkit::{is_root, needs, skip, wait_until};

#[test]
fn cgroups_are_made_listed_renamed_and_removed() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["pids"]);
        daemon.says(&["mkdir", "/a", "pids:/b"]);
        daemon.says(&["mkdir", "-p", "-m", "700", "/a/x/y"]);
        assert_eq!(daemon.says(&["ls", "/"]), "a\nb\n");
        assert_eq!(daemon.says(&["ls", "-R", "/"]), "/a\n/a/x\n/a/x/y\n/b\n");
        assert_eq!(daemon.says(&["ls", "-d", "/a/x"]), "/a/x\n");
        assert!(daemon.says(&["ls", "-a", "/a"]).lines().any(|line| line == "pids.max"));
        let long = daemon.says(&["ls", "-l", "/a/x"]);
        assert!(
            long.lines().nth(1).is_some_and(|line| line.starts_with("drwx------ ") && line.ends_with(" y")),
            "{long}"
        );
        assert_eq!(daemon.says(&["tree"]), "pids:/\n├── a\n│   └── x\n│       └── y\n└── b\n");
        assert_eq!(daemon.says(&["tree", "-L", "1", "/"]), "/\n├── a\n└── b\n");
        let json = daemon.json(&["ls", "--json", "/"]);
        assert_eq!(
            (&json[0]["cgroups"][1]["path"], &json[0]["cgroups"][0]["children"]),
            (&"/b".into(), &1.into())
        );
        assert_eq!(daemon.json(&["tree", "--json"])[0].as_array().map(Vec::len), Some(5));
        daemon.says(&["mv", "/b", "c"]);
        daemon.says(&["mv", "/c", "/d"]);
        daemon.refuses(&["mv", "/d", "/a/d"], &[&["/d", "another parent", "[EXDEV]"]]);
        daemon.refuses(&["rmdir", "/a"], &[&["/a: ", "[EBUSY]"]]);
        daemon.says(&["rmdir", "-r", "/a", "/d"]);
        assert_eq!(daemon.says(&["ls", "/"]), "");
    }
}

#[test]
fn failed_operand_does_not_stop_the_others() {
    let daemon = TestDaemon::start(common::TestUser::Same, &["pids"]);
    daemon.says(&["mkdir", "/there"]);
    daemon.refuses(
        &["mkdir", "/there", "/new", "/none/x"],
        &[&["/there", "[EEXIST]"], &["/none/x", "[ENOENT]"]],
    );
    assert_eq!(daemon.says(&["ls", "/"]), "there\nnew\n");
    daemon.refuses(
        &["set", "/new", "pids.max=no", "pids.max=7", "nothing=1"],
        &[&["/new/pids.max: ", "[EINVAL]"], &["/new/nothing: ", "[ENOENT]"]],
    );
    assert_eq!(daemon.says(&["cat", "/new", "pids.max"]), "7\n");
    daemon.refuses(&["cat", "/new", "pids.max", "pids.none"], &[&["pids.none", "[ENOENT]"]]);
}

#[test]
fn files_are_read_and_written() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["pids,freezer"]);
        daemon.says(&["mkdir", "/a"]);
        daemon.says(&["set", "/a", "pids.max=12", "notify_on_release=1"]);
        daemon.says(&["write", "/a", "freezer.state=FROZEN"]);
        assert_eq!(daemon.says(&["cat", "/a/pids.max"]), "12\n");
        assert_eq!(
            daemon.says(&["get", "/a", "pids.max", "pids.current"]),
            "pids.max: 12\npids.current: 0\n"
        );
        let all = daemon.json(&["get", "--json", "/a"]);
        assert_eq!((&all["pids.max"], &all["notify_on_release"]), (&"12\n".into(), &"1\n".into()));
        assert_eq!(all["freezer.state"], "FROZEN\n");
        daemon.refuses(&["cat", "/none"], &[&["none", "[ENOENT]"]]);
    }
}

#[test]
fn owners_and_permissions_are_changed() {
    if !is_root() {
        return skip("giving away needs root");
    }
    let daemon = TestDaemon::start(common::TestUser::Same, &["pids"]);
    daemon.says(&["mkdir", "/a"]);
    daemon.says(&["chown", "-a", "65534:65534", "/a"]);
    daemon.says(&["chmod", "750", "/a"]);
    daemon.says(&["chmod", "660", "/a", "pids.max"]);
    let long = daemon.says(&["ls", "-la", "/a"]);
    let line = |name: &str| {
        long.lines().find(|line| line.ends_with(&format!(" {name}"))).expect("the file").to_owned()
    };
    assert!(line("pids.max").starts_with("-rw-rw----  65534  65534"), "{long}");
    assert!(line("tasks").contains("65534"), "{long}");
    assert!(daemon.says(&["ls", "-ld", "/a"]).contains("drwxr-x---  65534  65534"));
    // the new owner may work in the cgroup, and nowhere else
    let nobody = |words: &[&str]| daemon.verb(words).user(common::TestUser::Nobody).run();
    std::fs::set_permissions(daemon.socket(), std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .expect("chmod");
    assert!(nobody(&["mkdir", "/a/own"]).status.success());
    assert!(nobody(&["set", "/a", "pids.max=3"]).status.success());
    let refused = nobody(&["mkdir", "/other"]);
    assert!(refused.code() == 1 && refused.stderr.contains("[EACCES]"), "{refused:?}");
}

#[test]
fn running_processes_are_attached_each_by_itself() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["cpuacct"]);
        daemon.says(&["mkdir", "/a"]);
        let (one, two) = (Sleeper::start(user), Sleeper::start(user));
        daemon.refuses(&["attach", "/a", &one.pid(), "4194303", &two.pid()], &[&["4194303", "[ESRCH]"]]);
        let listed = daemon.json(&["ps", "--json", "/a"]);
        let mut pids: Vec<String> = (0..2).map(|at| listed[at]["process"].to_string()).collect();
        let mut expected = vec![one.pid(), two.pid()];
        pids.sort();
        expected.sort();
        assert_eq!((pids, &listed[0]["command"]), (expected, &"sleep".into()));
        assert!(daemon.says(&["ps"]).contains("sleep    1:/a"), "{}", daemon.says(&["ps"]));
        assert!(daemon.says(&["proc", "cgroup", &one.pid()]).starts_with("1:cpuacct:/a\n"));
        assert!(daemon.says(&["ps", "--threads", "/a"]).lines().count() == 3);
    }
}

#[test]
fn kill_and_signals_reach_every_process() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["cpuacct"]);
        daemon.says(&["mkdir", "-p", "/a/b"]);
        let (mut one, mut two) = (Sleeper::start(user), Sleeper::start(user));
        daemon.says(&["attach", "/a", &one.pid()]);
        daemon.says(&["attach", "/a/b", &two.pid()]);
        assert_eq!(daemon.says(&["kill", "-v", "--signal", "TERM", "/a"]), "/a: 1 process\n");
        wait_until("the signal has killed it", || one.is_dead());
        assert!(!two.is_dead());
        assert_eq!(daemon.says(&["kill", "-v", "/a"]), "/a: 1 process\n");
        wait_until("it is dead", || two.is_dead());
        daemon.says(&["rmdir", "-r", "/a"]);
        assert_eq!(daemon.run(&["kill", "--signal", "NONE", "/a"]).code(), 125);
    }
}

#[test]
fn freeze_and_thaw_wait_for_the_state() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["freezer", "pids"]);
        daemon.says(&["mkdir", "freezer:/a"]);
        let mut sleeper = Sleeper::start(user);
        daemon.says(&["attach", "freezer:/a", &sleeper.pid()]);
        daemon.says(&["freeze", "--wait", "/a"]);
        assert_eq!(daemon.says(&["cat", "freezer:/a", "freezer.state"]), "FROZEN\n");
        daemon.says(&["kill", "--signal", "TERM", "freezer:/a"]);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!sleeper.is_dead(), "frozen, it takes no signal");
        daemon.says(&["thaw", "--wait", "/a"]);
        wait_until("thawed, it dies of the signal", || sleeper.is_dead());
        daemon.refuses(&["freeze", "/none"], &[&["/none", "[ENOENT]"]]);
    }
}

#[test]
fn events_are_printed_as_they_happen() {
    let daemon = TestDaemon::start(common::TestUser::Same, &["pids"]);
    let mut watching =
        daemon.verb(&["events", "-n", "2", "--json", "-k", "created", "-k", "removed"]).start();
    wait_until("it says that it watches", || watching.stderr() == "Watching.\n");
    daemon.says(&["mkdir", "/a"]);
    daemon.says(&["rmdir", "/a"]);
    watching.wait();
    let ended = watching.finish().succeeded();
    assert_eq!(ended.stderr, "Watching.\n");
    let events: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["created", "removed"]);
    assert_eq!(events[0]["cgroup"], "1:/a");
}

#[test]
fn overviews_show_subsystems_and_hierarchies() {
    let daemon = TestDaemon::start(common::TestUser::Same, &["pids,cpuacct", "none,name=mine"]);
    let subsystems = daemon.json(&["subsystems", "--json"]);
    let of = |name: &str| {
        let all = subsystems.as_array().expect("a list").iter();
        all.clone().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}"))["hierarchy"].clone()
    };
    assert_eq!((of("pids"), of("cpuacct"), of("freezer")), (1.into(), 1.into(), 0.into()));
    assert!(daemon.says(&["subsystems"]).starts_with("SUBSYSTEM  HIERARCHY  CGROUPS  ORIGIN    FILE\n"));
    let hierarchies = daemon.json(&["hierarchies", "--json"]);
    assert!(hierarchies.as_array().expect("a list").iter().any(|one| one["name"] == "mine"));
    assert!(daemon.says(&["hierarchies"]).contains("mine"));
    assert!(daemon.says(&["proc", "cgroups"]).starts_with("#subsys_name\thierarchy\tnum_cgroups\tenabled\n"));
    assert_eq!(daemon.json(&["proc", "--json", "cgroups"])[0][0], "#subsys_name");
    // with two hierarchies an address names one
    daemon.refuses(&["mkdir", "/a"], &[&["/a", "hierarch"]]);
    daemon.says(&["mkdir", "mine:/a", "2:/b", "cpuacct:/c"]);
}

#[test]
fn top_measures_cpu_between_two_samples() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["pids,cpuacct"]);
        daemon.says(&["mkdir", "/busy", "/idle"]);
        daemon.says(&["set", "/busy", "pids.max=10"]);
        let busy = daemon.verb(&["exec", "/busy", "--", "sh", "-c", "while :; do :; done"]).limit(60).start();
        let idle = daemon.verb(&["exec", "/idle", "--", "sleep", "1000"]).limit(60).start();
        let there = |path: &str| daemon.says(&["cat", path, "pids.current"]) == "1\n";
        wait_until("both run", || there("/busy") && there("/idle"));
        let rows = daemon.json(&["top", "--once", "--json", "--interval", "0.5"]);
        let row = |path: &str| {
            let all = rows.as_array().expect("a list").iter();
            all.clone().find(|row| row["cgroup"] == format!("1:{path}")).expect("its row").clone()
        };
        let percent = |path| row(path)["cpu_percent"].as_f64().expect("a number");
        assert!(percent("/busy") > 5.0 && percent("/busy") <= 150.0, "{rows:#}");
        assert!(percent("/idle") < 5.0, "{rows:#}");
        assert_eq!((&row("/busy")["tasks"], &row("/busy")["limit_percent"]), (&1.into(), &10.0.into()));
        assert_eq!(row("/busy")["limits"][0]["limit"], 10);
        let table = daemon.says(&["top", "--once", "--interval", "0.1", "--sort", "path", "pids:/"]);
        let names: Vec<&str> = table.lines().filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(names, ["CGROUP", "1:/", "1:/busy", "1:/idle"]);
        daemon.says(&["kill", "/busy", "/idle"]);
        assert_eq!((busy.finish().code(), idle.finish().code()), (137, 137));
    }
}

#[test]
fn every_verb_says_that_there_is_no_daemon() {
    let run = |words: &[&str]| common::plain(words).env("PENFOLD_SOCKET", "/nonexistent/control").run();
    for words in [
        &["ls"][..],
        &["mkdir", "/a"],
        &["ps"],
        &["top", "--once"],
        &["lscgroup"],
        &["cgcreate", "-g", "pids:/a"],
    ] {
        let ended = run(words);
        assert_eq!(ended.code(), 1, "{words:?}");
        assert!(
            ended.stderr.contains("penfold: /nonexistent/control: no daemon listens there; "),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(run(&["exec", "/a", "--", "true"]).code(), 125);
    assert_eq!(run(&["run", "--in", "/a", "--", "true"]).code(), 125);
}

#[test]
fn completions_are_printed_for_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let text = common::plain(&["completions", shell]).run().succeeded().stdout;
        assert!(text.contains("hierarchies") && text.contains("freeze"), "{shell}");
    }
}
