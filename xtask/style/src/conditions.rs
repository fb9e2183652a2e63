//! Conditions of `#[cfg(…)]`, and whether two of them can hold in one build.

use std::collections::BTreeMap;

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

/// A condition of a build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BuildCondition {
    All(Vec<BuildCondition>),
    Any(Vec<BuildCondition>),
    Not(Box<BuildCondition>),
    /// `unix`, or `target_arch = "x86_64"` with its value.
    Set(String, Option<String>),
}

/// Keys with exactly one value in a build.
const SINGLE_VALUES: [&str; 7] = [
    "target_arch",
    "target_os",
    "target_env",
    "target_endian",
    "target_pointer_width",
    "target_vendor",
    "panic",
];

/// More facts than this are not tried out.
const MOST_FACTS: usize = 12;

/// The conditions of all `#[cfg]` among the attributes.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<BuildCondition> {
    let cfg = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    cfg.filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .filter_map(|meta| condition(&meta))
        .collect()
}

fn condition(meta: &Meta) -> Option<BuildCondition> {
    match meta {
        Meta::Path(path) => Some(BuildCondition::Set(path.get_ident()?.to_string(), None)),
        Meta::NameValue(pair) => {
            let Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) = &pair.value else { return None };
            Some(BuildCondition::Set(pair.path.get_ident()?.to_string(), Some(value.value())))
        }
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
            let mut parts: Vec<BuildCondition> = parts.iter().map(condition).collect::<Option<_>>()?;
            match list.path.get_ident()?.to_string().as_str() {
                "all" => Some(BuildCondition::All(parts)),
                "any" => Some(BuildCondition::Any(parts)),
                "not" => Some(BuildCondition::Not(Box::new(parts.pop()?))),
                _ => None,
            }
        }
    }
}

/// Whether no build has all conditions of both sides. Too many facts to try out count as compatible.
pub(crate) fn exclude_each_other(one: &[BuildCondition], other: &[BuildCondition]) -> bool {
    let both: Vec<&BuildCondition> = one.iter().chain(other).collect();
    let mut facts = Vec::new();
    for condition in &both {
        condition.collect(&mut facts);
    }
    facts.sort();
    facts.dedup();
    if facts.len() > MOST_FACTS {
        return false;
    }
    (0_u32..1 << facts.len()).all(|choice| {
        let holds = |fact: &Fact| facts.binary_search(fact).is_ok_and(|bit| choice >> bit & 1 == 1);
        !possible(&facts, holds) || !both.iter().all(|condition| condition.holds(&holds))
    })
}

type Fact = (String, Option<String>);

/// Whether a build can have these facts: at most one value of a key that takes one.
fn possible(facts: &[Fact], holds: impl Fn(&Fact) -> bool) -> bool {
    let mut values: BTreeMap<&str, usize> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| holds(fact)) {
        *values.entry(&fact.0).or_default() += 1;
    }
    values.iter().all(|(key, number)| *number < 2 || !SINGLE_VALUES.contains(key))
}

impl BuildCondition {
    fn collect(&self, facts: &mut Vec<Fact>) {
        match self {
            BuildCondition::All(parts) | BuildCondition::Any(parts) => {
                for part in parts {
                    part.collect(facts);
                }
            }
            BuildCondition::Not(part) => part.collect(facts),
            BuildCondition::Set(key, value) => facts.push((key.clone(), value.clone())),
        }
    }

    fn holds(&self, fact: &impl Fn(&Fact) -> bool) -> bool {
        match self {
            BuildCondition::All(parts) => parts.iter().all(|part| part.holds(fact)),
            BuildCondition::Any(parts) => parts.iter().any(|part| part.holds(fact)),
            BuildCondition::Not(part) => !part.holds(fact),
            BuildCondition::Set(key, value) => fact(&(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<BuildCondition> {
        let item: syn::ItemStruct = syn::parse_str(&format!("{text} struct S;")).unwrap();
        conditions(&item.attrs)
    }

    fn exclusive(one: &str, other: &str) -> bool {
        exclude_each_other(&of(one), &of(other))
    }

    #[test]
    fn two_architectures_exclude_each_other() {
        assert!(exclusive("#[cfg(target_arch = \"x86_64\")]", "#[cfg(target_arch = \"aarch64\")]"));
        assert!(exclusive("#[cfg(target_arch = \"a\")]", "#[cfg(all(unix, target_arch = \"b\"))]"));
        assert!(!exclusive("#[cfg(target_arch = \"a\")]", "#[cfg(any(unix, target_arch = \"b\"))]"));
    }

    #[test]
    fn condition_and_its_contrary_exclude_each_other() {
        assert!(exclusive("#[cfg(test)]", "#[cfg(not(test))]"));
        assert!(exclusive("#[cfg(feature = \"a\")]", "#[cfg(not(any(feature = \"a\", feature = \"b\")))]"));
        assert!(exclusive("#[cfg(test)] #[cfg(feature = \"a\")]", "#[cfg(not(all(test, feature = \"a\")))]"));
    }

    #[test]
    fn features_tests_and_nothing_go_together() {
        assert!(!exclusive("#[cfg(feature = \"a\")]", "#[cfg(feature = \"b\")]"));
        assert!(!exclusive("#[cfg(test)]", ""));
        assert!(!exclusive("", ""));
        assert!(!exclusive("#[derive(Debug)]", "#[cfg(test)]"));
    }
}
