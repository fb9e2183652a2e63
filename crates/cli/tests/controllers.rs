//! Where each controller comes from, and `penfold serve --disable`.

mod common;

use common::{ModuleDir, PENFOLD, TestDaemon, TestUser, plain};
use penfold_testkit::{is_root, skip};

/// The words of the line that begins with this name.
fn line(text: &str, name: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    lines.into_iter().find(|words| words[0] == name).unwrap_or_else(|| panic!("{name}: {text}"))
}

#[test]
fn subsystems_show_which_are_modules() {
    if !is_root() {
        return skip("only root can make a directory that every user trusts");
    }
    let modules = ModuleDir::new();
    let file = modules.file("net_cls").display().to_string();
    let daemon = TestDaemon::start(TestUser::Same, &["pids"]);
    daemon.says(&["module", "load", &file]);
    let table = daemon.says(&["subsystems"]);
    assert_eq!(line(&table, "pids"), ["pids", "1", "1", "built", "in", "-"]);
    assert_eq!(line(&table, "net_cls"), ["net_cls", "0", "1", "module", &file]);
    let json = daemon.json(&["subsystems", "--json"]);
    let of = |name: &str| json.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((&of("net_cls")["module"], &of("net_cls")["enabled"]), (&file.into(), &true.into()));
    assert!(of("pids")["module"].is_null());
}

#[test]
fn disabled_controller_is_neither_mounted_nor_loaded() {
    let daemon = TestDaemon::start_with(TestUser::Same, &["--disable", "pids,freezer,pids"], &[]);
    let pids = ["-o pids: ", "--disable of the daemon has disabled", "[EINVAL]"];
    daemon.refuses(&["mount", "-o", "pids"], &[&pids]);
    daemon.refuses(&["mount", "-o", "cpuset,freezer"], &[&["-o freezer: ", "disabled", "[EINVAL]"]]);
    daemon.says(&["mount", "-o", "all"]);
    let hierarchies = daemon.json(&["hierarchies", "--json"]);
    assert_eq!(hierarchies[0]["subsystems"], serde_json::json!(["cpuset", "cpuacct", "numtasks", "debug"]));
    let text = daemon.says(&["proc", "cgroups"]);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    let expected = ["cpuset\t1\t1\t1", "cpuacct\t1\t1\t1", "freezer\t0\t1\t0", "pids\t0\t1\t0"];
    assert_eq!(rows[..4], expected, "{text}");
    assert_eq!(line(&daemon.says(&["subsystems"]), "pids"), ["pids", "0", "1", "disabled", "-"]);
    assert!(!daemon.says(&["lssubsys", "-a"]).contains("pids"));
    daemon.refuses(&["set", "/", "pids.max=3"], &[&["pids.max", "[ENOENT]"]]);
}

#[test]
fn module_of_a_disabled_name_is_refused() {
    if !is_root() {
        return skip("only root can make a directory that every user trusts");
    }
    let modules = ModuleDir::new();
    let file = modules.file("net_cls").display().to_string();
    let daemon = TestDaemon::start_with(TestUser::Same, &["--disable=net_cls"], &[]);
    let refusal = ["net_cls: disabled by --disable", "[EPERM]"];
    daemon.refuses(&["module", "load", &file], &[&refusal]);
    let ended =
        plain(&["serve", "--disable=net_cls", "--load", &file, "--socket", "@penfold-disabled-test"]).run();
    assert!(ended.code() == 1 && refusal.iter().all(|part| ended.stderr.contains(part)), "{ended:#?}");
}

#[test]
fn disable_of_an_unknown_name_lists_the_names() {
    let ended =
        plain(&["serve", "--disable", "cpuset,memory", "--socket", "@penfold-disabled-unknown"]).run();
    let names = "cpuset, cpuacct, freezer, net_cls, pids, numtasks, debug";
    let parts = ["penfold: memory: --disable: no such controller", names, "[EINVAL]"];
    assert!(
        ended.code() == 1 && parts.iter().all(|part| ended.stderr.contains(part)),
        "{PENFOLD} {ended:#?}"
    );
}
