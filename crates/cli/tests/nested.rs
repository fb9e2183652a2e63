//! `penfold run` inside a job of another: limits add up, nothing inside reaches out.

mod common;

use common::{PENFOLD, TestRun, penfold, python, users};
use penfold_testkit::{needs, wait_until};

/// The report of a nested run, which went to standard output.
#[track_caller]
fn document(text: &str) -> serde_json::Value {
    let at = text.find('{').unwrap_or_else(|| panic!("no document in {text}"));
    let mut documents = serde_json::Deserializer::from_str(&text[at..]).into_iter();
    documents.next().expect("one document").expect("valid JSON")
}

#[test]
fn smallest_limit_of_three_nested_jobs_holds() {
    needs!("setpriv");
    let bomb = python(
        "
import os, time
made = 0
for _ in range(100):
    try:
        if os.fork() == 0:
            time.sleep(1000)
    except BlockingIOError:
        break
    made += 1
print('made', made)",
    );
    for user in users() {
        for limits in [["40", "30", "8"], ["12", "30", "20"], ["40", "9", "30"]] {
            let [outer, middle, inner] = limits;
            let run = |limit: &str| {
                [PENFOLD, "run", "-q", "-s"]
                    .map(String::from)
                    .into_iter()
                    .chain([format!("pids.max={limit}"), "--".into()])
                    .collect::<Vec<_>>()
            };
            let words: Vec<String> =
                run(middle).into_iter().chain(run(inner)).chain(bomb.map(String::from)).collect();
            let ended = penfold(&[&format!("pids.max={outer}")], &words).user(user).run().succeeded();
            // each nested penfold is a task of the jobs around it, and the bomb is a task itself
            let free = [(outer, 3), (middle, 2), (inner, 1)]
                .map(|(limit, used)| limit.parse::<u64>().unwrap() - used);
            let expected = format!("made {}\n", free.iter().min().unwrap());
            assert_eq!(ended.stdout, expected, "{limits:?}: {}", ended.stderr);
            assert!(ended.number("tasks_peak") <= outer.parse().unwrap());
        }
    }
}

#[test]
fn nested_job_reports_returns_and_leaves_nothing() {
    needs!("setpriv");
    for user in users() {
        let script = format!(
            "{PENFOLD} run -q --json 1 -s pids.max=7 -- sh -c '(:); setsid sleep 1000 & exit 5'; echo status $?; \
             {PENFOLD} ls /job"
        );
        let ended = penfold(&[], &["sh", "-c", &script]).user(user).run().succeeded();
        let report = document(&ended.stdout);
        assert_eq!((&report["exit"], &report["files"]["pids.max"]), (&5.into(), &"7".into()));
        assert!(report["user_seconds"].as_f64().unwrap() + report["system_seconds"].as_f64().unwrap() > 0.0);
        let rest = ended.stdout.split_once("status 5\n").unwrap_or_else(|| panic!("{}", ended.stdout)).1;
        assert_eq!(rest, "", "no cgroup of its own is there any more");
    }
}

#[test]
fn nested_command_keeps_session_group_limits_and_files() {
    let script = "ps -o pgid=,sid= -p $$; ulimit -a; ls -l /proc/self/fd | grep -c /scratch; cat <&7";
    let outer = format!(
        "echo seven > $OUT/scratch-file; exec 7< $OUT/scratch-file; ps -o pgid=,sid= -p $$; {PENFOLD} run -q -- sh -c '{script}'"
    );
    let run = penfold(&[], &["sh", "-c", &outer]);
    let scratch = run.scratch();
    let ended = run.env("OUT", &scratch).run().succeeded();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        lines[1].split_whitespace().collect::<Vec<_>>()
    );
    assert_eq!(lines.last(), Some(&"seven"));
}

#[test]
fn nested_process_can_not_raise_or_leave_a_limit() {
    needs!("setpriv");
    for user in users() {
        for what in [
            "set /job pids.max=100",
            "set / notify_on_release=1",
            "chmod 666 /job pids.max",
            "chown 0 /job pids.max",
            "attach / $$",
            "attach /job $$",
            "rmdir /job/inner",
            "set /job/inner pids.max=100",
            "mkdir /job/other",
            "mkdir /other",
            "mv /job other",
            "mv /job/inner other",
            "freeze /job",
        ] {
            let script = format!("{PENFOLD} {what}");
            let words = ["run", "-q", "-g", "inner", "-s", "pids.max=20", "--", "sh", "-c", &script];
            let words: Vec<&str> = [PENFOLD].into_iter().chain(words).collect();
            let ended = penfold(&["pids.max=30"], &words).user(user).run().clean();
            assert_eq!(ended.code(), 1, "{what}: {ended:#?}");
            let refused = ended.stderr.contains("[EPERM]") || ended.stderr.contains("[EACCES]");
            assert!(refused, "{what}: {}", ended.stderr);
            assert_eq!(ended.file("pids.max"), "30", "{what}");
        }
    }
}

#[test]
fn job_may_do_everything_below_its_own_cgroup() {
    needs!("setpriv");
    for user in users() {
        let script = format!(
            "set -e; p={PENFOLD}; $p mkdir -p /job/a/b; $p set /job/a pids.max=9; sleep 1000 & $p attach /job/a/b $!; \
             $p cat /job/a pids.current; $p freeze --wait /job/a; $p thaw --wait /job/a; $p kill -v /job/a; \
             $p rmdir -r /job/a; $p exec /job -- true || $p mkdir /job/c; $p exec /job/c -- $p proc cgroup"
        );
        let ended = penfold(&[], &["sh", "-c", &script]).user(user).run().succeeded();
        let lines: Vec<&str> = ended.stdout.lines().collect();
        assert_eq!(lines[..2], ["1", "/job/a: 1 process"], "{ended:?}");
        assert!(lines[2].ends_with(":/job/c"), "{ended:?}");
    }
}

#[test]
fn value_that_the_outer_job_forbids_is_refused_early() {
    let run = |setting: &str| {
        penfold(&["cpuset.cpus=0"], &[PENFOLD, "run", "-q", "-s", setting, "--", "echo", "ran"]).run().clean()
    };
    for (setting, subject, reason) in [
        ("cpuset.cpus=0-1", "penfold: -s cpuset.cpus=0-1: ", "[E"),
        ("pids.max=no", "penfold: -s pids.max=no: ", "[EINVAL]"),
        // a file that does not exist has no value to be named
        ("release_agent=/bin/true", "penfold: -s release_agent: ", "no such control file"),
    ] {
        let ended = run(setting);
        assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""), "{setting}: {ended:?}");
        assert!(ended.stderr.contains(subject) && ended.stderr.contains(reason), "{}", ended.stderr);
    }
    assert_eq!(run("cpuset.cpus=0").stdout, "ran\n");
}

#[test]
fn exit_status_of_a_nested_job_is_the_commands() {
    for (command, code) in [("exit 9", 9), ("kill -15 $$", 143), ("exec /nonexistent", 127)] {
        let ended = penfold(&[], &[PENFOLD, "run", "-q", "--", "sh", "-c", command]).run().clean();
        assert_eq!(ended.code(), code, "{command}: {}", ended.stderr);
    }
    for (program, code) in [("/nonexistent/program", 127), ("/etc/passwd", 126)] {
        let ended = penfold(&[], &[PENFOLD, "run", "-q", "--", program]).run().clean();
        assert_eq!(ended.code(), code, "{}", ended.stderr);
    }
}

#[test]
fn signals_reach_the_command_of_a_nested_job() {
    let script = "trap 'echo got; exit 5' TERM; echo > $OUT/ready; while :; do sleep 0.01; done";
    let outer = format!(
        "{PENFOLD} run -q -- sh -c \"$SCRIPT\" & wait_for() {{ while ! test -e $OUT/ready; do sleep 0.01; done; }}; wait_for; kill $!; wait $!"
    );
    let run = penfold(&[], &["sh", "-c", &outer]);
    let scratch = run.scratch();
    let ended = run.env("OUT", &scratch).env("SCRIPT", script).run().clean();
    assert_eq!((ended.code(), ended.stdout.as_str()), (5, "got\n"), "{}", ended.stderr);
}

#[test]
fn socket_of_a_job_serves_that_job_only() {
    let script = "echo $PENFOLD_JOB > $OUT/address.new; mv $OUT/address.new $OUT/address; sleep 1000";
    let run = penfold(&[], &["sh", "-c", script]);
    let scratch = run.scratch();
    let running = run.env("OUT", &scratch).start();
    wait_until("the job knows its socket", || scratch.join("address").exists());
    let address = std::fs::read_to_string(scratch.join("address")).unwrap();
    let ask = |words: &[&str]| {
        TestRun::new([PENFOLD].into_iter().chain(words.iter().copied()))
            .env("PENFOLD_SOCKET", address.trim())
            .run()
    };
    let ended = ask(&["ls", "/"]);
    assert!(ended.code() == 1 && ended.stderr.contains("[EACCES]"), "{ended:?}");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish();
    // the socket is gone with the job
    assert!(ask(&["ls", "/"]).stderr.contains("no daemon listens"));
    // the stale variable of a job that has ended is ignored
    let ended = penfold(&[], &["echo", "ran"]).env("PENFOLD_JOB", address.trim()).run().succeeded();
    assert_eq!(ended.stdout, "ran\n");
}

/// L38: the root of a job lists its tasks, and its CPU time is theirs.
#[test]
fn root_of_a_job_has_only_the_jobs_tasks_and_time() {
    let script = format!("echo $$; {PENFOLD} cat /tasks; {PENFOLD} cat /cpuacct.usage");
    let ended = penfold(&[], &["sh", "-c", &script]).run().succeeded();
    let numbers: Vec<u64> = ended.stdout.lines().map(|line| line.parse().expect("a number")).collect();
    let [_shell, listed @ .., used] = &*numbers else { panic!("{numbers:?}") };
    // the machine has others, and has run for longer than a minute
    assert!(listed.len() <= 8 && !listed.contains(&1), "{listed:?}");
    assert!(*used < 60_000_000_000, "{used}");
}
