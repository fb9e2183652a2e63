//! `modules/forkrate` on real processes.

mod common;

use common::{PYTHON, PrivateDir};
use penfold_testkit::{needs, skip};

/// Makes 25 forks as fast as possible, and looks at every eleven in a row. The call of the last must come after the
/// first has left the window. The script waits for no child before: on a busy machine ten would take longer than a
/// window.
const STORM: &str = r#"
import os, time
made, refused = [], 0
while len(made) < 25:
    before = time.monotonic()
    try:
        child = os.fork()
    except BlockingIOError:
        refused += 1
        time.sleep(0.002)
        continue
    if child == 0:
        os._exit(0)
    made.append((before, time.monotonic()))
for _ in made: os.wait()
assert refused > 0
for first, last in zip(made, made[10:]):
    assert last[1] - first[0] >= 0.5, (first, last)
print("refused", refused, flush=True)
os.execlp("penfold", "penfold", "cat", "/job", "forkrate.events")
"#;

#[test]
fn no_window_has_more_forks_than_allowed() {
    needs!("make", "cc", "python3");
    let place = PrivateDir::new();
    std::fs::write(place.path().join("storm.py"), STORM).expect("write it");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../modules/forkrate");
    let made = place.shell(&format!("umask 022; make -C '{source}' BUILD=$PWD"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    if let Some(refusal) = place.refusal("./forkrate.so") {
        return skip(&refusal);
    }
    let run = "penfold run --module ./forkrate.so -s forkrate.window_ms=500 -s forkrate.max=10 --";
    let output = place.shell(&format!("{run} {PYTHON} storm.py"));
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    let [counted, shown] = said.lines().collect::<Vec<_>>()[..] else {
        panic!("two lines in:\n{said}{told}")
    };
    assert_eq!(counted, shown, "who forked and the controller have seen the same refusals");
}
