//! The tests of the built-in controllers once more, each with the controller as a module.

#[path = "common/built.rs"]
mod built;
#[path = "../../tests/cpuacct.rs"]
mod cpuacct;
#[path = "../../tests/cpuset/main.rs"]
mod cpuset;
#[path = "../../tests/freezer.rs"]
mod freezer;
#[path = "../../tests/numtasks.rs"]
mod numtasks;
#[path = "../../tests/numtasks_bounds.rs"]
mod numtasks_bounds;
#[path = "../../tests/pids.rs"]
mod pids;

/// Each controller from a copy of its module: a file can be loaded once at a time, and tests run in parallel.
mod subject {
    use penfold_module::loader::Controller;
    use penfold_testkit::TempFile;

    pub(crate) fn cpuacct() -> Controller {
        load("cpuacct")
    }

    pub(crate) fn cpuset() -> Controller {
        load("cpuset")
    }

    pub(crate) fn freezer() -> Controller {
        load("freezer")
    }

    pub(crate) fn numtasks() -> Controller {
        load("numtasks")
    }

    pub(crate) fn pids() -> Controller {
        load("pids")
    }

    fn load(name: &str) -> Controller {
        let copy = TempFile::unmade(".so");
        std::fs::copy(super::built::module(name), copy.path()).expect("a copy");
        // the module is mapped and does not need the file
        Controller::open(copy.path()).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

#[test]
fn modules_have_the_descriptions_of_the_built_in() {
    use penfold_core::subsystem::Subsystem;
    fn check<S: Subsystem>(module: &penfold_module::loader::Controller) {
        let description = module.description();
        assert_eq!((description.name.as_str(), description.callbacks), (S::NAME, S::CALLBACKS));
        let names: Vec<&str> = description.files.iter().map(|file| &*file.name).collect();
        assert_eq!(names, S::FILES.iter().map(|file| &*file.name).collect::<Vec<_>>());
        assert_eq!(description.rules.len(), S::RULES.len());
    }
    check::<penfold_subsystems::CpuAcct>(&subject::cpuacct());
    check::<penfold_subsystems::Cpuset>(&subject::cpuset());
    check::<penfold_subsystems::Freezer>(&subject::freezer());
    check::<penfold_subsystems::Numtasks>(&subject::numtasks());
    check::<penfold_subsystems::Pids>(&subject::pids());
}
