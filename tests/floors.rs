//! Holds the table of ARCHITECTURE.md: a module uses only modules on floors below its own.

use std::{collections::BTreeMap, fs, path::Path};

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

fn sources(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
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
