use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use penfold_testkit::retry;

/// A cgroup of one test in a v1 hierarchy of the kernel, to compare with; removed on drop.
#[derive(Debug)]
pub struct KernelGroup(PathBuf);

impl KernelGroup {
    /// `None` if there is no such controller with this file, or this user may not make a cgroup there.
    pub fn new(controller: &str, file: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = PathBuf::from("/sys/fs/cgroup").join(controller);
        let path = root.join(format!("penfold-cli-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        let group = Self(path);
        group.0.join(file).exists().then_some(group)
    }

    /// The words before a command that is to run in the cgroup from its first instruction.
    pub fn enter(&self) -> [String; 4] {
        let script = format!("echo $$ > {}/tasks && exec \"$@\"", self.0.display());
        ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
    }

    pub fn number(&self, file: &str) -> u64 {
        let text = std::fs::read_to_string(self.0.join(file)).expect("a file of the kernel's");
        text.trim().parse().expect("a number")
    }
}

impl Drop for KernelGroup {
    fn drop(&mut self) {
        // a task of the cgroup may still be on its way out
        let _ = retry(Duration::from_secs(1), || std::fs::remove_dir(&self.0));
    }
}
