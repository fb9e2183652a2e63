//! From the parsed interface to the text of three files, in the form that rustfmt gives them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use varlink_parser::{Argument, IDL, VStruct, VStructOrEnum, VType, VTypeExt};

use super::{INTERFACE, comments};

/// `max_width` of `rustfmt.toml`.
const WIDTH: usize = 110;
const DERIVES: &str = "#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]\n";

/// One struct to be written.
struct RustStruct<'a> {
    /// The struct's name in Rust.
    name: String,
    /// The struct's name in error messages.
    origin: &'a str,
    documentation: Vec<&'a str>,
    fields: &'a [Argument<'a>],
    /// A call with a parameter that the interface does not have is an error of the client. A reply may come from a newer
    /// daemon, so what is new in it is ignored.
    deny_unknown: bool,
}

/// The file of the types.
///
/// # Errors
/// Names the type or field that can't be written.
pub(super) fn types(idl: &IDL<'_>) -> Result<String, String> {
    let mut text = start("The types of the interface.", &[]);
    for &name in &idl.typedef_keys {
        let definition = &idl.typedefs[name];
        let VStructOrEnum::VStruct(body) = &definition.elt else {
            return Err(format!("{name}: enums are not used by penfold"));
        };
        let message = RustStruct {
            name: info_name(name),
            origin: name,
            documentation: comments::of_member(name, definition.doc)?,
            fields: &body.elts,
            deny_unknown: false,
        };
        message.write(idl, &mut text)?;
    }
    Ok(text)
}

/// The file of the methods: a call and a reply for each.
///
/// # Errors
/// As [`types`].
pub(super) fn methods(idl: &IDL<'_>) -> Result<String, String> {
    let mut used = BTreeSet::new();
    for method in idl.methods.values() {
        for field in method.input.elts.iter().chain(&method.output.elts) {
            used.extend(type_name(&field.vtype).map(info_name));
        }
    }
    let types = use_statement("super::types", &used);
    let mut text = start("The methods of the interface.", &["use super::Method;\n", &types]);
    for &name in &idl.method_keys {
        let method = &idl.methods[name];
        let (call, reply) = (format!("{name}Call"), format!("{name}Reply"));
        let of =
            |name: &str, VStruct { elts }: &VStruct<'_>, documentation, deny_unknown, text: &mut String| {
                RustStruct { name: name.to_owned(), origin: name, documentation, fields: elts, deny_unknown }
                    .write(idl, text)
            };
        of(&call, &method.input, comments::of_member(name, method.doc)?, true, &mut text)?;
        of(&reply, &method.output, vec![&format!("The reply to [`{call}`].")], false, &mut text)?;
        let _ = write!(
            text,
            "\nimpl Method for {call} {{\n    const NAME: &'static str = \"{}.{name}\";\n    type Reply = {reply};\n}}\n",
            idl.name
        );
    }
    Ok(text)
}

/// The file of the errors.
///
/// # Errors
/// As [`types`].
pub(super) fn errors(idl: &IDL<'_>) -> Result<String, String> {
    let mut text = start("The errors of the interface.", &[]);
    for &name in &idl.error_keys {
        let error = &idl.errors[name];
        let documentation = comments::of_member(name, error.doc)?;
        let fields = &error.parm.elts;
        let message =
            RustStruct { name: name.to_owned(), origin: name, documentation, fields, deny_unknown: false };
        message.write(idl, &mut text)?;
    }
    Ok(text)
}

impl RustStruct<'_> {
    fn write(&self, idl: &IDL<'_>, text: &mut String) -> Result<(), String> {
        text.push('\n');
        document(&self.documentation, "", text);
        text.push_str(DERIVES);
        let deny = if self.deny_unknown { ", deny_unknown_fields" } else { "" };
        let _ = writeln!(text, "#[serde(rename_all = \"camelCase\"{deny})]\npub struct {} {{", self.name);
        if self.fields.is_empty() {
            text.truncate(text.len() - 1);
        }
        for field in self.fields {
            document(&comments::of_field(idl.description, self.origin, field.name)?, "    ", text);
            text.push_str(match &field.vtype {
                VTypeExt::Option(_) => "    #[serde(default, skip_serializing_if = \"Option::is_none\")]\n",
                VTypeExt::Array(_) => "    #[serde(default)]\n",
                _ => "",
            });
            let kind = rust_type(&field.vtype).ok_or_else(|| {
                let place = format!("{}.{}", self.origin, field.name);
                format!("{place}: float, object, [string] and nested types are not used by penfold")
            })?;
            let _ = writeln!(text, "    pub {}: {kind},", snake_case(field.name));
        }
        text.push_str("}\n");
        Ok(())
    }
}

fn start(summary: &str, uses: &[&str]) -> String {
    let mut text = format!(
        "//! {summary}\n//!\n//! Generated from `{INTERFACE}` by `cargo xtask protocol`. Change that file, not this one.\n\n"
    );
    text.push_str("use serde::{Deserialize, Serialize};\n");
    if !uses.is_empty() {
        text.push('\n');
    }
    text.extend(uses.iter().copied());
    text
}

fn document(lines: &[&str], indent: &str, text: &mut String) {
    for line in lines {
        text.extend([indent, "///", if line.is_empty() { "" } else { " " }, line, "\n"]);
    }
}

/// `use path::{A, B};`, in one line if that is not too long.
fn use_statement(path: &str, names: &BTreeSet<String>) -> String {
    let all = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let short = format!("use {path}::{{{all}}};\n");
    match names.len() {
        0 => return String::new(),
        1 => return format!("use {path}::{all};\n"),
        _ if short.len() <= WIDTH + 1 => return short,
        _ => {}
    }
    let mut text = format!("use {path}::{{\n");
    let mut line = String::new();
    for name in names {
        if !line.is_empty() && "    ".len() + line.len() + name.len() + ", ,".len() > WIDTH {
            let _ = writeln!(text, "    {line}");
            line.clear();
        }
        line.extend([if line.is_empty() { "" } else { " " }, name, ","]);
    }
    let _ = write!(text, "    {line}\n}};\n");
    text
}

/// The name in Rust of a type of the interface. `File` alone would be any file.
fn info_name(name: &str) -> String {
    let name = if name == "File" { "ControlFile" } else { name };
    format!("{name}Info")
}

fn rust_type(kind: &VTypeExt<'_>) -> Option<String> {
    Some(match kind {
        VTypeExt::Option(inner) => format!("Option<{}>", rust_type(inner)?),
        VTypeExt::Array(inner) => format!("Vec<{}>", rust_type(inner)?),
        VTypeExt::Plain(VType::Bool) => "bool".to_owned(),
        VTypeExt::Plain(VType::Int) => "i64".to_owned(),
        VTypeExt::Plain(VType::String) => "String".to_owned(),
        VTypeExt::Plain(VType::Typename(name)) => info_name(name),
        _ => return None,
    })
}

/// The type of the interface that a field has, or has an array of.
fn type_name<'a>(kind: &VTypeExt<'a>) -> Option<&'a str> {
    match kind {
        VTypeExt::Option(inner) | VTypeExt::Array(inner) | VTypeExt::Dict(inner) => type_name(inner),
        VTypeExt::Plain(VType::Typename(name)) => Some(name),
        VTypeExt::Plain(_) => None,
    }
}

/// `notRestored` becomes `not_restored`.
fn snake_case(name: &str) -> String {
    name.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain(c.to_lowercase())).collect()
}
