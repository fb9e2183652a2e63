//! `net_cls` as a module, as it was in 2009. The controller itself is `crates/subsystems/src/net_cls.rs`, which can also
//! be built in (the feature `net_cls`).
#![forbid(unsafe_code)]

penfold_module::export!(penfold_subsystems::NetCls);
