//! Modules over the socket: loading, unloading and listing while everything runs, and the right to it.

mod common;

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use penfold_server::connection::{CallError, Connection};
use penfold_server::control::Limits;
use penfold_server::protocol::{
    EnvironmentInfo, EventInfo, ExecCall, FilesCall, HierarchiesCall, ListModulesCall, LoadModuleCall,
    Method, MkdirCall, ModuleInfo, MountCall, ProcCall, RemountCall, RmdirCall, SubsystemsCall,
    UnloadModuleCall, UnmountCall, WatchCall,
};

use common::{HostKind, InProcessDaemon, NOBODY, has_root};
use penfold_testkit::{TempDir, compile_module, skip, wait_until};

/// A variant of the test module, compiled into a directory of its own.
struct Compiled {
    path: PathBuf,
    _directory: TempDir,
}

impl Deref for Compiled {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// Compiles a variant of the test module in a directory that only this user can write. Skips the test and returns `None`
/// if there is no such directory, or no compiler.
fn compile(name: &str, flags: &[&str]) -> Option<Compiled> {
    let directory = TempDir::trusted(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("{name}.so"));
    let named = format!("-DNAME=\"{name}\"");
    let flags = [&["-std=gnu99", "-Wno-override-init", &named], flags].concat();
    if let Err(error) = compile_module("modules/probe.c", &file, &flags) {
        skip(&format!("no C compiler: {error}"));
        return None;
    }
    let own = nix::unistd::geteuid().as_raw();
    match penfold_module::loader::ownership_check::check(&file, own) {
        Ok(path) => Some(Compiled { path, _directory: directory }),
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

fn load(daemon: &InProcessDaemon, path: &Path) -> ModuleInfo {
    daemon.call(&LoadModuleCall { module: text(path) }).module
}

fn unload(daemon: &InProcessDaemon, name: &str) {
    daemon.call(&UnloadModuleCall { name: name.into() });
}

fn mount(daemon: &InProcessDaemon, options: &str) -> String {
    daemon.call(&MountCall { options: options.into(), filesystem: None }).hierarchy.id.to_string()
}

fn modules(daemon: &InProcessDaemon) -> Vec<ModuleInfo> {
    daemon.call(&ListModulesCall {}).modules
}

/// The errno and the message of a refused call.
fn refusal<M: Method>(daemon: &InProcessDaemon, call: &M) -> (String, String) {
    match daemon.try_call(call) {
        Err(CallError::Refused(failure)) => (failure.errno_name(), failure.to_string()),
        Err(other) => panic!("{}: {other}", M::NAME),
        Ok(_) => panic!("{} is not refused", M::NAME),
    }
}

fn start(daemon: &InProcessDaemon, cgroup: &str, script: &str) {
    daemon.call(&ExecCall {
        cgroups: vec![cgroup.to_owned()],
        command: ["sh", "-c", script].map(str::to_owned).into(),
        environment: vec![EnvironmentInfo { name: "PATH".into(), value: "/usr/bin:/bin".into() }],
        ..ExecCall::default()
    });
}

#[test]
fn module_loads_and_unloads_beside_running_tasks() {
    let Some(path) = compile("full", &["-DEVENTS"]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    let pids = mount(&daemon, "pids");
    daemon.mkdir(&format!("{pids}:/a"));
    start(&daemon, &format!("{pids}:/a"), "while :; do (:); done");
    start(&daemon, &format!("{pids}:/a"), "sleep 1000 & sleep 1000 & wait");
    wait_until("they run", || daemon.processes(&format!("{pids}:/a")).len() >= 4);
    // another client calls all the time, and is always answered
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut connection: Connection = daemon.connect();
            let call = ListModulesCall {};
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                connection.call(&HierarchiesCall {}).expect("an answer");
                assert!(connection.call(&call).expect("an answer").modules.len() <= 1);
                asked += 1;
            }
            asked
        });
        for round in 0..5 {
            let loaded = load(&daemon, &path);
            assert_eq!(
                (loaded.name.as_str(), loaded.version.as_str(), loaded.path),
                ("full", "1.2.3", text(&path))
            );
            assert_eq!(
                (loaded.summary.as_str(), loaded.references, loaded.holder),
                ("a module for tests", 0, None)
            );
            let cgroups = daemon.call(&ProcCall { file: "cgroups".into(), task: None }).content;
            assert!(cgroups.contains("full\t0\t1\t1\n"), "{cgroups}");
            let id = mount(&daemon, "full");
            daemon.mkdir(&format!("{id}:/x"));
            start(&daemon, &format!("{id}:/x"), "(:); (:); :");
            let told = || daemon.read(&format!("{id}:/x"), "full.stats");
            wait_until("it was told of three forks", || told().contains("exits 3\n"));
            assert!(told().contains("forks 2\n"), "{}", told());
            assert!(told().contains("attached 1\n"), "{}", told());
            // the tasks older than the module, and those born in other cgroups since
            let of_root = daemon.read(&format!("{id}:/"), "full.stats");
            let forks: u64 =
                of_root.lines().find_map(|line| line.strip_prefix("forks ")?.parse().ok()).expect("a count");
            assert!(forks >= 4, "{of_root}");
            assert_eq!(
                daemon.read(&format!("{id}:/"), "full.value"),
                "0\n",
                "round {round} starts from the defaults"
            );
            daemon.write(&format!("{id}:/"), "full.value", "7");
            daemon.call(&RmdirCall { cgroup: format!("{id}:/x"), recursive: None });
            daemon.call(&UnmountCall { hierarchy: id });
            unload(&daemon, "full");
        }
        done.store(true, Ordering::Relaxed);
        assert!(client.join().expect("it was answered") > 10);
    });
    assert!(modules(&daemon).is_empty());
    assert!(daemon.processes(&format!("{pids}:/a")).len() >= 4, "nobody was harmed");
}

#[test]
fn unload_of_a_bound_module_names_the_holder() {
    let Some(path) = compile("bound", &[]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    load(&daemon, &path);
    let id = mount(&daemon, "bound,name=its");
    let busy = UnloadModuleCall { name: "bound".into() };
    let (errno, message) = refusal(&daemon, &busy);
    assert!(
        errno == "EBUSY" && message.contains(&format!("bound: bound to hierarchy {id} (with name=its);")),
        "{message}"
    );
    mount(&daemon, "bound,name=its");
    let [module] = &modules(&daemon)[..] else { panic!("one") };
    let hierarchy = module.hierarchy.as_ref().expect("it is bound");
    assert_eq!((hierarchy.id.to_string(), hierarchy.name.as_str(), hierarchy.mounts), (id.clone(), "its", 2));
    assert_eq!(
        (module.references, module.holder.as_deref()),
        (1, Some(&*format!("hierarchy {id} (its), mounted 2 times")))
    );
    daemon.mkdir(&format!("{id}:/x"));
    daemon.call(&UnmountCall { hierarchy: id.clone() });
    daemon.call(&UnmountCall { hierarchy: id.clone() });
    let (errno, message) = refusal(&daemon, &busy);
    assert!(errno == "EBUSY" && message.contains("unmounted but with children"), "{message}");
    let holder = modules(&daemon)[0].holder.clone();
    let expected = format!("hierarchy {id} (its), not mounted, with 1 cgroup below its root");
    assert_eq!(holder.as_deref(), Some(&*expected));
    daemon.call(&RmdirCall { cgroup: format!("{id}:/x"), recursive: None });
    assert_eq!((modules(&daemon)[0].references, modules(&daemon)[0].hierarchy.is_none()), (0, true));
    unload(&daemon, "bound");
    assert_eq!(refusal(&daemon, &busy).0, "ENOENT");
    let (errno, message) = refusal(&daemon, &MountCall { options: "bound".into(), filesystem: None });
    assert!(errno == "EINVAL" && message.contains("no such option or subsystem"), "{message}");
}

#[test]
fn loaded_module_is_bound_by_all_and_by_remount() {
    let Some(path) = compile("taken", &[]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    let id = mount(&daemon, "pids");
    load(&daemon, &path);
    daemon.call(&RemountCall { hierarchy: id.clone(), options: "pids,taken".into() });
    daemon.write(&format!("{id}:/"), "taken.value", "5");
    assert_eq!(refusal(&daemon, &UnloadModuleCall { name: "taken".into() }).0, "EBUSY");
    daemon.call(&RemountCall { hierarchy: id.clone(), options: "pids".into() });
    unload(&daemon, "taken");
    daemon.call(&UnmountCall { hierarchy: id });
    load(&daemon, &path);
    let id = mount(&daemon, "all");
    let files = daemon.call(&FilesCall { cgroup: format!("{id}:/") }).files;
    assert!(files.iter().any(|file| file.name == "taken.value"));
    let subsystems = daemon.call(&SubsystemsCall {}).subsystems;
    assert!(subsystems.iter().any(|one| one.name == "taken" && one.hierarchy.to_string() == id));
}

#[test]
fn only_the_owner_loads_and_unloads() {
    let Some(path) = compile("owned", &[]) else { return };
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    let call = format!(r#"{{"module":"{}"}}"#, text(&path));
    let answer = daemon.as_user(NOBODY, "LoadModule", &call);
    assert!(answer.contains("EPERM") && answer.contains("owner (uid 0, with its capabilities)"), "{answer}");
    load(&daemon, &path);
    let answer = daemon.as_user(NOBODY, "UnloadModule", r#"{"name":"owned"}"#);
    assert!(answer.contains("EPERM"), "{answer}");
    let answer = daemon.as_user(NOBODY, "ListModules", "{}");
    assert!(answer.contains(r#""name":"owned""#), "{answer}");
    unload(&daemon, "owned");
    let client = daemon.client("LoadModule", &call);
    for (wrapper, why) in [
        (&["setpriv", "--no-new-privs"][..], "no new privileges"),
        (&["setpriv", "--bounding-set", "-sys_admin"], "owner"),
        (&["unshare", "--mount"], "a mnt namespace"),
        (&["unshare", "--net"], "a net namespace"),
    ] {
        let output = Command::new(wrapper[0])
            .args(&wrapper[1..])
            .arg(client.get_program())
            .args(client.get_args())
            .output()
            .expect("the wrapper runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(answer.contains("EPERM") && answer.contains(why), "{wrapper:?}: {answer}");
    }
    assert!(modules(&daemon).is_empty());
}

#[test]
fn file_that_others_can_change_is_refused_with_the_mode() {
    let Some(path) = compile("open", &[]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    let call = LoadModuleCall { module: text(&path) };
    fs::set_permissions(&*path, fs::Permissions::from_mode(0o775)).expect("chmod");
    let (errno, message) = refusal(&daemon, &call);
    assert!(errno == "EPERM" && message.contains("can be written by its group (mode 0775)"), "{message}");
    fs::set_permissions(&*path, fs::Permissions::from_mode(0o755)).expect("chmod");
    let outside = daemon.directory.join("module.so");
    fs::copy(&*path, &outside).expect("a copy");
    let (errno, message) = refusal(&daemon, &LoadModuleCall { module: text(&outside) });
    assert!(errno == "EPERM" && message.contains("/tmp can be written by"), "{message}");
    load(&daemon, &path);
}

#[test]
fn refused_load_names_its_reason_and_changes_nothing() {
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    let witness = Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules-constructed");
    let _ = fs::remove_file(&witness);
    let constructor = format!("-DCONSTRUCTOR=\"{}\"", witness.display());
    let cases: [(&str, &[&str], &str, &str); 8] = [
        ("version", &["-DMORE=.abi_version = 9,"], "ENOEXEC", "made for version 9"),
        ("symbol", &["-DNO_SYMBOL"], "ENOEXEC", "exports no symbol penfold_module"),
        ("garbage", &["-DMORE=.file_count = 1 << 30,"], "EINVAL", "number of files"),
        ("clash", &["-DFILES={ .name = \"value\" },"], "EINVAL", "two files named"),
        // a mount option has this name
        ("none", &[], "EINVAL", "mount option"),
        ("fails", &["-DLOAD=-12"], "ENOMEM", "the module's load failed"),
        ("pids", &[&constructor], "EEXIST", "is compiled in"),
        ("root", &["-DCREATE_ROOT=ENOSPC"], "ENOSPC", "No space left"),
    ];
    for (name, flags, errno, words) in cases {
        let Some(path) = compile(name, flags) else { return };
        let (found, message) = refusal(&daemon, &LoadModuleCall { module: text(&path) });
        assert!(found == errno && message.contains(words), "{name}: {found} {message}");
    }
    assert!(!witness.exists(), "code of a module that is refused has run");
    for (module, errno, words) in [
        ("relative/x.so", "EINVAL", "give an absolute one"),
        ("/nowhere/x.so", "ENOENT", "/nowhere/x.so"),
        ("/dev/null", "EPERM", "not a regular file"),
        ("nonesuch", "ENOENT", "libpenfold_nonesuch.so"),
        ("", "ENOENT", ""),
    ] {
        let (found, message) = refusal(&daemon, &LoadModuleCall { module: module.into() });
        assert!(found == errno && message.contains(words), "{module}: {found} {message}");
    }
    let (errno, message) = refusal(&daemon, &UnloadModuleCall { name: "pids".into() });
    assert!(errno == "ENOENT" && message.contains("compiled in"), "{message}");
    assert!(modules(&daemon).is_empty());
    let Some(path) = compile("fine", &[]) else { return };
    load(&daemon, &path);
    let (errno, message) = refusal(&daemon, &LoadModuleCall { module: text(&path) });
    assert!(
        errno == "EEXIST" && message.contains("is loaded from") && message.contains("unload it first"),
        "{message}"
    );
    assert_eq!(modules(&daemon).len(), 1);
}

#[test]
fn cgroup_that_a_module_refuses_is_not_made() {
    let Some(path) = compile("refuses", &["-DCREATE=ENOSPC"]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    load(&daemon, &path);
    let id = mount(&daemon, "pids,refuses,freezer");
    let call = MkdirCall { cgroup: format!("{id}:/x"), ..MkdirCall::default() };
    let (errno, message) = refusal(&daemon, &call);
    assert!(errno == "ENOSPC" && message.contains("create was told to fail"), "{message}");
    assert_eq!(daemon.names(&format!("{id}:/")), ["/"]);
    daemon.call(&UnmountCall { hierarchy: id });
    unload(&daemon, "refuses");
}

#[test]
fn watcher_of_everything_gets_events_of_modules() {
    let Some(path) = compile("heard", &[]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    let id = mount(&daemon, "pids");
    let listen = |cgroup: Option<String>| {
        let mut connection = daemon.connect();
        let (tell, hear) = std::sync::mpsc::channel::<EventInfo>();
        let (ready, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for reply in connection.call_more(&WatchCall { cgroup }, &[]).expect("sent") {
                let Ok(reply) = reply else { return };
                let _ = ready.send(());
                if let Some(event) = reply.event {
                    let _ = tell.send(event);
                }
            }
        });
        wait.recv_timeout(Duration::from_secs(20)).expect("it watches");
        hear
    };
    let (all, of_one) = (listen(None), listen(Some(format!("{id}:/"))));
    load(&daemon, &path);
    unload(&daemon, "heard");
    daemon.mkdir(&format!("{id}:/x"));
    let next = || all.recv_timeout(Duration::from_secs(20)).expect("an event");
    for kind in ["loaded", "unloaded"] {
        let event = next();
        assert_eq!((event.kind.as_str(), event.subsystem.as_deref()), (kind, Some("heard")));
    }
    assert_eq!(next().kind, "created");
    let first = of_one.recv_timeout(Duration::from_secs(20)).expect("an event");
    assert_eq!((first.kind.as_str(), first.subsystem), ("created", None));
}

#[test]
fn slow_callback_is_counted() {
    let Some(path) = compile("slow", &[]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    load(&daemon, &path);
    let id = mount(&daemon, "slow");
    assert_eq!(modules(&daemon)[0].overruns, 0);
    daemon.write(&format!("{id}:/"), "slow.slow", "150");
    daemon.write(&format!("{id}:/"), "slow.slow", "1");
    assert_eq!(modules(&daemon)[0].overruns, 1);
}

/// The module's `fork` registers a destructor of a thread-local. It runs on the tracer's thread, which does not end, so
/// the module stays mapped.
#[test]
fn module_that_stays_mapped_is_listed() {
    let pins = [
        "-DFUNCTIONS=extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);\
         static uint64_t own; static void end(void *at) { (void)at; }\
         static void pin(struct penfold_context *ctx, int32_t child) { (void)ctx; (void)child;\
         __cxa_thread_atexit_impl(end, &own, &own); }",
        "-DMORE=.fork = pin,",
    ];
    let Some(path) = compile("pinned", &pins) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    let still = || daemon.call(&ListModulesCall {}).still_mapped;
    for lives in 1..3 {
        load(&daemon, &path);
        let id = mount(&daemon, "pinned");
        start(&daemon, &format!("{id}:/"), "true");
        assert_eq!(still().len(), lives - 1);
        daemon.call(&UnmountCall { hierarchy: id });
        unload(&daemon, "pinned");
        assert_eq!(modules(&daemon), []);
        let still = still();
        assert_eq!(still.len(), lives, "{still:?}");
        assert!(still.iter().all(|one| one.name == "pinned" && one.path == text(&path)), "{still:?}");
        assert!(still[0].reason.contains("thread-local"), "{still:?}");
    }
}

#[test]
fn one_of_several_loads_at_once_succeeds() {
    let Some(path) = compile("twice", &[]) else { return };
    let daemon = InProcessDaemon::empty(HostKind::Trace, Limits::default());
    for _ in 0..10 {
        let outcomes: Vec<bool> = std::thread::scope(|scope| {
            let load = || daemon.try_call(&LoadModuleCall { module: text(&path) }).is_ok();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
            all.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        assert_eq!(outcomes.iter().filter(|success| **success).count(), 1);
        assert_eq!(modules(&daemon).len(), 1);
        unload(&daemon, "twice");
    }
}
