//! `penfold top` on a terminal, as a user sees it: tmux draws the screen.

mod common;

use std::process::{Command, Output};

use common::{PENFOLD, Sleeper, TestDaemon, TestUser};
use penfold_testkit::{TempDir, needs, wait_until};

/// A terminal of 100 columns and 20 lines, with a shell command in it.
struct TmuxTerminal(TempDir);

impl TmuxTerminal {
    fn start(command: &str) -> TmuxTerminal {
        let terminal = TmuxTerminal(TempDir::open_to_all());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "20", command]);
        terminal
    }

    fn tmux(&self, words: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        let output =
            tmux.arg("-S").arg(self.0.path().join("tmux")).args(words).env("LC_ALL", "C.UTF-8").output();
        output.expect("tmux runs")
    }

    fn press(&self, key: &str) {
        assert!(self.tmux(&["send-keys", key]).status.success());
    }

    fn shows(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// The cgroups from above, with their number of tasks.
    fn rows(&self) -> Vec<(String, String)> {
        let text = self.shows();
        let below = text.lines().skip_while(|line| !line.contains("TASKS")).skip(1);
        let words = below.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let rows = words.filter(|words| words.len() > 2);
        rows.map(|words| (words[words.len() - 1].to_owned(), words[0].to_owned())).collect()
    }

    /// Waits until a cgroup stands before another.
    fn must_order(&self, first: &str, second: &str) {
        let place = |rows: &[(String, String)], name: &str| rows.iter().position(|row| row.0.ends_with(name));
        wait_until(&format!("{first} before {second}"), || {
            let rows = self.rows();
            matches!((place(&rows, first), place(&rows, second)), (Some(one), Some(two)) if one < two)
        });
    }
}

impl Drop for TmuxTerminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// P30.13
#[test]
fn top_is_live_and_leaves_the_terminal_as_it_was() {
    needs!("tmux");
    let daemon = TestDaemon::start(TestUser::Same, &["pids"]);
    daemon.says(&["mkdir", "/few", "/many"]);
    let sleepers = [(); 3].map(|()| Sleeper::start(TestUser::Same));
    daemon.says(&["attach", "/few", &sleepers[0].pid()]);
    daemon.says(&["attach", "/many", &sleepers[1].pid()]);
    let socket = daemon.socket().display();
    let terminal = TmuxTerminal::start(&format!(
        "echo before; PENFOLD_SOCKET={socket} {PENFOLD} top --interval 0.1; echo ended $?; exec sleep 1000"
    ));
    terminal.must_order("/", "/many");
    wait_until("counts", || {
        terminal.rows().iter().any(|(name, tasks)| name.ends_with("/many") && tasks == "1")
    });
    daemon.says(&["attach", "/many", &sleepers[2].pid()]);
    wait_until("they change", || {
        terminal.rows().iter().any(|(name, tasks)| name.ends_with("/many") && tasks == "2")
    });
    terminal.press("t");
    terminal.must_order("/many", "/few");
    terminal.press("p");
    terminal.must_order("/few", "/many");
    terminal.press("r");
    terminal.must_order("/many", "/few");
    terminal.press("q");
    wait_until("it ends", || terminal.shows().contains("ended 0"));
    let left = terminal.shows();
    assert!(left.starts_with("before\n") && !left.contains("TASKS"), "{left}");
    drop(sleepers);
}
