//! The outcome of a run: exit status, report, JSON, and refusals before the command runs.

mod common;

use std::process::Command;

use common::{PENFOLD, TestRun, penfold, plain, shell, users};
use penfold_testkit::{is_root, needs, skip, wait_until};

#[test]
fn exit_status_is_the_commands_own() {
    needs!("setpriv");
    for user in users() {
        for code in [0, 1, 7, 124, 125, 255] {
            let ended = penfold(&[], &shell(&format!("exit {code}"))).user(user).run().clean();
            assert_eq!((ended.code(), ended.number("exit")), (code, code as u64));
            assert!(ended.json().get("signal").is_none());
            assert!(ended.stderr.contains(&format!("penfold: sh exited with {code}\n")), "{}", ended.stderr);
        }
    }
}

#[test]
fn exit_status_of_a_killed_command_is_128_and_the_signal() {
    for signal in [1, 2, 3, 6, 9, 11, 15, 34] {
        let ended = penfold(&[], &shell(&format!("ulimit -c 0; kill -{signal} $$"))).run().clean();
        assert_eq!((ended.code(), ended.number("signal")), (128 + signal, signal as u64));
        assert!(ended.json().get("exit").is_none());
        assert!(ended.stderr.contains(&format!("was killed by signal {signal}\n")), "{}", ended.stderr);
    }
}

#[test]
fn exit_status_is_126_or_127_if_the_command_can_not_run() {
    let run = penfold(&["pids.max=10"], &["/nonexistent/program"]);
    let ended = run.run().clean();
    assert_eq!(ended.code(), 127);
    assert_eq!(ended.stderr, "penfold: /nonexistent/program: command not found [ENOENT]\n");
    let ended = penfold(&[], &["no-such-program-anywhere"]).env("PATH", "/usr/bin:/bin").run().clean();
    assert_eq!(ended.code(), 127);
    for path in ["/etc/passwd", "/"] {
        let ended = penfold(&[], &[path]).run().clean();
        assert_eq!(ended.code(), 126);
        assert_eq!(ended.stderr, format!("penfold: {path}: can't be executed: Permission denied [EACCES]\n"));
    }
}

#[test]
fn exit_status_of_wrong_arguments_is_125() {
    for words in [
        &["run"][..],
        &["run", "--nonsense", "true"],
        &["run", "-x", "true"],
        &["nonsense"],
        &["run", "-s", "pids.max", "true"],
    ] {
        let ended = plain(words).run();
        assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""), "{words:?}");
        assert!(ended.stderr.contains("--help"), "{}", ended.stderr);
    }
    let ended = plain(&["run", "--help"]).run();
    assert!(ended.status.success() && ended.stdout.contains("--set"), "{ended:?}");
}

/// Asserts that a setting is refused with 125 and these words, and that the command has not run.
#[track_caller]
fn refused(setting: &str, words: &[&str]) {
    let run = penfold(&[setting], &["sh", "-c", "echo ran; echo > \"$OUT/ran\""]);
    let scratch = run.scratch();
    let mut running = run.env("OUT", &scratch).start();
    running.wait();
    assert!(!scratch.join("ran").exists(), "{setting}: the command ran");
    let ended = running.finish();
    assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""), "{setting}");
    for word in words {
        assert!(ended.stderr.contains(word), "{setting}: {word:?} in {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn unknown_control_file_is_refused_with_the_choices() {
    refused(
        "nonsense.max=1",
        &["-s nonsense.max: no such control file", "pids.max", "cpuset.cpus", "freezer.state"],
    );
    refused("pids.maximum=1", &["-s pids.maximum: no such control file", "pids.max"]);
    refused("pids=1", &["-s pids: no such control file", "pids.max"]);
}

#[test]
fn bad_value_is_refused_with_file_and_errno() {
    refused("pids.max=-5", &["-s pids.max=-5", "'max' or a number from 0 to 4194304", "[EINVAL]"]);
    refused("pids.max=many", &["pids.max=many", "[EINVAL]"]);
    refused("pids.max=99999999999999999999", &["pids.max=", "[ERANGE]"]);
    refused("pids.max=", &["-s pids.max=: ", "[EINVAL]"]);
    refused("freezer.state=COLD", &["freezer.state=COLD", "FROZEN or THAWED", "[EINVAL]"]);
    refused("cpuset.cpus=1000000", &["cpuset.cpus=1000000", "[E"]);
    refused("cpuset.cpus=a", &["cpuset.cpus=a", "[EINVAL]"]);
    refused("cpuacct.usage=5", &["cpuacct.usage=5", "[EINVAL]"]);
}

#[test]
fn read_only_file_is_refused_with_its_name() {
    refused("pids.current=5", &["-s pids.current=5", "[E"]);
}

#[test]
fn json_file_that_can_not_be_written_runs_nothing() {
    for (name, why) in
        [("/nonexistent/report", "No such file or directory [ENOENT]"), ("77", "Bad file descriptor [EBADF]")]
    {
        let ended = plain(&["run", "--json", name, "--", "echo", "ran"]).run();
        assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""));
        assert_eq!(ended.stderr, format!("penfold: --json {name}: can't write to it: {why}\n"));
    }
}

#[test]
fn report_is_one_json_document() {
    let ended = penfold(&["pids.max=3"], &shell("true | true; (:); exit 5")).run();
    let json = ended.json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["command"], serde_json::json!(["sh", "-c", "true | true; (:); exit 5"]));
    assert_eq!(json["settings"], serde_json::json!({ "pids.max": "3" }));
    assert_eq!((&json["exit"], &json["tasks_created"]), (&5.into(), &4.into()));
    assert!(json["wall_seconds"].as_f64().is_some_and(|wall| wall > 0.0 && wall < 10.0));
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let all = [
        "command",
        "exit",
        "files",
        "forks_refused",
        "limits_hit",
        "notices",
        "settings",
        "system_seconds",
        "tasks_created",
        "tasks_peak",
        "user_seconds",
        "version",
        "wall_seconds",
        "warnings",
    ];
    for key in all {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
}

#[test]
fn descriptor_of_the_report_is_closed_to_the_command() {
    let script = format!("exec {PENFOLD} run -q --json 9 -- sh -c 'echo x >&9 || echo closed' 9>&2");
    let ended = TestRun::new(["sh", "-c", &script]).run();
    assert_eq!(ended.stdout, "closed\n");
    let document: serde_json::Value = serde_json::from_str(last_document(&ended.stderr)).unwrap();
    assert_eq!(document["exit"], 0);
}

#[test]
fn report_to_standard_output_does_not_empty_its_file() {
    for (name, number) in [("/dev/stdout", 1), ("/dev/stderr", 2), ("/dev/fd/7", 7), ("/proc/self/fd/7", 7)] {
        let script = format!(
            "exec {number}> $OUT/log; echo before >&{number}; {PENFOLD} run -q --json {name} -- true; echo after >&{number}"
        );
        let run = TestRun::new(["sh", "-c", &script]);
        let scratch = run.scratch();
        let mut running = run.env("OUT", &scratch).start();
        assert!(running.wait().success());
        let text = std::fs::read_to_string(scratch.join("log")).unwrap();
        let document = text.strip_prefix("before\n").and_then(|text| text.strip_suffix("after\n"));
        let document = document.unwrap_or_else(|| panic!("{name}: {text}"));
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["exit"], 0, "{name}");
    }
}

#[test]
fn frozen_command_does_not_run_and_dies_with_penfold() {
    let run = penfold(&["freezer.state=FROZEN"], &["sh", "-c", "echo > $OUT/ran"]);
    let scratch = run.scratch();
    let mut running = run.env("OUT", &scratch).start();
    wait_until("it is there", || !running.processes().is_empty());
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!scratch.join("ran").exists() && running.child.try_wait().unwrap().is_none());
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.wait();
    wait_until("it is dead", || running.processes().is_empty());
    assert!(!scratch.join("ran").exists());
}

fn last_document(text: &str) -> &str {
    &text[text.find('{').expect("a document")..]
}

#[test]
fn report_has_time_tasks_forks_and_limits_unless_quiet() {
    let ended = plain(&["run", "-q", "-s", "pids.max=10", "--", "sh", "-c", "echo out; echo err >&2"]).run();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
    let ended = penfold(&["pids.max=2"], &["dash", "-c", "(:) ; sleep 1000 & (:)"]).run().clean();
    assert_eq!(ended.stdout, "");
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with("dash")).collect();
    assert_eq!(lines[0], "penfold: dash exited with 2");
    assert!(lines[1].starts_with("  time   0.") && lines[1].ends_with(" s system"), "{lines:?}");
    assert_eq!(lines[2], "  tasks  3 created, at most 2 at one time");
    assert_eq!(lines[3], "  forks  1 refused");
    let limit = "  limit  pids.max=2 refused once; raise it (-s pids.max=4) or start fewer tasks at a time";
    assert_eq!(lines[4..], [limit]);
}

#[test]
fn standard_streams_pass_through() {
    let text: Vec<u8> = (0..200_000_u32).map(|byte| (byte % 251) as u8 & 0x7f).collect();
    let ended = plain(&["run", "-q", "--", "cat"]).input(&text).run().succeeded();
    assert_eq!(ended.stdout.as_bytes(), text);
    let ended = plain(&["run", "-q", "--", "sh", "-c", "cat >&2"]).input(&text).run().succeeded();
    assert_eq!(ended.stderr.as_bytes(), text);
}

#[test]
fn command_starts_in_the_same_state_as_without_penfold() {
    // the whole state of a new program: open files with their targets, limits, mask, groups
    let script = "
        ls -l /proc/self/fd | sed -n 's,/proc/[0-9]*,/proc/PID,; s/:.[0-9]*.$//; s/.* \\([0-9]* -> .*\\)/\\1/p' | sort
        pwd; umask; ulimit -a; id; env | sort | grep -Ev '^(_|PENFOLD_JOB)='; ps -o pgid=,sid=,nice= -p $$
        grep -E '^(Sig(Blk|Ign)|Seccomp|NoNewPrivs|Cap)' /proc/self/status | grep -v Seccomp";
    let start = |words: &[&str]| {
        let output = Command::new(words[0]).args(&words[1..]).env("FOO", "bar baz").output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let bare = start(&["sh", "-c", script]);
    let contained = start(&[PENFOLD, "run", "-q", "-s", "pids.max=20", "--", "sh", "-c", script]);
    assert!(bare.0.contains("FOO=bar baz"));
    assert_eq!(contained.1, bare.1);
    for (inside, outside) in contained.0.lines().zip(bare.0.lines()) {
        // without CAP_SYS_ADMIN a filter needs NoNewPrivs
        if is_root() || !outside.starts_with("NoNewPrivs") {
            assert_eq!(without_library_signals(inside), without_library_signals(outside));
        }
    }
    assert_eq!(contained.0.lines().count(), bare.0.lines().count());
}

/// The line without signals 32 and 33 of the C library, whose `posix_spawn` leaves them ignored in a child of the test.
fn without_library_signals(line: &str) -> String {
    match line.strip_prefix("SigIgn:") {
        Some(mask) => {
            let mask = u64::from_str_radix(mask.trim(), 16).expect("a mask");
            format!("SigIgn: {:x}", mask & !0x1_8000_0000)
        }
        None => line.to_owned(),
    }
}

#[test]
fn report_has_the_path_of_a_named_group() {
    let words =
        ["run", "-g", "build/tests", "-s", "pids.max=1", "--json", "2", "-q", "--", "dash", "-c", "(:)"];
    let ended = plain(&words).run();
    let json: serde_json::Value = serde_json::from_str(last_document(&ended.stderr)).unwrap();
    assert_eq!((ended.code(), &json["limits_hit"][0]["cgroup"]), (2, &"/build/tests".into()));
}

#[test]
fn options_after_the_command_are_its_own() {
    let ended = plain(&["run", "-q", "echo", "-s", "--json", "--", "-q"]).run().succeeded();
    assert_eq!(ended.stdout, "-s --json -- -q\n");
}

#[test]
fn report_that_can_not_be_written_is_an_error() {
    if !std::path::Path::new("/dev/full").exists() {
        return skip("there is no /dev/full");
    }
    let ended = plain(&["run", "-q", "--json", "/dev/full", "--", "true"]).run().clean();
    assert_eq!(ended.code(), 125);
    assert!(ended.stderr.contains("--json") && ended.stderr.contains("space"), "{}", ended.stderr);
}

#[test]
fn doctor_lists_the_capabilities_here() {
    needs!("setpriv");
    for user in users() {
        let ended = plain(&["doctor"]).user(user).limit(10).run().succeeded();
        for what in ["membership at fork", "refusal of forks", "CPU time", "freezing", "CPU affinity"] {
            let line =
                ended.stdout.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{ended:#?}"));
            assert!(line.starts_with("trace  yes "), "{line}");
        }
        assert!(ended.stdout.lines().any(|line| line.starts_with("bpf ")), "{}", ended.stdout);
    }
}

#[test]
fn doctor_json_is_valid_and_says_the_same() {
    let text = plain(&["doctor"]).run().succeeded().stdout;
    let ended = plain(&["doctor", "--json"]).limit(10).run().succeeded();
    let rows: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), text.lines().count());
    for (row, line) in rows.iter().zip(text.lines()) {
        let word = |name: &str| row[name].as_str().unwrap().to_owned();
        let mark = if row["given"].as_bool().unwrap() { "yes" } else { "no " };
        let told = line.starts_with(&format!("{:<6} {mark} {}", word("host"), word("what")));
        assert!(told && line.ends_with(&word("how")) && !word("how").is_empty(), "{line}: {row}");
    }
}

#[test]
fn doctor_gives_the_reason_where_ptrace_is_refused() {
    let ended = penfold(&[], &[PENFOLD, "doctor"]).limit(10).run().clean();
    let line = ended.stdout.lines().find(|line| line.contains("membership at fork")).unwrap();
    assert!(line.starts_with("trace  no ") && line.contains("penfold"), "{line}");
    assert_eq!(ended.code(), 1);
}
