//! The account that `c/witness.c` keeps of its callbacks, and the mappings that a module could leave behind.

use std::collections::BTreeMap;
use std::path::Path;

use penfold_core::CgroupId;
use penfold_module::loader::Controller;
use penfold_testkit::SimWorld;

/// The operations that only tests of modules in files need.
pub trait Modules {
    /// Loads a module from its file.
    fn load_file(&mut self, path: &Path);

    /// The account of `c/witness.c`, which is the same in every cgroup.
    fn account(&mut self, cgroup: CgroupId, name: &str) -> BTreeMap<String, u64>;

    /// The account, in which no callback may be missing, come twice or come for an unknown task.
    fn sound_account(&mut self, cgroup: CgroupId, name: &str) -> BTreeMap<String, u64>;
}

impl Modules for SimWorld {
    fn load_file(&mut self, path: &Path) {
        self.load(Controller::open(path).unwrap());
    }

    fn account(&mut self, cgroup: CgroupId, name: &str) -> BTreeMap<String, u64> {
        let text = self.read(cgroup, &format!("{name}.told"));
        let pair = |line: &str| {
            let (key, value) = line.split_once(' ').expect("a key and a value");
            (key.to_owned(), value.parse().expect("a number"))
        };
        text.lines().map(pair).collect()
    }

    fn sound_account(&mut self, cgroup: CgroupId, name: &str) -> BTreeMap<String, u64> {
        let account = self.account(cgroup, name);
        assert_eq!((account["twice"], account["unknown"], account["wrong"]), (0, 0, 0), "{account:?}");
        account
    }
}

/// Whether anything of this file is mapped into this process.
pub fn is_mapped(path: &Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    maps.contains(path.to_str().expect("a name of ours is UTF-8"))
}
