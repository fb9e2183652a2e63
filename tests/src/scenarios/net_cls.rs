//! The `net_cls` controller.

use super::files::NUMBERS;
use crate::scenario_run::ScenarioRun;

pub(super) fn classid(run: &mut ScenarioRun) {
    run.mount("N", "net_cls");
    run.mkdir("N/g");
    run.list("N/g");
    run.stat("N/g/net_cls.classid");
    run.read("N/g/net_cls.classid");
    run.write_table("N/g/net_cls.classid", "7", NUMBERS);
    let wide = ["0x100001", "4294967295", "4294967296", "4294967297", "0x1ffffffff", "10:1", "0x10:1"];
    run.write_table("N/g/net_cls.classid", "7", &wide);
    run.section("children inherit once");
    run.write("N/g/net_cls.classid", "0x100001");
    run.mkdir("N/g/c");
    run.write("N/g/net_cls.classid", "5");
    run.read("N/g/c/net_cls.classid");
    run.section("the root too");
    run.write("N/net_cls.classid", "9");
    run.mkdir("N/k");
    run.read("N/k/net_cls.classid");
    run.read("N/g/net_cls.classid");
    run.write("N/net_cls.classid", "0");
}
