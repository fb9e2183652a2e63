//! `penfold module`, `run --module` and `serve --load`.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{ModuleDir, PENFOLD, TestDaemon, TestRun, TestUser, penfold, plain, shell};
use nix::sys::signal::Signal;
use penfold_testkit::{TempDir, compile_module, has_program, is_root, needs, skip, wait_until};

/// Compiles the module of the loader's tests under a name of its own.
fn compile(modules: &ModuleDir, name: &str, flags: &[&str]) -> PathBuf {
    let file = modules.file(name);
    let named = format!("-DNAME=\"{name}\"");
    let flags = [&["-std=gnu99", "-Wno-override-init", &named], flags].concat();
    compile_module("modules/probe.c", &file, &flags).expect("run cc");
    file
}

fn words(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A directory for modules; `None`, with a printed reason, without root or a C compiler.
fn modules() -> Option<ModuleDir> {
    if !is_root() || !has_program("cc") {
        skip("this needs root and a C compiler");
        return None;
    }
    Some(ModuleDir::new())
}

#[test]
fn modules_are_loaded_listed_and_unloaded() {
    let Some(modules) = modules() else { return };
    let file = compile(&modules, "tried", &[]);
    let daemon = TestDaemon::start(TestUser::Same, &["pids"]);
    let empty = "MODULE  VERSION  HIERARCHY  REFS  OVERRUNS  PATH  HOLDER\n";
    assert_eq!(daemon.says(&["module", "list"]), empty);
    assert_eq!(daemon.says(&["module", "load", words(&file)]), "");
    daemon.refuses(&["module", "load", words(&file)], &[&["unload it first", "[EEXIST]"]]);
    assert!(daemon.says(&["subsystems"]).lines().any(|line| line.starts_with("tried ")));
    assert!(daemon.says(&["lssubsys", "-a"]).lines().any(|line| line == "tried"));
    daemon.mount("tried");
    assert!(daemon.says(&["lssubsys"]).lines().any(|line| line == "tried"));
    daemon.says(&["mkdir", "tried:/x"]);
    daemon.says(&["set", "tried:/x", "tried.value=0x10"]);
    assert_eq!(daemon.says(&["cat", "tried:/x", "tried.value"]), "16\n");
    let list = daemon.says(&["module", "list"]);
    let line = list.lines().nth(1).expect("a line");
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[..6], ["tried", "1.2.3", "2", "1", "0", words(&file)], "{list}");
    assert!(line.ends_with("hierarchy 2 (tried), mounted once"), "{list}");
    let json = daemon.json(&["module", "list", "--json"]);
    assert_eq!((&json[0]["name"], &json[0]["hierarchy"]["id"]), (&"tried".into(), &2.into()));
    daemon.refuses(
        &["module", "unload", "tried", "none"],
        &[&["tried: bound to hierarchy 2;", "[EBUSY]"], &["none: no such module", "[ENOENT]"]],
    );
    daemon.says(&["rmdir", "tried:/x"]);
    daemon.says(&["umount", "tried:"]);
    daemon.says(&["module", "unload", "tried"]);
    assert_eq!(daemon.says(&["module", "list"]), empty);
    daemon.refuses(&["module", "load", "nonesuch"], &[&["nonesuch", "libpenfold_nonesuch.so", "[ENOENT]"]]);
}

#[test]
fn list_shows_a_module_that_stays_mapped() {
    let Some(modules) = modules() else { return };
    let pins = [
        "-DFUNCTIONS=extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);\
         static uint64_t own; static void end(void *at) { (void)at; }\
         static void pin(struct penfold_context *ctx, int32_t child) { (void)ctx; (void)child;\
         __cxa_thread_atexit_impl(end, &own, &own); }",
        "-DMORE=.fork = pin,",
    ];
    let file = compile(&modules, "pinned", &pins);
    let daemon = TestDaemon::start(TestUser::Same, &[]);
    daemon.says(&["module", "load", words(&file)]);
    daemon.mount("pinned");
    daemon.says(&["exec", "pinned:/", "--", "true"]);
    daemon.says(&["umount", "pinned:"]);
    daemon.says(&["module", "unload", "pinned"]);
    let list = daemon.says(&["module", "list"]);
    let said = format!("pinned ({}) is unloaded but stays mapped: ", words(&file));
    assert!(list.lines().nth(1).is_some_and(|line| line.starts_with(&said)), "{list}");
}

#[test]
fn relative_module_path_is_the_callers() {
    let Some(modules) = modules() else { return };
    compile(&modules, "near", &[]);
    let daemon = TestDaemon::start(TestUser::Same, &[]);
    let script = format!(
        "cd {} && {PENFOLD} module load libpenfold_near.so && {PENFOLD} module load ./libpenfold_net_cls.so",
        modules.path().display()
    );
    let run = TestRun::new(shell(&script)).env("PENFOLD_SOCKET", daemon.socket());
    run.run().succeeded();
    assert_eq!(daemon.json(&["module", "list", "--json"]).as_array().map(Vec::len), Some(2));
    daemon.says(&["module", "unload", "near", "net_cls"]);
    // the client's directories come first, though the daemon does not know them
    daemon.verb(&["module", "load", "near"]).env("PENFOLD_MODULES", modules.path()).run().succeeded();
    let info =
        daemon.verb(&["module", "info", "near"]).env("PENFOLD_MODULES", modules.path()).run().succeeded();
    assert!(info.stdout.contains(words(&modules.file("near"))), "{}", info.stdout);
}

#[test]
fn only_the_daemons_owner_may_load() {
    let Some(modules) = modules() else { return };
    needs!("setpriv");
    let file = compile(&modules, "theirs", &[]);
    let daemon = TestDaemon::start(TestUser::Same, &[]);
    let mut socket = daemon.socket().to_owned();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("open to all");
    while socket.pop() && socket.starts_with(std::env::temp_dir()) && socket != std::env::temp_dir() {
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o755)).expect("open to all");
    }
    let run = plain(&["module", "load", words(&file)])
        .user(TestUser::Nobody)
        .env("PENFOLD_SOCKET", daemon.socket());
    let ended = run.run();
    assert!(
        ended.code() == 1 && ended.stderr.contains("owner (uid 0") && ended.stderr.contains("[EPERM]"),
        "{ended:#?}"
    );
    // the owner of a user's own daemon is that user, and a file of root may be loaded there
    let own = TestDaemon::start(TestUser::Nobody, &[]);
    own.says(&["module", "load", words(&file)]);
    own.says(&["module", "unload", "theirs"]);
    let scratch = TempDir::open_to_all();
    let copy = scratch.path().join("libpenfold_theirs.so");
    fs::copy(&file, &copy).expect("a copy");
    own.refuses(&["module", "load", words(&copy)], &[&["can be written by", "chmod", "[EPERM]"]]);
}

#[test]
fn info_shows_a_module_without_running_it() {
    let Some(modules) = modules() else { return };
    let witness = modules.path().join("constructed");
    let constructor = format!("-DCONSTRUCTOR=\"{}\"", witness.display());
    let file = compile(&modules, "shown", &[&constructor, "-DRULES", "-DEVENTS"]);
    let info = plain(&["module", "info", words(&file)]).run().succeeded().stdout;
    assert!(!witness.exists(), "its code has run");
    for line in [
        "name       shown",
        "version    1.2.3",
        "interface  1",
        "callbacks  attach, fork, exit",
        "counts     tasks (limit in shown.value, refused with EAGAIN)",
        "loadable   yes",
        "shown.root   0444  text  -        root only",
    ] {
        assert!(info.lines().any(|other| other == line), "{line:?} is not in\n{info}");
    }
    let json = plain(&["module", "info", "--json", words(&file)]).run().succeeded().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["files"][0]["name"], &json["refusal"]),
        (&"shown.value".into(), &serde_json::Value::Null)
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o777)).expect("chmod");
    let info = plain(&["module", "info", words(&file)]).run().succeeded().stdout;
    assert!(info.contains("loadable   no: ") && info.contains("chmod go-w"), "{info}");
    let ended = plain(&["module", "info", "/bin/sh"]).run();
    assert!(ended.code() == 1 && ended.stderr.contains("[ENOEXEC]"), "{ended:#?}");
}

#[test]
fn check_finds_faults_of_a_module() {
    let Some(modules) = modules() else { return };
    let check =
        |file: &Path, settings: &[&str]| plain(&[&["module", "check", words(file)], settings].concat()).run();
    let good = compile(&modules, "good", &["-DEVENTS"]);
    let ended = check(&good, &["good.odd=3"]).succeeded();
    for line in ["fork ", "exit ", "attach, refused", "mkdir, refused", "unload while mounted", "load again"]
    {
        assert!(
            ended.stdout.lines().any(|other| other.starts_with(&format!("ok    {line}"))),
            "{}",
            ended.stdout
        );
    }
    assert!(ended.stdout.ends_with(" 0 wrong\n"), "{}", ended.stdout);
    let wrong = |file: &Path, settings: &[&str], words: &str| {
        let ended = check(file, settings);
        let found = ended.stdout.lines().any(|line| line.starts_with("WRONG") && line.contains(words));
        assert!(ended.code() == 1 && found, "{words}: {ended:#?}");
    };
    wrong(&good, &["good.odd=4"], "4 is even [ERANGE]");
    wrong(&good, &["good.none=4"], "there is no such file");
    wrong(&good, &["good.slow=800"], "took longer than they may");
    wrong(&compile(&modules, "unloadable", &["-DLOAD=-5"]), &[], "the module's load failed");
    wrong(&compile(&modules, "childless", &["-DCREATE=ENOSPC"]), &[], "create was told to fail");
    let flags = [
        "-DFUNCTIONS=static int busy(struct penfold_context *c) { (void)c; return -EBUSY; }",
        "-DMORE=.pre_destroy = busy,",
    ];
    wrong(&compile(&modules, "odd", &flags), &[], "is empty, and yet");
    let pins = [
        "-DFUNCTIONS=extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);\
         static void end(void *at) { (void)at; }\
         static int pin(void **module) { return -__cxa_thread_atexit_impl(end, module, (void *)end); }",
        "-DMORE=.load = pin,",
    ];
    let ended = check(&compile(&modules, "pinned", &pins), &[]).succeeded();
    assert!(ended.stdout.lines().any(|line| line.contains("unmap") && line.contains("it stays mapped")));
}

#[test]
fn job_has_modules_of_its_own() {
    let Some(modules) = modules() else { return };
    let file = compile(&modules, "own", &["-DEVENTS"]);
    for user in common::users() {
        needs!("setpriv");
        let run =
            penfold(&["own.value=5"], &shell("(:); (:); :")).options(&["--module", words(&file)]).user(user);
        let ended = run.run().succeeded();
        assert_eq!(ended.file("own.value"), "5");
        let stats = ended.file("own.stats");
        assert!(stats.contains("forks 2") && stats.contains("exits 3"), "{stats}");
        // by its name, and by a setting alone
        let named = penfold(&["own.value=6"], &["true"]).options(&["--module", "own"]).user(user);
        assert_eq!(named.env("PENFOLD_MODULES", modules.path()).run().succeeded().file("own.value"), "6");
        let unnamed = penfold(&["own.value=7"], &["true"]).user(user);
        assert_eq!(unnamed.env("PENFOLD_MODULES", modules.path()).run().succeeded().file("own.value"), "7");
        let ended = penfold(&["own.value=7"], &["true"]).user(user).run();
        assert!(ended.code() == 125 && ended.stderr.contains("no such control file"), "{ended:#?}");
    }
    // --module takes a compiled-in controller as well
    penfold(&["pids.max=9"], &["true"]).options(&["--module", "pids"]).run().succeeded();
    let ended = penfold(&[], &["true"]).options(&["--module", "/nowhere.so"]).run();
    assert!(ended.code() == 125 && ended.stderr.contains("[ENOENT]"), "{ended:#?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o757)).expect("chmod");
    let ended = penfold(&["own.value=7"], &["true"]).env("PENFOLD_MODULES", modules.path()).run();
    assert!(ended.code() == 125 && ended.stderr.contains("can be written by everybody"), "{ended:#?}");
}

#[test]
fn nested_job_uses_modules_of_the_outer_job() {
    let Some(modules) = modules() else { return };
    let file = compile(&modules, "outer", &[]);
    let inner = |options: &str| {
        format!("{PENFOLD} run -q {options} -s outer.value=3 -- {PENFOLD} cat / outer.value; echo $?")
    };
    let run = |script: &str, options: &[&str]| {
        penfold(&[], &shell(script)).options(options).env("PENFOLD_MODULES", modules.path()).run()
    };
    let given = ["--module", words(&file)];
    for options in ["", "--module outer", &format!("--module {}", file.display())] {
        let ended = run(&inner(options), &given).succeeded();
        assert_eq!(ended.stdout, "0\n0\n", "{options}: {ended:#?}");
    }
    let ended = run(&inner("--module outer"), &[]);
    assert_eq!(ended.stdout, "125\n");
    assert!(
        ended.stderr.contains("penfold: --module outer: not in the engine of the job around this one"),
        "{ended:#?}"
    );
    let ended = run(&inner(""), &[]);
    assert!(
        ended
            .stderr
            .contains("; a module that is not loaded has it: give --module outer to the penfold run around"),
        "{ended:#?}"
    );
    let ended = run(&format!("{PENFOLD} module load {}; echo $?", file.display()), &[]);
    assert!(ended.stdout == "1\n" && ended.stderr.contains("[EPERM]"), "{ended:#?}");
}

#[test]
fn job_in_a_daemons_tree_loads_a_module_for_itself() {
    let Some(modules) = modules() else { return };
    let file = compile(&modules, "lent", &[]);
    let daemon = TestDaemon::start(TestUser::Same, &["pids"]);
    let run = |settings: &[&str]| {
        let mut words = vec!["run", "-q", "--in", "pids:/", "--module", words(&file)];
        words.extend(settings);
        words.extend(["--", PENFOLD, "module", "list", "--json"]);
        daemon.run(&words)
    };
    let ended = run(&["-s", "lent.value=4", "-s", "pids.max=50"]).succeeded();
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&json[0]["name"], &json[0]["hierarchy"]["cgroups"]), (&"lent".into(), &2.into()));
    assert_eq!(
        daemon.json(&["module", "list", "--json"]).as_array().map(Vec::len),
        Some(0),
        "it was given back"
    );
    assert_eq!(daemon.json(&["hierarchies", "--json"]).as_array().map(Vec::len), Some(1));
    let ended = run(&["-s", "lent.nothing=4"]);
    assert!(ended.code() == 125 && ended.stderr.contains("no such control file"), "{ended:#?}");
    assert_eq!(
        daemon.json(&["module", "list", "--json"]).as_array().map(Vec::len),
        Some(0),
        "it was given back"
    );
}

#[test]
fn mount_says_how_to_load_a_missing_module() {
    let Some(modules) = modules() else { return };
    compile(&modules, "missing", &[]);
    let run = TestRun::new([PENFOLD, "serve", "--socket"]).env("PENFOLD_MODULES", modules.path());
    let socket = run.scratch().join("control");
    let _running = run.word(&socket).limit(60).start();
    wait_until("the daemon listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let verb = |words: &[&str]| plain(words).env("PENFOLD_SOCKET", &socket).run();
    let ended = verb(&["mount", "-o", "missing"]);
    assert!(ended.code() == 1 && ended.stderr.contains("[EINVAL]"), "{ended:#?}");
    assert!(
        ended.stderr.contains("libpenfold_missing.so, which `penfold module load` loads [EINVAL]"),
        "{ended:#?}"
    );
    let other = verb(&["mount", "-o", "nonesuch"]);
    assert!(other.stderr.contains("[EINVAL]") && !other.stderr.contains("module load"), "{other:#?}");
    // the daemon finds the module by its name
    verb(&["module", "load", "missing"]).succeeded();
    verb(&["mount", "-o", "missing"]).succeeded();
}

/// A daemon that can be killed and started again.
struct CrashableDaemon {
    scratch: TempDir,
    running: common::LiveRun,
}

impl CrashableDaemon {
    fn start(options: &[&str]) -> CrashableDaemon {
        let scratch = TempDir::open_to_all();
        let running = CrashableDaemon::spawn(&scratch, options);
        CrashableDaemon { scratch, running }
    }

    fn spawn(scratch: &TempDir, options: &[&str]) -> common::LiveRun {
        let socket = scratch.path().join("run/control");
        let words: Vec<std::ffi::OsString> = [PENFOLD, "serve", "--socket"].map(Into::into).into();
        let options = options.iter().map(std::ffi::OsString::from);
        let running = TestRun::new(words.into_iter().chain([socket.clone().into_os_string()]).chain(options))
            .limit(120)
            .start();
        wait_until("the daemon listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        running
    }

    fn crash(&mut self, options: &[&str]) {
        self.running.signal(Signal::SIGKILL);
        self.running.wait();
        self.running = CrashableDaemon::spawn(&self.scratch, options);
    }

    fn says(&self, words: &[&str]) -> String {
        plain(words).env("PENFOLD_SOCKET", self.scratch.path().join("run/control")).run().succeeded().stdout
    }

    /// Waits until the journal has this text.
    fn written(&self, what: &str) {
        let journal = self.scratch.path().join("run/state/journal");
        wait_until(what, || fs::read_to_string(&journal).unwrap_or_default().contains(what));
    }

    fn not_restored(&self) -> String {
        let script = "
import json, socket, sys
control = socket.socket(socket.AF_UNIX)
control.connect(sys.argv[1])
control.sendall(b'{\"method\":\"org.penfold.Control.Info\"}\\0')
print('\\n'.join(json.loads(control.recv(65536).rstrip(b'\\0'))['parameters']['notRestored']))";
        let socket = self.scratch.path().join("run/control");
        TestRun::new([common::PYTHON, "-c", script, words(&socket)]).run().succeeded().stdout
    }
}

#[test]
fn killed_daemon_loads_its_modules_again() {
    let Some(modules) = modules() else { return };
    let kept = compile(&modules, "kept", &[]);
    let gone = compile(&modules, "gone", &[]);
    let mut daemon = CrashableDaemon::start(&[]);
    daemon.says(&["module", "load", words(&kept), words(&gone)]);
    for options in ["kept", "gone", "pids,name=mixed"] {
        daemon.says(&["mount", "-o", options]);
    }
    daemon.says(&["mkdir", "kept:/a", "mixed:/a"]);
    daemon.says(&["set", "kept:/a", "kept.value=5"]);
    daemon.says(&["set", "mixed:/a", "pids.max=7"]);
    daemon.written("\"kept.value\",\"5");
    daemon.written("\"pids.max\",\"7");
    let before = (daemon.says(&["module", "list", "--json"]), daemon.says(&["hierarchies", "--json"]));
    daemon.crash(&[]);
    assert_eq!((daemon.says(&["module", "list", "--json"]), daemon.says(&["hierarchies", "--json"])), before);
    assert_eq!(daemon.says(&["cat", "kept:/a", "kept.value"]), "5\n");
    assert_eq!(daemon.not_restored(), "\n");
    // a module of --load is not loaded a second time
    daemon.written("\"gone\"");
    daemon.crash(&["--load", words(&kept)]);
    let list = daemon.says(&["module", "list"]);
    assert_eq!(
        list.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["MODULE", "kept", "gone"]
    );

    fs::remove_file(&gone).expect("it is ours");
    daemon.written("\"gone\"");
    daemon.crash(&[]);
    let lost = daemon.not_restored();
    assert!(
        lost.contains("the module gone can't be loaded again: ") && lost.contains(words(&gone)),
        "{lost}"
    );
    assert!(lost.contains("(gone) had no other subsystem: all that was in it is lost"), "{lost}");
    assert_eq!(lost.lines().count(), 2, "{lost}");
    assert_eq!(daemon.says(&["cat", "kept:/a", "kept.value"]), "5\n");
    assert_eq!(daemon.says(&["cat", "mixed:/a", "pids.max"]), "7\n");
}

#[test]
fn hierarchy_that_lost_one_subsystem_keeps_the_others() {
    let Some(modules) = modules() else { return };
    let file = compile(&modules, "part", &[]);
    let mut daemon = CrashableDaemon::start(&[]);
    daemon.says(&["module", "load", words(&file)]);
    daemon.says(&["mount", "-o", "pids,part"]);
    daemon.says(&["mkdir", "pids:/a"]);
    daemon.says(&["set", "pids:/a", "pids.max=7", "part.value=9"]);
    daemon.written("\"part.value\",\"9");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("chmod");
    daemon.crash(&[]);
    let lost = daemon.not_restored();
    assert!(
        lost.contains("the module part can't be loaded again") && lost.contains("can be written by"),
        "{lost}"
    );
    assert_eq!(lost.lines().count(), 1, "{lost}");
    assert_eq!(daemon.says(&["cat", "pids:/a", "pids.max"]), "7\n");
    // loaded again, the module gets a hierarchy of its own
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("chmod");
    daemon.says(&["module", "load", words(&file)]);
    daemon.written("\"part\"");
    daemon.says(&["module", "unload", "part"]);
    daemon.written("moduleGone");
    daemon.crash(&[]);
    assert_eq!(daemon.says(&["module", "list", "--json"]), "[]\n");
}

#[test]
fn serve_loads_the_modules_of_its_options() {
    let Some(modules) = modules() else { return };
    let first = compile(&modules, "first", &[]);
    compile(&modules, "second", &[]);
    let file = modules.file("second");
    let daemon = CrashableDaemon::start(&["--load", words(&first), "--load", words(&file), "--load", "pids"]);
    assert_eq!(daemon.says(&["module", "list", "--json"]).matches("\"name\"").count(), 2);
    let scratch = TempDir::open_to_all();
    let socket = scratch.path().join("control");
    let ended = plain(&["serve", "--socket", words(&socket), "--load", "nonesuch"]).run();
    assert!(
        ended.code() == 1 && ended.stderr.starts_with("penfold: nonesuch: no such module; looked for "),
        "{ended:#?}"
    );
    assert!(!socket.exists(), "it has not begun to serve");
}

#[test]
fn events_show_loads_and_unloads_of_modules() {
    let Some(modules) = modules() else { return };
    let file = compile(&modules, "told", &[]);
    let daemon = TestDaemon::start(TestUser::Same, &[]);
    let scratch = TempDir::open_to_all();
    let said = scratch.path().join("said");
    let script = format!("exec {PENFOLD} events -n 2 2>{}", said.display());
    let watching = TestRun::new(shell(&script)).env("PENFOLD_SOCKET", daemon.socket()).start();
    wait_until("it watches", || fs::read_to_string(&said).is_ok_and(|said| said == "Watching.\n"));
    daemon.says(&["module", "load", words(&file)]);
    daemon.says(&["module", "unload", "told"]);
    assert_eq!(watching.finish().stdout, "loaded told\nunloaded told\n");
}
