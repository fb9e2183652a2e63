//! Classes of `net_cls`: content that is accepted is a number as the kernel reads it. The file shows its low 32 bits in
//! decimal.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// The number that the kernel's `kstrtoull` with base 0 reads, in a short version.
fn number(content: &[u8]) -> Option<u64> {
    let content = content.split(|&byte| byte == 0).next()?;
    let text = std::str::from_utf8(content).ok()?;
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let text = text.strip_prefix('+').unwrap_or(text);
    let (digits, base) = match text.strip_prefix('0') {
        Some(rest)
            if rest.starts_with(['x', 'X']) && rest[1..].starts_with(|c: char| c.is_ascii_hexdigit()) =>
        {
            (&rest[1..], 16)
        }
        Some(rest) if !rest.is_empty() => (rest, 8),
        _ => (text, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, base).ok()
}

fuzz_target!(|content: &[u8]| {
    let mut world = penfold_fuzz::world();
    let root = world.mount("net_cls");
    let cgroup = world.mkdir(root, "a");
    world.write(cgroup, "net_cls.classid", "7");
    let taken = world.try_write(cgroup, "net_cls.classid", content).is_ok();
    let now = world.read(cgroup, "net_cls.classid");
    if content.is_empty() || !taken {
        assert_eq!(now, "7\n", "{content:?}");
    } else {
        let number = number(content).unwrap_or_else(|| panic!("{content:?} was taken as {now}"));
        assert_eq!(now, format!("{}\n", number as u32), "{content:?}");
    }
});
