//! Holds the table of ARCHITECTURE.md: a module uses only modules on floors below its own. And what only some systems
//! have stands under a condition, so that the others can be built for.

use std::{
    collections::BTreeMap,
    fs, iter,
    ops::Range,
    path::{Path, PathBuf},
};

/// `| floor | module, module | ...` rows of ARCHITECTURE.md.
fn floors(text: &str) -> BTreeMap<String, u32> {
    let mut floors = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(floor) = cells.get(1).and_then(|cell| cell.parse::<u32>().ok()) else { continue };
        for module in cells[2].split(',').map(|name| name.trim().trim_matches('`')) {
            floors.insert(module.to_owned(), floor);
        }
    }
    floors
}

/// Every module named behind `crate::`, also in `use crate::{a::.., b}`.
fn used(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        let rest = &source[at + "crate::".len()..];
        let name = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let Some(list) = rest.strip_prefix('{') else {
            found.push(name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (i, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    found.push(name(&list[i..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn modules_use_only_lower_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let floors = floors(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let mut checked = 0;
    for file in files {
        let below = file.strip_prefix(root.join("src")).unwrap();
        let module = below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let floor = floors.get(&module).unwrap_or_else(|| panic!("{module} is missing in ARCHITECTURE.md's table"));
        for other in used(&fs::read_to_string(&file).unwrap()) {
            let theirs = floors.get(&other).unwrap_or_else(|| panic!("{}: crate::{other}?", below.display()));
            assert!(
                other == module || theirs < floor,
                "{}: {module} (floor {floor}) uses {other} (floor {theirs})",
                below.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} uses found: does the test still read the code?");
}

#[test]
fn the_reader_of_uses_sees_nested_lists() {
    let source = "use crate::{\n    domain::{A, B},\n    text,\n    ui::{self, x::{Y}},\n};\nlet a = crate::chat::b();";
    assert_eq!(used(source), ["domain", "text", "ui", "chat"]);
}

const UNIX: &str = "cfg(unix)";
const LINUX: &str = "cfg(target_os = \"linux\")";
const WINDOWS: &str = "cfg(windows)";

/// Modules and crates that only some systems have, and the conditions that they may stand under.
const OF_SOME_SYSTEMS: [(&str, &[&str]); 5] = [
    ("unix", &[UNIX, LINUX]),
    ("rustix", &[UNIX, LINUX]),
    ("nix", &[LINUX]),
    ("libc", &[LINUX]),
    ("windows", &[WINDOWS]),
];

/// The items under a condition: the whole file, or what follows the attribute up to the end of its block or statement.
/// Brackets in strings count like any others.
fn under(condition: &str, source: &str) -> Vec<Range<usize>> {
    if source.contains(&format!("#![{condition}]")) {
        return iter::once(0..source.len()).collect();
    }
    let attribute = format!("#[{condition}]");
    let item = |(at, _): (usize, &str)| {
        let start = at + attribute.len();
        let mut depth = 0_usize;
        for (i, c) in source[start..].char_indices() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(c, '}' | ';' | ',') {
                return start..start + i + 1;
            }
        }
        start..source.len()
    };
    source.match_indices(&attribute).map(item).collect()
}

/// The modules in other files that a file declares under a condition, as paths without an ending.
fn modules_under(condition: &str, file: &Path, source: &str) -> Vec<PathBuf> {
    let folder = match file.file_stem().unwrap().to_str().unwrap() {
        "lib" | "main" | "mod" => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    };
    let items = under(condition, source).into_iter().map(|item| &source[item]);
    let names = items.filter_map(|item| Some(item.strip_suffix(';')?.rsplit_once("mod ")?.1));
    names.map(|name| folder.join(name)).collect()
}

/// Whether a name at this place is a whole one, not the end of another.
fn begins(source: &str, at: usize) -> bool {
    !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn without_comments(source: &str) -> String {
    source.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_only_some_systems_have_stands_under_a_condition() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        sources(&root.join(folder), &mut files);
    }
    let files: Vec<(PathBuf, String)> =
        files.into_iter().map(|file| (file.clone(), without_comments(&fs::read_to_string(&file).unwrap()))).collect();
    let modules = |condition| files.iter().flat_map(move |(file, source)| modules_under(condition, file, source));
    let modules: BTreeMap<&str, Vec<PathBuf>> =
        [UNIX, LINUX, WINDOWS].into_iter().map(|condition| (condition, modules(condition).collect())).collect();
    let mut checked = 0;
    for (file, source) in &files {
        let below = file.strip_prefix(root).unwrap().display();
        let is_in = |condition: &str, at: usize| {
            let module = file.with_extension("");
            modules[condition].iter().any(|outer| module.starts_with(outer))
                || under(condition, source).iter().any(|item| item.contains(&at))
        };
        for (name, conditions) in OF_SOME_SYSTEMS {
            let [inside, renamed] = ["::", " as "].map(|after| format!("{name}{after}"));
            let found = source.match_indices(&inside).chain(source.match_indices(&renamed));
            for (at, path) in found.filter(|(at, _)| begins(source, *at)) {
                let line = source[..at].rsplit('\n').next().unwrap().trim_start();
                assert!(
                    conditions.iter().any(|condition| is_in(condition, at)),
                    "{below}: `{line}{path}` stands under none of {conditions:?}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "only {checked} found: does the test still read the code?");
}

#[test]
fn the_reader_of_conditions_sees_where_items_end() {
    let source = "#[cfg(unix)]\n#[test]\nfn a(b: [u8; 2]) { c(); }\nd;\n#[cfg(unix)]\nlet e = f(g, h);\ni;\n#[cfg(unix)]\npub mod j;\n";
    let items: Vec<&str> = under(UNIX, source).into_iter().map(|item| source[item].trim()).collect();
    assert_eq!(items, ["#[test]\nfn a(b: [u8; 2]) { c(); }", "let e = f(g, h);", "pub mod j;"]);
    for (file, module) in [("k/l.rs", "k/l/j"), ("k/mod.rs", "k/j")] {
        assert_eq!(modules_under(UNIX, Path::new(file), source), [Path::new(module)]);
    }
    assert_eq!(under(LINUX, "#![cfg(target_os = \"linux\")]\nx").first(), Some(&(0..30)));
    assert!(under(WINDOWS, "#[cfg(not(windows))]\nx;").is_empty());
}
