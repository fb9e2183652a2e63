//! `net_cls` on real packets: two connected network namespaces, and nftables counting in both.

mod common;

use std::process::Command;

use common::{ModuleDir, PENFOLD, PYTHON};
use penfold_testkit::{is_root, needs, skip};

/// Makes two namespaces. nftables counts packets by their mark at the sender, and by their DSCP at the receiver.
const NETWORK: &str = r#"
set -e
ip link add left type veth peer name right
unshare --net sleep 60 & other=$!
trap 'kill $other' EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link set right netns $other
ip address add 10.9.0.1/24 dev left
ip link set left up
count() {
    nft add table inet seen
    nft add chain inet seen "$1" "{ type filter hook $1 priority 0; }"
    for rule in "${@:2}"; do nft add rule inet seen "$1" udp dport 9 $rule counter; done
}
export -f count
nsenter --target $other --net bash -ec 'ip address add 10.9.0.2/24 dev right; ip link set right up'
until ip neighbour get 10.9.0.2 dev left 2>/dev/null | grep -q lladdr; do
    send() { "$1" -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.9.0.2", 9))'; }
    send "$PYTHON"
    sleep 0.05
done
nsenter --target $other --net bash -ec 'count input "" "ip dscp 5" "ip dscp 0"'
count output "meta mark 0x100001" "meta mark 0x100002" "meta mark 0"
send='import socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[1])): one.sendto(b"x", ("10.9.0.2", 9))'
"#;

/// The packets of each sender.
const TRAFFIC: &str = r#"
$PENFOLD run -s net_cls.classid=0x100001 -- "$PYTHON" -c "$send" 7
$PENFOLD run -s net_cls.classid=0x100002 -- sh -c '"$PYTHON" -c "$0" 3; "$PYTHON" -c "$0" 2; :' "$send"
"$PYTHON" -c "$send" 4
setpriv --reuid=65534 --regid=65534 --clear-groups $PENFOLD run --best-effort -s net_cls.classid=5 -- "$PYTHON" -c "$send" 6
"#;

const SHOW: &str = r"
nft list ruleset | sed -n 's/.*mark \(0x[0-9a-f]*\) counter packets \([0-9]*\) .*/mark \1 \2/p'
nsenter --target $other --net nft list ruleset |
    sed -n 's/.*dport 9 \(ip dscp \)\?\([a-z0-9]*\) \?counter packets \([0-9]*\) .*/wire \2 \3/p'
";

#[test]
fn packets_have_the_class_of_the_cgroup_that_sends_them() {
    needs!("ip", "nft", "unshare", "nsenter", "setpriv");
    if !is_root() {
        return skip("a network namespace needs root");
    }
    let script = format!("{NETWORK}{TRAFFIC}{SHOW}");
    let modules = ModuleDir::new();
    let output = Command::new("timeout")
        .args(["60", "unshare", "--net", "--mount", "bash", "-c", &script])
        .env("PENFOLD", PENFOLD)
        .env("PENFOLD_MODULES", modules.path())
        .env("PYTHON", PYTHON)
        .output()
        .expect("timeout");
    let shown = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}{said}");
    let lines: Vec<&str> = shown.lines().collect();
    // Without privilege there is no mark: that class is on the wire instead, as the DSCP.
    let marks = ["mark 0x00100001 7", "mark 0x00100002 5", "mark 0x00000000 10"];
    assert_eq!(lines[..3], marks, "{shown}{said}");
    assert_eq!(lines[3..], ["wire  22", "wire 0x05 6", "wire cs0 16"], "{shown}{said}");
}
