//! `net_cls` on the simulated host, built in. `crates/subsystems/net_cls` runs the same tests with the module.

mod rules;

use penfold_subsystems::NetCls;

fn subject() -> NetCls {
    NetCls
}
