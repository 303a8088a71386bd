use std::borrow::Cow;

use super::{Data, Entry, Scan, filter::Filter};
use crate::domain::SourceSpec;

/// The pages of the handbook, by name.
const PAGES: &[(&str, &str)] = &[
    ("handbook/asking.md", include_str!("../../assets/handbook/asking.md")),
    ("handbook/configuration.md", include_str!("../../assets/handbook/configuration.md")),
    ("handbook/getting-started.md", include_str!("../../assets/handbook/getting-started.md")),
    ("handbook/indexing.md", include_str!("../../assets/handbook/indexing.md")),
    ("handbook/keys.md", include_str!("../../assets/handbook/keys.md")),
    ("handbook/milvus.md", include_str!("../../assets/handbook/milvus.md")),
    ("handbook/models.md", include_str!("../../assets/handbook/models.md")),
    ("handbook/providers.md", include_str!("../../assets/handbook/providers.md")),
    ("handbook/scores.md", include_str!("../../assets/handbook/scores.md")),
    ("handbook/troubleshooting.md", include_str!("../../assets/handbook/troubleshooting.md")),
];

pub(super) fn scan(filter: &Filter) -> Scan {
    let page = |(name, text): &(&'static str, &'static str)| Entry {
        name: (*name).to_owned(),
        location: format!("{}!/{name}", SourceSpec::HANDBOOK),
        size: text.len() as u64,
        modified_ns: None,
        data: Data::Bytes(Cow::Borrowed(text.as_bytes())),
    };
    Scan { entries: PAGES.iter().filter(|(name, _)| filter.takes(name)).map(page).collect(), ..Scan::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_compiled_in_and_in_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/handbook");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| format!("handbook/{}", file.unwrap().file_name().to_str().unwrap()))
            .collect();
        files.sort();
        assert_eq!(PAGES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), files);
    }
}
