//! Every relative link of a page leads to a file, and its anchor to a heading there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::repository::{files, top};

/// The targets of links in a page, with the number of the line. Code is left out.
fn targets(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in page.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        // every second piece between backticks is code
        let prose = line.split('`').enumerate().map(|(at, piece)| if at % 2 == 0 { piece } else { "code" });
        let prose = prose.collect::<String>();
        let definition = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let of_line = inline.chain(definition.map(|(_, target)| target.trim()));
        found.extend(of_line.filter(|_| !fenced).map(|target| (index + 1, target.to_owned())));
    }
    found
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut fenced = false;
    let mut found = Vec::new();
    for line in page.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if fenced || !line.starts_with('#') || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
        let slug = kept.flat_map(char::to_lowercase).collect::<String>().replace(' ', "-");
        let before = count.entry(slug.clone()).or_default();
        found.push(if *before == 0 { slug } else { format!("{slug}-{before}") });
        *before += 1;
    }
    found
}

/// The error in a link in the page at `path`.
fn wrong(path: &str, target: &str, pages: &BTreeMap<String, String>) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let directory = Path::new(path).parent().unwrap_or(Path::new(""));
    let linked = if file.is_empty() { path.into() } else { directory.join(file) };
    if !top().join(&linked).exists() {
        return Some(format!("{file} is not there"));
    }
    let name = normal(&linked);
    let headings = pages.get(&name).map(|page| anchors(page)).unwrap_or_default();
    let missing = anchor.filter(|anchor| !headings.iter().any(|heading| heading == anchor))?;
    Some(format!("{name} has no heading #{missing}"))
}

/// The path without `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_link_leads_somewhere() {
    let pages: BTreeMap<_, _> = files(&["md"]).into_iter().collect();
    let links = |(path, page): (&String, &String)| {
        let found = targets(page).into_iter();
        let path = path.clone();
        found.map(move |(line, target)| (path.clone(), line, target)).collect::<Vec<_>>()
    };
    let all: Vec<_> = pages.iter().flat_map(links).collect();
    let problems = all.iter().filter_map(|(path, line, target)| {
        wrong(path, target, &pages).map(|problem| format!("{path}:{line}: {problem}"))
    });
    let problems: Vec<_> = problems.collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(all.len() > 30, "only {} links were found", all.len());
}

#[test]
fn links_and_anchors_are_found() {
    let page = "[a](b.md) and ![c](d.svg \"title\"), `[no](no.md)`\n```\n[no](no.md)\n```\n[e]: f.md#g\n";
    let expected = [(1, "b.md"), (1, "d.svg"), (5, "f.md#g")].map(|(line, target)| (line, target.to_owned()));
    assert_eq!(targets(page), expected);
    let headings = "# One: `two`, (three)\n## Same\n### Same\n#no\n```\n# no\n```\n## A_b-c É";
    assert_eq!(anchors(headings), ["one-two-three", "same", "same-1", "a_b-c-é"]);
}

#[test]
fn a_link_to_nothing_is_found() {
    let pages = BTreeMap::from([("docs/cli.md".to_owned(), "# Head\n".to_owned())]);
    let of = |target| wrong("README.md", target, &pages);
    assert_eq!(of("https://example.org/x"), None);
    assert_eq!(of("docs/cli.md#head"), None);
    assert_eq!(wrong("docs/cli.md", "#head", &pages), None);
    assert_eq!(wrong("docs/cli.md", "../docs/./cli.md#head", &pages), None);
    assert_eq!(of("docs/none.md"), Some("docs/none.md is not there".into()));
    assert_eq!(of("docs/cli.md#tail"), Some("docs/cli.md has no heading #tail".into()));
}
