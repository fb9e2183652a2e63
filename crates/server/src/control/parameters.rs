//! Reading the parameters of a call, and naming the one that is wrong.
//!
//! varlink answers a wrong parameter with its name, where serde's own error is a sentence. So the parameters are read from
//! a tree of JSON, with an error type that keeps names only.

use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

/// Stands for the whole call, where no member of it is at fault.
const WHOLE_CALL: &str = "call";
/// The member of a call that has the parameters.
const PARAMETERS: &str = "parameters";

/// The parameters of a call, as JSON.
///
/// # Errors
/// The path of the parameter that is missing, unknown, given twice, of another type or out of range, such as
/// `environment[2].name`.
pub(super) fn parse<C: de::DeserializeOwned>(parameters: &str) -> Result<C, String> {
    let node: JsonNode = serde_json::from_str(parameters).map_err(|_| PARAMETERS.to_owned())?;
    C::deserialize(node).map_err(|wrong| wrong.path(PARAMETERS))
}

/// Whether a JSON text, which may be broken, is an object.
pub(super) fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{")
}

/// The member of a message that is no call, such as `method`.
pub(super) fn wrong_member(message: &[u8]) -> String {
    #[derive(Deserialize)]
    #[allow(dead_code)] // only their types matter
    struct CallMembers {
        method: String,
        parameters: Option<de::IgnoredAny>,
        more: Option<bool>,
        oneway: Option<bool>,
        upgrade: Option<bool>,
    }
    let object = is_object(message).then_some(message);
    let node = object.and_then(|message| serde_json::from_slice::<JsonNode>(message).ok());
    let wrong = node.and_then(|node| CallMembers::deserialize(node).err());
    wrong.map_or_else(|| WHOLE_CALL.to_owned(), |wrong| wrong.path(WHOLE_CALL))
}

/// The place of the wrong parameter. varlink has no field for the fault itself.
#[derive(Debug, Default)]
struct WrongParameter {
    /// From the inside outwards: `.name`, `[2]`, `.environment`.
    steps: Vec<String>,
}

impl WrongParameter {
    fn at(name: &str) -> WrongParameter {
        WrongParameter::default().inside(format!(".{name}"))
    }

    fn inside(mut self, step: String) -> WrongParameter {
        self.steps.push(step);
        self
    }

    /// As a caller would write it; `whole` if it is no part.
    fn path(self, whole: &str) -> String {
        let path: String = self.steps.into_iter().rev().collect();
        if path.is_empty() { whole.to_owned() } else { path.trim_start_matches('.').to_owned() }
    }
}

impl fmt::Display for WrongParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong parameter")
    }
}

impl std::error::Error for WrongParameter {}

impl de::Error for WrongParameter {
    fn custom<T: fmt::Display>(_: T) -> WrongParameter {
        WrongParameter::default()
    }

    fn missing_field(field: &'static str) -> WrongParameter {
        WrongParameter::at(field)
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> WrongParameter {
        WrongParameter::at(field)
    }

    fn duplicate_field(field: &'static str) -> WrongParameter {
        WrongParameter::at(field)
    }
}

/// Any JSON. An object keeps its order, and names that are there twice.
enum JsonNode {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<JsonNode>),
    Object(Vec<(String, JsonNode)>),
}

impl<'de> Deserialize<'de> for JsonNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JsonNode, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = JsonNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<JsonNode, E> {
        Ok(JsonNode::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsonNode, E> {
        Ok(JsonNode::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<JsonNode, E> {
        Ok(JsonNode::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<JsonNode, E> {
        Ok(JsonNode::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<JsonNode, E> {
        Ok(JsonNode::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<JsonNode, E> {
        Ok(JsonNode::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonNode, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(JsonNode::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<JsonNode, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(JsonNode::Object(members))
    }
}

impl<'de> Deserializer<'de> for JsonNode {
    type Error = WrongParameter;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongParameter> {
        match self {
            JsonNode::Null => visitor.visit_unit(),
            JsonNode::Bool(value) => visitor.visit_bool(value),
            JsonNode::Signed(value) => visitor.visit_i64(value),
            JsonNode::Unsigned(value) => visitor.visit_u64(value),
            JsonNode::Float(value) => visitor.visit_f64(value),
            JsonNode::Text(value) => visitor.visit_string(value),
            JsonNode::List(nodes) => visitor.visit_seq(NodeList { nodes: nodes.into_iter().enumerate() }),
            JsonNode::Object(members) => {
                visitor.visit_map(NodeObject { members: members.into_iter(), value: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongParameter> {
        match self {
            JsonNode::Null => visitor.visit_none(),
            node => visitor.visit_some(node),
        }
    }

    /// serde takes a list for a struct, varlink does not.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WrongParameter> {
        match self {
            JsonNode::Object(_) => self.deserialize_any(visitor),
            _ => Err(WrongParameter::default()),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct NodeList {
    nodes: std::iter::Enumerate<std::vec::IntoIter<JsonNode>>,
}

impl<'de> SeqAccess<'de> for NodeList {
    type Error = WrongParameter;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, WrongParameter> {
        let Some((index, node)) = self.nodes.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|wrong| wrong.inside(format!("[{index}]")))
    }
}

struct NodeObject {
    members: std::vec::IntoIter<(String, JsonNode)>,
    value: Option<(String, JsonNode)>,
}

impl<'de> MapAccess<'de> for NodeObject {
    type Error = WrongParameter;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, WrongParameter> {
        let Some((name, node)) = self.members.next() else { return Ok(None) };
        let key = seed.deserialize(name.as_str().into_deserializer());
        self.value = Some((name, node));
        key.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, WrongParameter> {
        let (name, node) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(node).map_err(|wrong| wrong.inside(format!(".{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ExecCall, ListCall, MkdirCall, SetOwnerCall};

    fn wrong<C: de::DeserializeOwned + fmt::Debug>(parameters: &str) -> String {
        parse::<C>(parameters).expect_err(parameters)
    }

    #[test]
    fn wrong_parameter_is_named_at_any_depth() {
        assert_eq!(wrong::<MkdirCall>("{}"), "cgroup");
        assert_eq!(wrong::<MkdirCall>(r#"{"group":"/x"}"#), "group");
        assert_eq!(wrong::<MkdirCall>(r#"{"cgroup":5}"#), "cgroup");
        assert_eq!(wrong::<MkdirCall>(r#"{"cgroup":null}"#), "cgroup");
        assert_eq!(wrong::<MkdirCall>(r#"{"cgroup":"/x","cgroup":"/y"}"#), "cgroup");
        assert_eq!(wrong::<MkdirCall>(r#"{"cgroup":"/x","mode":"0755"}"#), "mode");
        assert_eq!(wrong::<MkdirCall>(r#"{"cgroup":"/x","mode":7.5}"#), "mode");
        assert_eq!(wrong::<ListCall>(r#"{"cgroup":"/x","recursive":1}"#), "recursive");
        for number in ["9223372036854775808", "99999999999999999999", "-9223372036854775809", "1e3"] {
            assert_eq!(
                wrong::<SetOwnerCall>(&format!(r#"{{"cgroup":"/x","uid":{number}}}"#)),
                "uid",
                "{number}"
            );
        }
        let exec =
            |parts: &str| wrong::<ExecCall>(&format!(r#"{{"cgroups":["/"],"command":["x"],{parts}}}"#));
        assert_eq!(
            exec(r#""environment":[{"name":"A","value":"1"},{"name":"B"}],"streams":[]"#),
            "environment[1].value"
        );
        assert_eq!(exec(r#""environment":[{"name":7,"value":"1"}],"streams":[]"#), "environment[0].name");
        assert_eq!(exec(r#""environment":[5],"streams":[]"#), "environment[0]");
        assert_eq!(exec(r#""environment":[["A","1"]],"streams":[]"#), "environment[0]");
        assert_eq!(exec(r#""environment":{},"streams":[]"#), "environment");
        assert_eq!(exec(r#""environment":[],"streams":[0,1,"2"]"#), "streams[2]");
        for whole in ["5", "[]", r#"["/x"]"#, "null", "\"x\"", "true"] {
            assert_eq!(wrong::<MkdirCall>(whole), "parameters", "{whole}");
        }
    }

    #[test]
    fn right_parameters_are_read() {
        let call: MkdirCall = parse(r#"{"cgroup":"/x","mode":493,"parents":null}"#).expect("a call");
        assert_eq!((call.cgroup.as_str(), call.mode, call.parents), ("/x", Some(0o755), None));
    }

    #[test]
    fn wrong_member_of_a_call_is_named() {
        for (message, member) in [
            ("no JSON", "call"),
            ("", "call"),
            ("5", "call"),
            ("[1]", "call"),
            (r#"["org.penfold.Control.Info"]"#, "call"),
            ("{}", "method"),
            (r#"{"method":5}"#, "method"),
            (r#"{"method":"x","more":1}"#, "more"),
            (r#"{"method":"x","oneway":"yes"}"#, "oneway"),
            (r#"{"method":"x","upgrade":[]}"#, "upgrade"),
        ] {
            assert_eq!(wrong_member(message.as_bytes()), member, "{message}");
        }
    }
}
