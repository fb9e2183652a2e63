//! The files of cpuacct. Amounts of CPU time are comparable for an idle group only.

use super::files::NUMBERS;
use crate::scenario_run::ScenarioRun;

const FILES: [&str; 8] = [
    "stat",
    "usage",
    "usage_all",
    "usage_percpu",
    "usage_percpu_sys",
    "usage_percpu_user",
    "usage_sys",
    "usage_user",
];

pub(super) fn files(run: &mut ScenarioRun) {
    run.open_controller("A", "cpuacct");
    run.list_files("A.root");
    run.list("A");
    for file in FILES {
        run.stat(&format!("A/cpuacct.{file}"));
        run.read(&format!("A/cpuacct.{file}"));
    }
    run.section("usage takes a zero");
    run.write_table("A/cpuacct.usage", "0", NUMBERS);
    run.section("the others take nothing");
    for file in FILES.iter().filter(|file| **file != "usage") {
        for text in ["0", "abc", ""] {
            run.write(&format!("A/cpuacct.{file}"), text);
        }
    }
}
