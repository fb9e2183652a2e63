//! A process that no daemon has started, and that forks and makes threads on command.

use penfold_testkit::OutsideProcess;

/// Starts the script. [`OutsideProcess::ask`] sends it a letter. No daemon supervises it at first.
pub(crate) fn worker() -> OutsideProcess {
    let mut worker = OutsideProcess::conversing(&["/usr/bin/python3", "-c", WORKER]);
    assert_eq!(worker.line(), "ready");
    worker
}

/// The script. `f` forks a child and a grandchild, which wait, and prints their numbers. `t` makes a thread and prints
/// its number.
const WORKER: &str = "
import os, signal, sys, threading, time, ctypes
libc = ctypes.CDLL(None)
def die_with_parent(): libc.prctl(1, signal.SIGKILL)
def wait():
    while True: time.sleep(100)
def fork():
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_parent()
        grandchild = os.fork()
        if grandchild == 0:
            die_with_parent()
            wait()
        os.write(w, b'%d %d\\n' % (os.getpid(), grandchild))
        wait()
    print(os.read(r, 100).decode().strip(), flush=True)
def thread():
    t = threading.Thread(target=wait, daemon=True)
    t.start()
    print(t.native_id, flush=True)
print('ready', flush=True)
for line in sys.stdin: {'f': fork, 't': thread}[line.strip()]()
";

pub(crate) fn numbers(text: &str) -> Vec<i32> {
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}
