//! Commands that the daemon runs: `penfold exec` and `penfold run --in`.

mod common;

use common::{MARK, PENFOLD, TestDaemon, users};
use nix::sys::signal::Signal;
use penfold_testkit::{needs, wait_until};

#[test]
fn exec_has_the_callers_streams_environment_and_directory() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["pids"]);
        daemon.says(&["mkdir", "/a"]);
        let script = "cat; echo $WORD $(pwd); echo err >&2; id -u; umask";
        let run = daemon.verb(&["exec", "/a", "--", "sh", "-c", script]).env("WORD", "a b").input(b"in\n");
        let ended = run.run().succeeded();
        let directory = std::env::current_dir().unwrap();
        let id =
            if user == common::TestUser::Nobody { common::NOBODY } else { nix::unistd::getuid().as_raw() };
        let expected = format!("in\na b {}\n{id}\n", directory.display());
        assert!(ended.stdout.starts_with(&expected), "{ended:?}");
        assert_eq!(ended.stderr, "err\n");
        let inside = daemon.says(&["exec", "/a", "--", PENFOLD, "proc", "cgroup"]);
        assert!(inside.starts_with("1:pids:/a\n"), "{inside}");
    }
}

#[test]
fn exec_returns_what_the_command_does() {
    let daemon = TestDaemon::start(common::TestUser::Same, &["pids"]);
    daemon.says(&["mkdir", "/a"]);
    for (command, code) in [
        (&["sh", "-c", "exit 7"][..], 7),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["/nonexistent/program"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let words: Vec<&str> = ["exec", "/a", "--"].iter().chain(command).copied().collect();
        let ended = daemon.run(&words);
        assert_eq!(ended.code(), code, "{command:?}: {}", ended.stderr);
    }
    let ended = daemon.run(&["exec", "/none", "--", "true"]);
    assert_eq!(ended.code(), 125);
    assert!(ended.stderr.contains("[ENOENT]"), "{}", ended.stderr);
}

#[test]
fn exec_passes_signals_on_and_kills_what_is_left_behind() {
    let daemon = TestDaemon::start(common::TestUser::Same, &["pids"]);
    daemon.says(&["mkdir", "/a"]);
    let script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    // 20 times: the command may print that it is ready before penfold knows its pid
    for _ in 0..20 {
        let mut running = daemon.verb(&["exec", "/a", "--", "sh", "-c", script]).start();
        wait_until("it runs", || running.stdout() == "ready\n");
        running.signal(Signal::SIGTERM);
        running.wait();
        let ended = running.finish();
        assert_eq!((ended.code(), ended.stdout.as_str()), (5, "ready\ngot\n"));
    }
    daemon.says(&["exec", "/a", "--", "sh", "-c", "setsid sleep 1000 & exit 0"]);
    wait_until("what it left is dead", || daemon.says(&["cat", "/a", "pids.current"]) == "0\n");
    daemon.run(&[
        "exec",
        "-l",
        "/a",
        "--",
        "sh",
        "-c",
        // until sleep is executed, the process has the mark of the run, by which it would be killed
        "setsid env -i sleep 1000 </dev/null >/dev/null 2>&1 &
        until grep -q sleep /proc/$!/comm; do sleep 0.01; done; exit 0",
    ]);
    assert_eq!(daemon.says(&["cat", "/a", "pids.current"]), "1\n");
    daemon.says(&["kill", "/a"]);
    // without the run's pipes and its mark, by which all its processes are killed at its end
    let sleep = "exec sleep 1000 </dev/null >/dev/null 2>&1";
    let detach = ["env", "-u", MARK, PENFOLD, "exec", "--detach", "/a", "--", "sh", "-c", sleep];
    let pid = common::TestRun::new(detach).env("PENFOLD_SOCKET", daemon.socket()).run().stdout;
    assert_eq!(daemon.says(&["cat", "/a", "cgroup.procs"]), pid);
    daemon.says(&["kill", "/a"]);
}

#[test]
fn exec_from_a_terminal_gives_a_terminal() {
    needs!("script");
    let daemon = TestDaemon::start(common::TestUser::Same, &["pids"]);
    daemon.says(&["mkdir", "/a"]);
    let inner = "stty size; test -t 0 && test -t 1 && test -t 2 && echo terminal; ps -o tty= -p $$ | grep -c pts; exit 6";
    let line = format!("stty rows 33 cols 77; {PENFOLD} exec /a -- sh -c '{inner}'");
    let ended = common::TestRun::new(["script", "-qec", &line, "/dev/null"])
        .env("PENFOLD_SOCKET", daemon.socket())
        .run();
    assert_eq!(ended.code(), 6, "{ended:?}");
    // the end of script's own input is shown somewhere in it
    assert!(ended.stdout.replace('\r', "").replace("^@", "").ends_with("33 77\nterminal\n1\n"), "{ended:?}");
}

#[test]
fn run_in_a_daemons_tree_reports_and_leaves_nothing() {
    needs!("setpriv");
    for user in users() {
        let daemon = TestDaemon::start(user, &["pids,cpuacct", "numtasks"]);
        daemon.says(&["mkdir", "pids:/ci"]);
        let script = "(:); (:); setsid sleep 1000 & setsid sleep 1000 & sleep 0.1; echo in; exit 3";
        let run =
            ["run", "--in", "pids:/ci", "-s", "pids.max=20", "--json", "2", "-q", "--", "sh", "-c", script];
        let ended = daemon.run(&run).clean();
        assert_eq!((ended.code(), ended.stdout.as_str()), (3, "in\n"), "{}", ended.stderr);
        let json: serde_json::Value =
            serde_json::from_str(&ended.stderr).unwrap_or_else(|_| panic!("{}", ended.stderr));
        assert_eq!((&json["exit"], &json["files"]["pids.max"]), (&3.into(), &"20".into()));
        assert!(json["tasks_peak"].as_u64().is_some_and(|peak| (3..=20).contains(&peak)), "{json:#}");
        assert_eq!(daemon.says(&["ls", "pids:/ci"]), "");
        // the report has the job's own limit
        let run = [
            "run",
            "--in",
            "pids:/ci",
            "-g",
            "x/y",
            "-s",
            "pids.max=2",
            "--",
            "dash",
            "-c",
            "(:); sleep 1000 & (:)",
        ];
        let ended = daemon.run(&run).clean();
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("  limit  pids.max=2 refused once; raise it"), "{}", ended.stderr);
        assert_eq!(daemon.says(&["ls", "pids:/ci"]), "");
        daemon.says(&["set", "numtasks:/", "numtasks.forkrate=3", "numtasks.forkrate_interval=100"]);
        let ended =
            daemon.run(&["run", "--in", "numtasks:/", "--", "dash", "-c", "(:); (:); (:); (:)"]).clean();
        let told = "  limit  numtasks.forkrate refused once; raise it with -s numtasks.forkrate=VALUE";
        assert!(
            ended.stderr.contains("  forks  1 refused") && ended.stderr.contains(told),
            "{}",
            ended.stderr
        );
        let refused = daemon.run(&["run", "--in", "pids:/ci", "-s", "pids.maximum=2", "--", "echo", "ran"]);
        assert_eq!((refused.code(), refused.stdout.as_str()), (125, ""));
        assert!(refused.stderr.contains("no such control file") && refused.stderr.contains("pids.max"));
        assert_eq!(daemon.says(&["ls", "pids:/ci"]), "");
    }
}
