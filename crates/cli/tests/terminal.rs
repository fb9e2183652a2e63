//! Signals and the terminal behave as without penfold.

mod common;

use common::{PENFOLD, PYTHON, TestRun, penfold, plain, users};
use nix::sys::signal::Signal;
use penfold_testkit::{needs, wait_until};

#[test]
fn signals_sent_to_penfold_reach_the_command() {
    needs!("setpriv");
    let all = [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGWINCH,
    ];
    for user in users() {
        for signal in all {
            let name = signal.as_str().trim_start_matches("SIG");
            let script = format!("trap 'exit 33' {name}; : > $OUT/ready; while :; do sleep 0.01; done");
            let run = penfold(&["pids.max=10"], &["sh", "-c", &script]).user(user).limit(10);
            let scratch = run.scratch();
            let running = run.env("OUT", &scratch).start();
            wait_until("it runs", || scratch.join("ready").exists());
            running.signal(signal);
            assert_eq!(running.finish().clean().code(), 33, "{signal}");
        }
    }
}

#[test]
fn uncaught_signal_ends_the_run_with_128_and_its_number() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
        let run = penfold(&[], &["sh", "-c", ": > $OUT/ready; exec sleep 1000"]).limit(10);
        let scratch = run.scratch();
        let running = run.env("OUT", &scratch).start();
        wait_until("it runs", || scratch.join("ready").exists());
        running.signal(signal);
        let ended = running.finish().clean();
        assert_eq!(ended.code(), 128 + signal as i32);
        assert_eq!(ended.number("signal"), signal as u64);
    }
}

#[test]
fn command_that_ignores_sigterm_goes_on() {
    let script =
        "trap '' TERM; : > $OUT/ready; i=0; while [ $i -lt 20 ]; do sleep 0.01; i=$((i+1)); done; exit 4";
    let run = penfold(&[], &["sh", "-c", script]).limit(10);
    let scratch = run.scratch();
    let running = run.env("OUT", &scratch).start();
    wait_until("it runs", || scratch.join("ready").exists());
    for _ in 0..3 {
        running.signal(Signal::SIGTERM);
    }
    assert_eq!(running.finish().clean().code(), 4);
}

/// A dialogue with an interactive bash on a terminal of its own. The script prints a user's view of job control, in
/// words that do not depend on timing.
const DIALOGUE: &str = r#"
import os, pty, re, select, shutil, signal, sys, tempfile, time
prefix = sys.argv[1:]
signal.alarm(60)
shell, terminal = pty.fork()
if shell == 0:
    os.environ.update(PS1='PROMPT> ', PS2='', HISTFILE='', TERM='dumb', INPUTRC='/dev/null')
    os.execvp('bash', ['bash', '--norc', '--noprofile', '--noediting', '-i'])
seen = b''
def until(word, seconds=20):
    global seen
    end = time.monotonic() + seconds
    while word not in seen:
        ready = select.select([terminal], [], [], max(0, end - time.monotonic()))[0]
        if not ready: sys.exit('no %r in %r' % (word, seen))
        seen += os.read(terminal, 4000)
    at = seen.index(word) + len(word)
    before, seen = seen[:at], seen[at:]
    return before
def send(text): os.write(terminal, text)
def line(text): send(text.encode() + b'\n')
def status(what):
    line('echo status=$?.')
    until(b'status=')
    print(what, until(b'.').decode())
    until(b'PROMPT> ')
def foreground():
    while os.tcgetpgrp(terminal) == shell: time.sleep(0.01)
command = ' '.join(prefix)
until(b'PROMPT> ')
line('stty -echo; echo quiet'); until(b'quiet\r\n'); until(b'PROMPT> ')

line(command + ''' sh -c 'echo started; exec sleep 100' '''); until(b'started'); time.sleep(0.1); send(b'\x03')
until(b'PROMPT> '); status('Ctrl-C')
line(command + ''' sh -c 'trap "echo caught; exit 9" INT; echo started; while :; do sleep 0.02; done' ''')
until(b'started'); send(b'\x03'); until(b'caught'); until(b'PROMPT> '); status('caught Ctrl-C')
line(command + ''' sh -c 'echo started; exec sleep 100' '''); until(b'started'); time.sleep(0.1); send(b'\x1c')
until(b'PROMPT> '); status('Ctrl-\\')

line(command + ''' sh -c 'echo started; n=0; while [ $n -lt 3 ]; do read word; echo got $word; n=$((n+1)); done; exit 5' ''')
until(b'started')
for round in range(3):
    send(b'\x1a'); until(b'Stopped'); until(b'PROMPT> '); status('Ctrl-Z')
    line('jobs | wc -l'); print('jobs', until(b'PROMPT> ').decode().split()[0])
    line('fg'); foreground()
    line('word%d' % round); until(b'got word%d' % round); print('got', round)
until(b'PROMPT> '); status('fg')

held = tempfile.mkdtemp() + '/held'
os.mkfifo(held)
line(command + f''' sh -c 'echo started; cat {held}; echo going on; exit 6' '''); until(b'started')
# a shell that is stopped between vfork and exec of its child can't stop itself, with penfold or without: cat has opened it
end = os.open(held, os.O_WRONLY)
send(b'\x1a'); until(b'Stopped'); until(b'PROMPT> ')
line('bg'); until(b'PROMPT> '); os.close(end); until(b'going on')
line('wait %1'); until(b'PROMPT> '); status('bg')
shutil.rmtree(os.path.dirname(held))

line(command + ''' sh -c 'echo background reads; read word; echo never' & ''')
until(b'background reads')
for patience in range(200):
    line(''); stopped = b'Stopped' in until(b'PROMPT> ')
    if stopped: break
    time.sleep(0.1)
print('stopped' if stopped else 'goes on')
line('fg'); foreground(); line('now'); until(b'never'); until(b'PROMPT> '); status('read')

line(command + ''' sh -c '[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && stty size && tty | grep -c dev/pts' ''')
print('terminal', until(b'PROMPT> ').decode().replace('PROMPT>', '').split())
line(command + ''' sh -c 'ps -o tpgid= -o pgid= -p $$ | (read a b; [ $a = $b ] && echo foreground)' ''')
print(until(b'PROMPT> ').decode().split()[0])
line(command + ''' sh -c 'echo started; kill -STOP $$; exit 7' '''); until(b'Stopped'); until(b'PROMPT> ')
line('fg'); until(b'PROMPT> '); status('stopped itself')
line('exit')
"#;

fn dialogue(prefix: &[&str]) -> String {
    let run = TestRun::new([PYTHON, "-c", DIALOGUE].iter().chain(prefix).copied()).limit(120).run();
    assert!(run.status.success() && run.left.is_empty(), "{prefix:?}: {run:#?}");
    run.stdout
}

#[test]
fn ctrl_c_ctrl_z_fg_and_bg_behave_as_without_penfold() {
    needs!("python3", "bash", "stty", "ps");
    let bare = dialogue(&["env"]);
    assert!(bare.contains("Ctrl-C 130.") && bare.contains("Ctrl-Z 148.") && bare.contains("fg 5."), "{bare}");
    assert_eq!(dialogue(&[PENFOLD, "run", "-q", "--"]), bare);
    assert_eq!(dialogue(&[PENFOLD, "run", "-q", "-s", "pids.max=20", "-s", "cpuset.cpus=0", "--"]), bare);
}

#[test]
fn command_has_penfolds_process_group_and_session() {
    let script = "ps -o pgid=,sid= -p $$; ps -o pgid=,sid= -p $PPID";
    let ended = plain(&["run", "-q", "--", "sh", "-c", script]).run().succeeded();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], lines[1]);
}
