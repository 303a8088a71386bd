mod archives;
mod chunks;
mod folders;
mod urls;

use super::*;

/// Scans and reads everything, as `name → text` and `name → reason`.
pub(super) struct Seen {
    pub(super) texts: Vec<(String, String)>,
    pub(super) skipped: Vec<(String, String)>,
    pub(super) ignored: u64,
}

impl Seen {
    fn of(scan: Scan) -> Self {
        let Scan { entries, skipped, ignored } = scan;
        let mut seen = Self { texts: Vec::new(), skipped: Vec::new(), ignored };
        seen.skipped.extend(skipped.into_iter().map(|skip| (skip.document, skip.reason)));
        for entry in entries {
            match entry.read(&Chunker::Markdown) {
                Ok(document) => seen.texts.push((entry.name, document.text)),
                Err(reason) => seen.skipped.push((entry.name, reason.to_string())),
            }
        }
        seen
    }

    fn names(&self) -> Vec<&str> {
        self.texts.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn reason(&self, document: &str) -> &str {
        self.skipped.iter().find(|(name, _)| name == document).map_or("not skipped", |(_, reason)| reason)
    }
}

/// Limits small enough to be reached by a test.
fn small() -> Limits {
    Limits { document: 10_000, download: 50_000, unpacked: 60_000, kept: 30_000, members: 20, ..Limits::DEFAULT }
}

async fn see(location: &str, globs: &[&str], limits: Limits) -> Result<Seen, SourceError> {
    let spec = check(location, globs.iter().map(|glob| (*glob).to_owned()).collect(), Chunker::Markdown)?;
    let scan = scan_within(&spec, limits, &Progress::default(), &CancellationToken::new()).await?;
    Ok(Seen::of(scan))
}

fn failure(result: Result<Seen, SourceError>) -> String {
    result.map(|seen| format!("{:?}", seen.names())).unwrap_err().to_string()
}

#[tokio::test]
async fn the_handbook_is_a_source() {
    let spec = SourceSpec::handbook();
    assert_eq!(check(&spec.location, Vec::new(), Chunker::Markdown).unwrap(), spec);
    let scan = scan(&spec, &Progress::default(), &CancellationToken::new()).await.unwrap();
    assert!(scan.entries.iter().all(|page| page.location == format!("builtin:handbook!/{}", page.name)));
    let seen = Seen::of(scan);
    assert!(seen.names().contains(&"handbook/keys.md") && seen.skipped.is_empty());
}
