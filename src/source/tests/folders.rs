use std::fs;

use super::*;

fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_folder_gives_its_prose_and_a_reason_for_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, bytes) in [
        ("b.md", "b"),
        ("a/deep/c.txt", "c"),
        ("README", "readme"),
        (".hidden.md", "x"),
        (".git/config.md", "x"),
        ("build/out.md", "x"),
        ("a/deep/left.md", "x"),
        ("a/.gitignore", "left.md\n"),
        ("drafts/new.md", "x"),
        (".gitignore", "build/\n"),
        (".ignore", "drafts\n"),
        ("code.rs", "fn main() {}"),
        ("pic.png", "x"),
        ("inner.zip", "x"),
        ("report.pdf", "%PDF-1.7"),
        ("empty.md", " \n\t\n"),
        ("zero.md", ""),
    ] {
        write(root, name, bytes);
    }
    write(root, "binary", b"a\0b");
    write(root, "latin1.txt", b"one\ncaf\xe9");
    write(root, "large.md", vec![b'x'; 10_001]);

    let seen = see(root.to_str().unwrap(), &[], small()).await.unwrap();
    assert_eq!(seen.names(), ["README", "a/deep/c.txt", "b.md"]);
    assert_eq!(seen.ignored, 3, "code.rs, pic.png, inner.zip");
    for (document, reason) in [
        ("report.pdf", "PDF files aren't read"),
        ("empty.md", "empty"),
        ("zero.md", "empty"),
        ("binary", "binary"),
        ("latin1.txt", "offset 7, line 2"),
        ("large.md", "is more than"),
    ] {
        assert!(seen.reason(document).contains(reason), "{document}: {}", seen.reason(document));
    }
    assert_eq!(seen.skipped.len(), 6, "{:?}", seen.skipped);

    // A glob asks by path alone, but hidden and ignored files stay out.
    let seen = see(root.to_str().unwrap(), &["*.rs", "a/**/*.txt", "**/*.md"], small()).await.unwrap();
    assert_eq!(seen.names(), ["a/deep/c.txt", "b.md", "code.rs"]);
    assert_eq!((seen.ignored, seen.reason("report.pdf")), (0, "not skipped"));
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_told_of_and_not_followed() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(outside.path(), "secret.md", "not yours");
    write(root, "b.md", "b");
    write(root, "a/c.md", "c");
    symlink(outside.path().join("secret.md"), root.join("out.md")).unwrap();
    symlink(outside.path(), root.join("outdir")).unwrap();
    symlink(root, root.join("a/loop")).unwrap();
    symlink(root.join("b.md"), root.join("same.md")).unwrap();
    symlink("nowhere", root.join("broken.md")).unwrap();
    let seen = see(root.to_str().unwrap(), &[], small()).await.unwrap();
    assert_eq!(seen.names(), ["a/c.md", "b.md"]);
    for (document, reason) in
        [("out.md", "leads out of the folder"), ("outdir", "leads out of the folder"), ("broken.md", "leads nowhere")]
    {
        assert!(seen.reason(document).contains(reason), "{document}: {}", seen.reason(document));
    }
    assert_eq!(seen.skipped.len(), 3, "{:?}", seen.skipped);
}

#[tokio::test]
async fn ignore_files_above_the_folder_count_inside_a_repository_only() {
    let repository = tempfile::tempdir().unwrap();
    let root = repository.path();
    write(root, ".gitignore", "node_modules/\n/docs\n");
    write(root, "docs/a.md", "a");
    write(root, "docs/node_modules/b.md", "b");
    write(root, "docs/c.md", "c");
    write(root, "docs/.gitignore", "c.md");
    let docs = root.join("docs");
    let docs = docs.to_str().unwrap();
    assert_eq!(see(docs, &[], small()).await.unwrap().names(), ["a.md", "node_modules/b.md"]);
    fs::create_dir(root.join(".git")).unwrap();
    assert_eq!(see(docs, &[], small()).await.unwrap().names(), ["a.md"], "a folder that was asked for is read");
}

#[tokio::test]
async fn a_file_given_by_its_path_is_read_whatever_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write(&root, "settings.json", "{}");
    write(&root, "old.doc", b"\xd0\xcf\x11\xe0\0\0");
    let path = root.join("settings.json");
    let spec = check(path.to_str().unwrap(), Vec::new(), Chunker::Markdown).unwrap();
    let scan = scan(&spec, &Progress::default(), &CancellationToken::new()).await.unwrap();
    let entry = &scan.entries[0];
    assert_eq!(
        (entry.name.as_str(), entry.location.as_str(), entry.size),
        ("settings.json", path.to_str().unwrap(), 2)
    );
    assert!(entry.modified_ns.is_some_and(|ns| ns > 0));
    let seen = see(root.join("old.doc").to_str().unwrap(), &[], small()).await.unwrap();
    assert!(seen.reason("old.doc").contains("Word files aren't read"));
    // It went away between the listing and the reading.
    fs::remove_file(&path).unwrap();
    assert_eq!(
        entry.read(&Chunker::Markdown),
        Err(super::super::Unread::Failed("it is not there any more".to_owned()))
    );
}

#[test]
fn a_place_is_checked_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    // On Windows that would give another form of the path, which is taken as it is.
    let root = if cfg!(windows) { folder.path().to_owned() } else { folder.path().canonicalize().unwrap() };
    fs::create_dir(root.join("docs")).unwrap();
    let docs = root.join("docs").to_str().unwrap().to_owned();
    let fails = |location: &str| check(location, Vec::new(), Chunker::Markdown).unwrap_err().to_string();
    let works = |location: &str| check(location, Vec::new(), Chunker::Markdown).unwrap().location;

    for other in ["", "/", "/.", "/../docs"] {
        assert_eq!(works(&format!("{docs}{other}")), docs, "{other}");
    }
    let relative = works("src");
    assert!(Path::new(&relative).is_absolute() && Path::new(&relative).ends_with("src"), "{relative}");
    assert_eq!(works("HTTPS://Example.org/a b.md?key=1#part"), "https://example.org/a%20b.md?key=1");

    assert!(fails(&format!("{docs}/nothing")).contains("there is no file or folder"));
    assert!(fails("").contains("there is no file or folder"));
    #[cfg(unix)]
    {
        let socket = root.join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(fails(socket.to_str().unwrap()).contains("neither a file nor a folder"));
    }
    assert!(fails("ftp://example.org/x").contains("ftp:// addresses"));
    assert!(fails("https://").contains("not a URL"));
    let secret = fails("https://me:hunter2@example.org/x.md");
    assert!(secret.contains("example.org") && secret.contains("hint"), "{secret}");
    assert!(!secret.contains("hunter2") && !secret.contains("me:"), "{secret}");
    let glob = check(&docs, vec!["[".into()], Chunker::Markdown).unwrap_err().to_string();
    assert!(glob.contains("\"[\""), "{glob}");
    assert_eq!(check(&docs, vec!["./*.md".into()], Chunker::Markdown).unwrap().globs, ["*.md"]);
}

#[tokio::test]
async fn a_cancelled_scan_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let limits = small();
    let filter = || Filter::new(&[]).unwrap();
    let walked = walk::walk(folder.path(), &filter(), &limits, &cancel);
    assert!(matches!(walked, Err(SourceError::Cancelled)));
    let zip = archives::zip(&[("a.md", b"a")]);
    let unpacked = archive::unpack(archive::Format::Zip, io::Cursor::new(zip), "a.zip", filter(), limits, &cancel);
    assert!(matches!(unpacked, Err(SourceError::Cancelled)));
}
