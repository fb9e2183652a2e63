//! The structs of `protocol` agree with `org.penfold.Control.varlink`.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use penfold_server::protocol::{DESCRIPTION, INTERFACE};
use varlink_parser::{IDL, VStructOrEnum, VType, VTypeExt};

use common::{HostKind, InProcessDaemon, on_each_host};

on_each_host! {
    introspection_answers_varlinks_own_client,
}

const SOURCE: &str = concat!(
    include_str!("../src/protocol/types.rs"),
    include_str!("../src/protocol/methods.rs"),
    include_str!("../src/protocol/errors.rs"),
);

/// The fields of each struct, by the names that JSON has, with their Rust types.
fn structs() -> BTreeMap<String, Vec<(String, String)>> {
    let mut structs = BTreeMap::new();
    let mut lines = SOURCE.lines();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("pub struct ") else { continue };
        let name = rest.trim_end_matches(" {").trim_end_matches(" {}").to_owned();
        let mut fields = Vec::new();
        if !rest.ends_with("{}") {
            for line in lines.by_ref().take_while(|line| *line != "}") {
                if let Some((field, kind)) =
                    line.trim().strip_prefix("pub ").and_then(|rest| rest.split_once(": "))
                {
                    fields.push((camel(field), kind.trim_end_matches(',').to_owned()));
                }
            }
        }
        structs.insert(name, fields);
    }
    structs
}

fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

/// The name in Rust of a type of the interface.
fn info(name: &str) -> String {
    format!("{}Info", if name == "File" { "ControlFile" } else { name })
}

fn rust(kind: &VTypeExt<'_>) -> String {
    match kind {
        VTypeExt::Option(inner) => format!("Option<{}>", rust(inner)),
        VTypeExt::Array(inner) => format!("Vec<{}>", rust(inner)),
        VTypeExt::Plain(VType::Bool) => "bool".to_owned(),
        VTypeExt::Plain(VType::Int) => "i64".to_owned(),
        VTypeExt::Plain(VType::String) => "String".to_owned(),
        VTypeExt::Plain(VType::Typename(name)) => info(name),
        _ => panic!("a type that the protocol does not use"),
    }
}

fn fields(elements: &[varlink_parser::Argument<'_>]) -> Vec<(String, String)> {
    elements.iter().map(|field| (field.name.to_owned(), rust(&field.vtype))).collect()
}

#[test]
fn structs_have_the_fields_of_the_interface() {
    let idl = IDL::try_from(DESCRIPTION).expect("it parses");
    assert_eq!(idl.name, INTERFACE);
    let mut written = structs();
    let mut check = |name: String, expected: Vec<(String, String)>| {
        assert_eq!(written.remove(&name), Some(expected), "{name}");
    };
    for (name, typed) in &idl.typedefs {
        let VStructOrEnum::VStruct(body) = &typed.elt else { panic!("{name} is no struct") };
        check(info(name), fields(&body.elts));
    }
    for (name, error) in &idl.errors {
        check((*name).to_owned(), fields(&error.parm.elts));
    }
    for (name, method) in &idl.methods {
        check(format!("{name}Call"), fields(&method.input.elts));
        check(format!("{name}Reply"), fields(&method.output.elts));
        let line =
            format!("const NAME: &'static str = \"{INTERFACE}.{name}\";\n    type Reply = {name}Reply;");
        assert!(SOURCE.contains(&line), "{name}");
    }
    assert_eq!(written.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "structs of nothing");
}

fn introspection_answers_varlinks_own_client(host: HostKind) {
    use varlink::{OrgVarlinkServiceClient, OrgVarlinkServiceInterface};
    let daemon = InProcessDaemon::start(host);
    let address = format!("unix:{}", daemon.socket().display());
    let connection = varlink::Connection::with_address(&address).expect("it connects");
    let mut client = OrgVarlinkServiceClient::new(Arc::clone(&connection));
    let info = client.get_info().expect("GetInfo");
    assert_eq!((&*info.vendor, &*info.product), ("penfold", "penfold"));
    assert!(info.interfaces.iter().any(|name| name == INTERFACE));
    let described = client.get_interface_description(INTERFACE).expect("GetInterfaceDescription");
    assert_eq!(described.description.as_deref(), Some(DESCRIPTION));
    assert!(client.get_interface_description("org.example.Nothing").is_err());
    // a call of penfold's own interface by the same client
    let mut call = varlink::MethodCall::<serde_json::Value, serde_json::Value, varlink::Error>::new(
        connection,
        "org.penfold.Control.Info",
        serde_json::json!({}),
    );
    assert_eq!(call.call().expect("Info")["host"], host.name());
}
