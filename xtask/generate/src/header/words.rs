//! Translates Rust's documentation into names of C.

use std::collections::BTreeMap;

/// The types and constants of the interface.
pub(super) struct Names {
    /// Names of structures: in Rust, in C.
    structs: BTreeMap<String, String>,
    constants: Vec<String>,
}

impl Names {
    /// The names that the text of `abi.rs` declares.
    pub(super) fn of(rust: &str) -> Names {
        let declared = |keyword: &'static str| {
            let lines = rust.lines().filter_map(move |line| line.strip_prefix(keyword));
            lines
                .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        };
        let structs = declared("pub struct ").map(|name| (name.clone(), struct_in_c(&name)));
        Names { structs: structs.collect(), constants: declared("pub const ").collect() }
    }

    /// Every structure's name in Rust and in C.
    pub(super) fn structs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.structs.iter().map(|(rust, c)| (rust.clone(), c.clone()))
    }

    /// Declarations of all structures: C has to know a name before a function takes a pointer to the structure.
    pub(super) fn forward_declarations(&self) -> String {
        self.structs.values().flat_map(|name| ["\nstruct ", name, ";"]).collect()
    }

    /// The target of a documentation link as an author in C would write it; `None` for a target outside the interface.
    fn in_c(&self, target: &str) -> Option<String> {
        if let Some(name) = self.structs.get(target) {
            return Some(format!("struct {name}"));
        }
        if self.constants.iter().any(|constant| constant == target) {
            return Some(format!("PENFOLD_{target}"));
        }
        let (owner, member) = target.split_once("::")?;
        let owner_in_c = self.structs.get(owner)?;
        Some(match owner {
            "RawServices" => format!("services->{member}"),
            "RawContext" => format!("ctx->{member}"),
            _ => format!("{owner_in_c}.{member}"),
        })
    }
}

/// `RawCpuTime` becomes `penfold_cpu_time`: the prefix tells Rust's types of the interface from those of core.
fn struct_in_c(name: &str) -> String {
    format!("penfold{}", snake_case(name.strip_prefix("Raw").unwrap_or(name)))
}

/// `CpuTime` becomes `_cpu_time`.
fn snake_case(name: &str) -> String {
    name.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain(c.to_lowercase())).collect()
}

/// Translates every link of Rust's documentation into a name of C, and writes comments of one line on one line.
///
/// # Errors
/// Names a line that can't be translated.
pub(super) fn in_c(names: &Names, text: &str) -> Result<String, String> {
    let mut turned = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let (target, after) = link.split_once("`]").ok_or("a link does not end on its line")?;
        let name = names.in_c(target).ok_or_else(|| format!("[`{target}`] is nothing of the interface"))?;
        turned.extend([before, "`", &name, "`"]);
        rest = after;
    }
    turned += rest;
    if let Some(line) = turned.lines().find(|line| line.contains("::")) {
        return Err(format!("words of Rust are left: {line}"));
    }
    Ok(short_comments(&turned))
}

fn short_comments(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut short = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let one = match lines.get(at + 1..at + 3) {
            Some([words, end]) if line.trim() == "/**" && end.trim() == "*/" => {
                words.trim().strip_prefix("* ")
            }
            _ => None,
        };
        match one {
            Some(words) => short.extend([indent, "/** ", words, " */\n"]),
            None => short.extend([line, "\n"]),
        }
        at += if one.is_some() { 3 } else { 1 };
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str =
        "pub struct RawCpuTime {\npub struct RawServices {\npub const NO_CSS: u32 = u32::MAX;\n";

    #[test]
    fn links_become_names_of_c() {
        let names = Names::of(RUST);
        let text =
            "/**\n * [`RawCpuTime::user`], [`RawServices::put`] or [`NO_CSS`] of [`RawCpuTime`]\n */\n";
        let c = "/** `penfold_cpu_time.user`, `services->put` or `PENFOLD_NO_CSS` of `struct penfold_cpu_time` */\n";
        assert_eq!(in_c(&names, text).unwrap(), c);
    }

    #[test]
    fn line_without_words_in_c_is_named() {
        let names = Names::of(RUST);
        assert!(in_c(&names, "[`Engine::load`]").unwrap_err().contains("Engine::load"));
        assert!(in_c(&names, " * as u32::MAX\n").unwrap_err().contains("u32::MAX"));
    }
}
