//! Verbs and the answers of another daemon: an older or newer one, or one that ends.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use super::common::{PENFOLD, TestRun};

/// Stands for a daemon: answers Info, then `answers` to the next call, and closes.
fn run_against(answers: &[&str], words: &[&str]) -> (i32, String) {
    let run = TestRun::new([PENFOLD].iter().chain(words).copied());
    let socket = run.scratch().join("control");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let answers = answers.join("\0") + "\0";
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut calls = BufReader::new(stream.try_clone().expect("a descriptor"));
        let info =
            r#"{"parameters":{"version":"0","pid":1,"uid":0,"host":"x","embedded":false,"notRestored":[]}}"#;
        for answer in [format!("{info}\0"), answers] {
            calls.read_until(0, &mut Vec::new()).expect("a call");
            (&stream).write_all(answer.as_bytes()).expect("sent");
        }
    });
    let ended = run.env("PENFOLD_SOCKET", &socket).run();
    server.join().expect("it has served");
    (ended.code(), ended.stderr)
}

/// The error Refused with these parameters.
fn refused(parameters: &str) -> String {
    format!(r#"{{"error":"org.penfold.Control.Refused","parameters":{{{parameters}}}}}"#)
}

#[test]
fn status_that_is_not_known_is_no_success() {
    let begun = r#"{"parameters":{"pid":2000000000},"continues":true}"#;
    let lost = "penfold: make: the daemon has ended, and with it the command's status [ECONNRESET]\n";
    let ending =
        refused(r#""errno":108,"name":"ESHUTDOWN","kind":"ending","subject":"d","detail":"e","message":"""#);
    let with = |status: &str| format!(r#"{{"parameters":{{"pid":2000000000,"status":{status}}}}}"#);
    let unknown = |status: &str| {
        format!("penfold: make: has ended, and its status is not known: {status} is none [EPROTO]\n")
    };
    for (answers, message) in [
        // numbers without a meaning, and one that is 0 in 32 bits
        (vec![begun, &with("4294967296")], unknown("4294967296")),
        (vec![begun, &with("4991")], unknown("4991")),
        (vec![begun, &with("-1")], unknown("-1")),
        // no status at all
        (vec![begun], lost.to_owned()),
        (vec![begun, r#"{"parameters":{"pid":2000000000}}"#], lost.to_owned()),
        (vec![begun, &ending], lost.to_owned()),
    ] {
        assert_eq!(run_against(&answers, &["exec", "/a", "--", "make"]), (125, message), "{answers:?}");
    }
    let exec = |status| run_against(&[begun, &with(status)], &["exec", "/a", "--", "make"]);
    assert_eq!(
        (exec("0"), exec("10496"), exec("9")),
        ((0, String::new()), (41, String::new()), (137, String::new()))
    );
}

#[test]
fn kind_decides_whatever_the_message_says() {
    let typed = |kind: &str, text: &str| {
        let fields = format!(r#""kind":"{kind}","subject":"x","detail":"{text}","message":"x: {text}""#);
        refused(&format!(r#""errno":2,"name":"ENOENT",{fields}"#))
    };
    let misleading = "cannot execute: command not found";
    for (answer, code, message) in [
        (typed("commandNotFound", "gone"), 127, "x: gone [ENOENT]"),
        (typed("cannotExecute", "gone"), 126, "x: gone [ENOENT]"),
        (typed("notFound", misleading), 125, "x: cannot execute: command not found [ENOENT]"),
        (typed("fromTheFuture", misleading), 125, "x: cannot execute: command not found [ENOENT]"),
        // a daemon of before the kinds
        (
            refused(r#""errno":2,"name":"ENOENT","message":"cannot execute x""#),
            125,
            "cannot execute x [ENOENT]",
        ),
        (
            r#"{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"a.Exec"}}"#.to_owned(),
            125,
            "a.Exec: the daemon has no such method; it is older than this penfold [ENOSYS]",
        ),
        (
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"umask"}}"#
                .to_owned(),
            125,
            "parameter umask: not what the daemon takes; is it of another version? [EINVAL]",
        ),
        (
            r#"{"error":"org.penfold.Control.TooMuch","parameters":{"message":"too many; try again"}}"#
                .to_owned(),
            125,
            "call: too many; try again [EDQUOT]",
        ),
    ] {
        let ended = run_against(&[&answer], &["exec", "/a", "--", "make"]);
        assert_eq!(ended, (code, format!("penfold: {message}\n")), "{answer}");
    }
    let (code, text) = run_against(&["hello"], &["exec", "/a", "--", "make"]);
    assert!(code == 125 && text.starts_with("penfold: daemon: the answer is none of penfold's: "), "{text}");
}
