//! `penfold doctor`: a yes was tried, and a no has its reason and a remedy.

mod common;

use common::{FinishedRun, PENFOLD, TestUser, penfold, plain};
use penfold_testkit::{is_root, needs, skip};

const TRACE: [&str; 7] = [
    "membership at fork",
    "refusal of forks",
    "CPU time",
    "freezing",
    "CPU affinity",
    "memory placement",
    "classes on sockets",
];

/// The mark and the reason of a capability of the trace host.
#[track_caller]
fn trace<'a>(ended: &'a FinishedRun, what: &str) -> (&'a str, &'a str) {
    let lines: Vec<_> = ended.stdout.lines().filter_map(|line| line.strip_prefix("trace  ")).collect();
    let of_it: Vec<_> = lines.iter().filter(|line| line[4..].starts_with(what)).collect();
    let [line] = of_it[..] else { panic!("one line of {what}: {ended:#?}") };
    (line[..4].trim(), line[4 + what.len()..].trim())
}

#[test]
fn doctor_gives_a_reason_for_every_capability() {
    let ended = plain(&["doctor"]).run().succeeded();
    for what in TRACE {
        let (mark, how) = trace(&ended, what);
        assert!(["yes", "no"].contains(&mark) && how.len() > 10, "{what}: {mark} {how}");
    }
    assert_eq!(trace(&ended, "memory placement").0, "no");
    let others = ended.stdout.lines().filter(|line| !line.starts_with("trace  "));
    assert_eq!(others.collect::<Vec<_>>(), ["bpf    no  everything           this version has no bpf host"]);
}

#[test]
fn doctor_denies_ptrace_capabilities_under_a_tracer() {
    needs!("strace");
    let inside = penfold(&[], &[PENFOLD, "doctor"]).run().clean();
    let under = plain(&["doctor"]).under(["strace", "-f", "-o", "/dev/null"]).run().clean();
    for (ended, tracer) in [(inside, "penfold"), (under, "strace (pid ")] {
        assert_eq!(ended.code(), 1);
        for what in TRACE {
            let (mark, how) = trace(&ended, what);
            assert_eq!(mark, "no", "{what}: {how}");
            let by_ptrace = !["memory placement", "classes on sockets"].contains(&what);
            assert!(!by_ptrace || how.contains(tracer), "{what}: {how}");
        }
    }
}

#[test]
fn doctor_says_what_classes_on_sockets_would_need() {
    needs!("setpriv", "unshare");
    if !is_root() {
        return skip("only root has CAP_NET_ADMIN to lose");
    }
    let ended = plain(&["doctor"]).run().succeeded();
    assert_eq!(trace(&ended, "classes on sockets").0, "yes");
    let nobody = plain(&["doctor"]).user(TestUser::Nobody).run().succeeded();
    // all capabilities, but not over this network
    let container = plain(&["doctor"]).under(["unshare", "--user", "--map-root-user"]).run().succeeded();
    for ended in [nobody, container] {
        let (mark, how) = trace(&ended, "classes on sockets");
        assert!(
            mark == "no" && how.contains("CAP_NET_ADMIN") && how.contains("--best-effort"),
            "{mark} {how}"
        );
    }
}
