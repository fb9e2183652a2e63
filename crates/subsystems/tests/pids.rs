//! pids on the simulated host: the facts of Linux 6.18.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, Engine, Errno, Tid};
use penfold_subsystems::Pids;

#[test]
fn the_limit_of_an_ancestor_refuses_and_the_forking_cgroup_counts_it() {
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
    engine.load(&mut host, Pids).unwrap();
    let root = Caller::root(Tid(1));
    let shell = host.spawn(&mut engine, 0);
    let top = engine.mount(&mut host, &root, "pids").unwrap().root;
    let parent = engine.mkdir(&mut host, &root, top, b"g", 0o755).unwrap();
    let child = engine.mkdir(&mut host, &root, parent, b"c", 0o755).unwrap();
    engine.attach(&mut host, &root, child, shell, false).unwrap();
    let max = engine.find_file(parent, "pids.max").unwrap();
    engine.write(&mut host, &root, parent, max, b"2\n").unwrap();

    let second = host.fork(&mut engine, shell, false).unwrap();
    assert_eq!(host.fork(&mut engine, shell, true).unwrap_err().errno(), Errno::EAGAIN);

    let mut read = |cgroup, name: &str| {
        let file = engine.find_file(cgroup, name).unwrap();
        engine.read(&mut host, &root, cgroup, file).unwrap()
    };
    assert_eq!((read(child, "pids.current"), read(child, "pids.peak")), ("2\n".into(), "3\n".into()));
    assert_eq!(
        (read(child, "pids.events"), read(parent, "pids.events")),
        ("max 1\n".into(), "max 0\n".into())
    );
    host.exit(&mut engine, second);
    assert!(host.fork(&mut engine, shell, false).is_ok());
}
