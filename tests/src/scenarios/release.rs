//! The release agent: the moment of its calls, and their arguments.

use crate::scenario_run::ScenarioRun;

pub(super) fn events(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u},release_agent={agent}");
    run.mkdir("M/g");
    run.write("M/g/notify_on_release", "1");
    run.section("never used, or only entered");
    run.agent_calls();
    run.spawn("p");
    run.write("M/g/tasks", "{p}");
    run.write("M/g/tasks", "{p}");
    run.agent_calls();
    run.section("moved out");
    run.write("M/tasks", "{p}");
    run.agent_calls();
    run.section("died; being reaped changes nothing");
    run.write("M/g/tasks", "{p}");
    run.kill("p");
    run.agent_calls();
    run.reap("p");
    run.agent_calls();
    run.section("one of two leaves, then the other");
    leave_one_by_one(run);
    run.section("flag set only after it emptied");
    run.write("M/g/notify_on_release", "0");
    visit(run, "M/g");
    run.write("M/g/notify_on_release", "1");
    run.agent_calls();
    run.section("children");
    run.mkdir("M/g/a");
    run.mkdir("M/g/b");
    visit(run, "M/g");
    visit(run, "M/g/a");
    run.rmdir("M/g/a");
    run.agent_calls();
    run.rmdir("M/g/b");
    run.agent_calls();
    run.section("the root is never released");
    run.write("M/notify_on_release", "1");
    run.mkdir("M/z");
    run.rmdir("M/z");
    run.agent_calls();
    run.section("renamed, odd names");
    run.rename("M/g", "M/a b");
    visit(run, "M/a b");
    run.section("no agent, no such agent, an agent is one file name");
    for agent in ["\n", "/none", "{agent} x"] {
        run.write("M/release_agent", agent);
        visit(run, "M/a b");
    }
    run.section("removed as soon as empty");
    run.write("M/release_agent", "{agent}");
    run.spawn("r");
    run.write("M/a b/tasks", "{r}");
    run.exit("r");
    run.rmdir("M/a b");
    run.agent_calls();
}

fn visit(run: &mut ScenarioRun, group: &str) {
    run.spawn("v");
    run.write(&format!("{group}/tasks"), "{v}");
    run.exit("v");
    run.agent_calls();
}

fn leave_one_by_one(run: &mut ScenarioRun) {
    for role in ["q", "r"] {
        run.spawn(role);
        run.write("M/g/tasks", &format!("{{{role}}}"));
    }
    run.exit("q");
    run.agent_calls();
    run.exit("r");
    run.agent_calls();
}

pub(super) fn agent_file(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.read("M/release_agent");
    let long = |length: usize| "x".repeat(length);
    let texts = ["/bin/true", "/bin/true\n", "  /a b  \n", "/a\n/b", "", "\n", " ", "/a\0b"];
    run.write_table("M/release_agent", "/previous", &texts);
    run.write_table("M/release_agent", "/previous", &[&long(4094), &long(4095), &long(4096), &long(4097)]);
}
