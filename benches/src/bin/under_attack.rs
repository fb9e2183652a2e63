//! The latency of root's own operations on `penfold serve` while another user attacks the daemon.

use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use penfold_benches::overhead::machine;
use penfold_benches::served::daemon::BenchDaemon;
use penfold_benches::served::interrupted;
use penfold_server::connection::Connection;
use penfold_server::protocol::{
    AttachCall, EnvironmentInfo, ExecCall, MkdirCall, MountCall, SetOwnerCall, WriteCall,
};
use penfold_testkit::TempDir;

/// The attacking user.
const ATTACKER: u32 = 65534;

/// Measures root's write of pids.max, and a command with ten forks, idle and under each attack of another user.
///
/// Needs root, to be another user too. Works in directories of its own only.
#[derive(Debug, Parser)]
#[command(name = "under_attack")]
struct UnderAttackArguments {
    /// The program to measure; without, the workspace's is built.
    #[arg(long, value_name = "FILE")]
    penfold: Option<PathBuf>,

    /// The cgroups that the tree has.
    #[arg(long, default_value_t = 100_000)]
    cgroups: usize,

    /// The rounds of each row.
    #[arg(long, default_value_t = 50)]
    rounds: usize,

    /// Only the attacks whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// This process is the attacker with this name. For the program's own use.
    #[arg(long, hide = true, requires = "socket")]
    attack: Option<String>,

    /// The socket to attack.
    #[arg(long, hide = true)]
    socket: Option<PathBuf>,
}

/// A number of connections that all do the same.
struct Attack {
    name: &'static str,
    connections: usize,
    /// The call that each connection makes; none for a connection that only waits.
    call: Option<(&'static str, &'static str)>,
    /// Whether the call is made again after its answer. Otherwise answers are left unread.
    again: bool,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "16 x Usage recursive",
        connections: 16,
        call: Some(("Usage", r#"{"cgroup":"/","recursive":true}"#)),
        again: true,
    },
    Attack {
        name: "16 x List recursive",
        connections: 16,
        call: Some(("List", r#"{"cgroup":"/","recursive":true}"#)),
        again: true,
    },
    Attack {
        name: "200 x Read pids.current",
        connections: 200,
        call: Some(("Read", r#"{"cgroup":"/own","file":"pids.current"}"#)),
        again: true,
    },
    Attack {
        name: "200 x Read tasks of a root",
        connections: 200,
        call: Some(("Read", r#"{"cgroup":"/","file":"tasks"}"#)),
        again: true,
    },
    Attack {
        name: "200 x Mkdir and Rmdir",
        connections: 200,
        call: Some(("Mkdir", r#"{"cgroup":"/theirs/NUMBER"}"#)),
        again: true,
    },
    Attack { name: "1000 silent connections", connections: 1000, call: None, again: false },
    Attack { name: "100 x Watch, not read", connections: 100, call: Some(("Watch", "{}")), again: false },
];

/// The name of an attack by a process instead of a client: it has a thread that never runs its program.
const KERNEL_WORKER: &str = "io_uring thread, limited";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = UnderAttackArguments::parse();
    if let (Some(name), Some(socket)) = (&arguments.attack, &arguments.socket) {
        let attack = ATTACKS.iter().find(|attack| attack.name == name).ok_or("no such attack")?;
        return attack.run(socket);
    }
    let penfold = arguments.penfold.clone().map_or_else(machine::build_penfold, Ok)?;
    interrupted::note_signals()?;
    let directory = TempDir::new();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    let daemon = BenchDaemon::start(&penfold, directory.path())?;
    let mut root = daemon.connect()?;
    prepare(&mut root, arguments.cgroups)?;
    println!("{} cgroups, {} rounds; times in ms", arguments.cgroups, arguments.rounds);
    println!("{:28} {:>9} {:>9} {:>9} {:>9}", "attack", "write", "worst", "10 forks", "worst");
    row("idle", &mut root, arguments.rounds)?;
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(&arguments.only)) {
        let attacker = AttackingProcess::start(attack, &directory.join("control"))?;
        row(attack.name, &mut root, arguments.rounds)?;
        drop(attacker);
    }
    if KERNEL_WORKER.contains(&arguments.only) {
        let _worker = start_kernel_worker(&mut root)?;
        row(KERNEL_WORKER, &mut root, arguments.rounds)?;
    }
    Ok(())
}

/// Starts a process whose thread polls an `io_uring`, then attaches and limits it.
fn start_kernel_worker(root: &mut Connection) -> Result<AttackingProcess, Box<dyn Error>> {
    // io_uring_setup(2) with IORING_SETUP_SQPOLL
    let script = "
import ctypes, time
parameters = (ctypes.c_uint32 * 30)(0, 0, 2)
assert ctypes.CDLL(None).syscall(425, 8, parameters) > 0
print('.', end='', flush=True)
time.sleep(1000)";
    let mut command = Command::new("/usr/bin/python3");
    let started = command.args(["-c", script]).uid(ATTACKER).gid(ATTACKER).stdout(Stdio::piped()).spawn();
    let mut process = AttackingProcess(started?);
    let mut ready = [0];
    process.0.stdout.as_mut().ok_or("no output")?.read_exact(&mut ready)?;
    let (cgroup, task) = ("/theirs".to_owned(), i64::from(process.0.id()));
    root.call(&AttachCall { cgroup: cgroup.clone(), task, process: true })?;
    root.call(&WriteCall { cgroup, file: "pids.max".into(), content: "10".into() })?;
    Ok(process)
}

fn prepare(root: &mut Connection, cgroups: usize) -> Result<(), Box<dyn Error>> {
    root.call(&MountCall { options: "all,clone_children".into(), ..MountCall::default() })?;
    for name in ["/own", "/theirs", "/many"] {
        root.call(&MkdirCall { cgroup: name.into(), ..MkdirCall::default() })?;
    }
    let uid = Some(i64::from(ATTACKER));
    root.call(&SetOwnerCall { cgroup: "/theirs".into(), uid, ..SetOwnerCall::default() })?;
    for number in 0..cgroups {
        if number % 1000 == 0 {
            root.call(&MkdirCall { cgroup: format!("/many/{}", number / 1000), ..MkdirCall::default() })?;
        }
        let cgroup = format!("/many/{}/{number}", number / 1000);
        root.call(&MkdirCall { cgroup, ..MkdirCall::default() })?;
    }
    Ok(())
}

/// Measures and prints one row.
fn row(name: &str, root: &mut Connection, rounds: usize) -> Result<(), Box<dyn Error>> {
    let (mut writes, mut commands) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let began = Instant::now();
        let content = (1000 + round).to_string();
        root.call(&WriteCall { cgroup: "/own".into(), file: "pids.max".into(), content })?;
        writes.push(began.elapsed());
        let began = Instant::now();
        let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (:) & done; wait";
        let exec = ExecCall {
            cgroups: vec!["/own".into()],
            command: ["sh", "-c", script].map(str::to_owned).into(),
            environment: vec![EnvironmentInfo { name: "PATH".into(), value: "/usr/bin:/bin".into() }],
            ..ExecCall::default()
        };
        for reply in root.call_more(&exec, &[])? {
            reply?;
        }
        commands.push(began.elapsed());
    }
    let [write, worst_write] = median_and_worst(writes);
    let [command, worst_command] = median_and_worst(commands);
    println!("{name:28} {write:>9.2} {worst_write:>9.2} {command:>9.2} {worst_command:>9.2}");
    Ok(())
}

/// In milliseconds.
fn median_and_worst(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort_unstable();
    let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    [milliseconds(times.get(times.len() / 2)), milliseconds(times.last())]
}

/// A process of another user. Drop kills it.
struct AttackingProcess(Child);

impl AttackingProcess {
    /// Starts an attack and waits until every connection has begun.
    fn start(attack: &Attack, socket: &Path) -> Result<AttackingProcess, Box<dyn Error>> {
        // another user may not be able to reach the program in its own place
        let program = socket.with_file_name("attacker");
        if !program.exists() {
            std::fs::copy(std::env::current_exe()?, &program)?;
        }
        let mut child = Command::new(program)
            .args(["--attack", attack.name, "--socket"])
            .arg(socket)
            .stdout(Stdio::piped())
            .uid(ATTACKER)
            .gid(ATTACKER)
            .spawn()?;
        child.stdout.take().ok_or("no pipe")?.read_exact(&mut [0])?;
        thread::sleep(Duration::from_millis(500));
        Ok(AttackingProcess(child))
    }
}

impl Drop for AttackingProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Attack {
    /// Attacks until this process is killed.
    fn run(&self, socket: &Path) -> Result<(), Box<dyn Error>> {
        let streams: Result<Vec<UnixStream>, _> =
            (0..self.connections).map(|_| UnixStream::connect(socket)).collect();
        for (number, mut stream) in streams?.into_iter().enumerate() {
            let message = self.call.map(|(method, parameters)| {
                let parameters = parameters.replace("NUMBER", &number.to_string());
                let more = method == "Watch";
                format!("{{\"method\":\"org.penfold.Control.{method}\",\"parameters\":{parameters},\"more\":{more}}}\0")
            });
            let again = self.again;
            thread::Builder::new().stack_size(128 << 10).spawn(move || {
                let Some(message) = message else { return thread::park() };
                let other = message.replace("Control.Mkdir", "Control.Rmdir");
                for message in [&message, &other].into_iter().cycle() {
                    if stream.write_all(message.as_bytes()).is_err() {
                        return;
                    }
                    if !again {
                        return thread::park();
                    }
                    let mut buffer = vec![0; 1 << 16];
                    while !matches!(stream.read(&mut buffer), Ok(length) if length == 0 || buffer[length - 1] == 0) {}
                }
            })?;
        }
        std::io::stdout().write_all(b".")?;
        std::io::stdout().flush()?;
        loop {
            thread::park();
        }
    }
}
