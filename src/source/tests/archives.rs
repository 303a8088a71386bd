use std::io::{Cursor, Write};

use flate2::{Compression, write::GzEncoder};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{archive::Format, *};

pub(super) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Writes names as they are given: the library's own builder refuses hostile ones.
fn tar(files: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes, kind) in files {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn unpack(format: Format, bytes: &[u8], globs: &[&str], limits: Limits) -> Result<Seen, SourceError> {
    let filter = Filter::new(&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>())?;
    archive::unpack(format, Cursor::new(bytes), "/x/docs", filter, limits, &CancellationToken::new()).map(Seen::of)
}

const FILE: tar::EntryType = tar::EntryType::Regular;

#[test]
fn archives_give_what_a_folder_would() {
    let files: &[(&str, &[u8])] = &[
        ("en/faq/b.md", b"b"),
        ("en/faq/a.md", b"a"),
        ("en/deep/c.md", b"c"),
        ("./en/d.md", b"d"),
        ("en/pic.png", b"x"),
        ("en/.hidden.md", b"x"),
        ("__MACOSX/en/x.md", b"x"),
        ("en/more.zip", b"x"),
        ("en/report.pdf", b"x"),
        ("en/bin.dat2", b"\0"),
    ];
    let of_tar: Vec<_> = files.iter().map(|(name, bytes)| (*name, *bytes, FILE)).collect();
    let packed = [
        (Format::Zip, zip(files)),
        (Format::Tar, tar(&of_tar)),
        (Format::TarGz, gz(&tar(&of_tar))),
        // Several gzip members in a row are one stream.
        (Format::TarGz, tar(&of_tar).chunks(700).flat_map(gz).collect()),
    ];
    for (format, bytes) in packed {
        let seen = unpack(format, &bytes, &[], small()).unwrap();
        assert_eq!(seen.names(), ["en/d.md", "en/deep/c.md", "en/faq/a.md", "en/faq/b.md"], "{format:?}");
        assert_eq!(seen.ignored, 1);
        assert_eq!(seen.skipped.len(), 3, "{:?}", seen.skipped);
        assert!(seen.reason("en/more.zip").contains("inside an archive"));
        let seen = unpack(format, &bytes, &["en/faq/*.md"], small()).unwrap();
        assert_eq!(seen.texts, [("en/faq/a.md".into(), "a".into()), ("en/faq/b.md".into(), "b".into())]);
        assert_eq!((seen.skipped.len(), seen.ignored), (0, 0));
    }
}

#[tokio::test]
async fn an_archive_on_disk_is_told_by_name_or_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = zip(&[("en/a.md", b"a")]);
    for name in ["docs.zip", "download", "book.docx"] {
        std::fs::write(folder.path().join(name), &bytes).unwrap();
    }
    for name in ["docs.zip", "download"] {
        let path = folder.path().join(name).to_str().unwrap().to_owned();
        let spec = check(&path, Vec::new(), Chunker::Markdown).unwrap();
        let scan = scan(&spec, &Progress::default(), &CancellationToken::new()).await.unwrap();
        assert_eq!(scan.entries[0].location, format!("{}!/en/a.md", spec.location));
    }
    let seen = see(folder.path().join("book.docx").to_str().unwrap(), &[], small()).await.unwrap();
    assert!(seen.reason("book.docx").contains("Word files aren't read"));
}

#[test]
fn hostile_members_are_skipped_with_a_reason() {
    let hostile = [
        ("../up.md", "leads out"),
        ("a/../../up.md", "leads out"),
        ("/etc/abs.md", "absolute path"),
        ("C:/drive.md", "absolute path"),
    ];
    let mut of_tar: Vec<(&str, &[u8], tar::EntryType)> =
        hostile.iter().map(|(name, _)| (*name, &b"x"[..], FILE)).collect();
    of_tar.extend([
        ("link.md", &b""[..], tar::EntryType::Symlink),
        ("hard.md", b"", tar::EntryType::Link),
        ("pipe.md", b"", tar::EntryType::Fifo),
        ("large.md", &[b'x'; 10_001], FILE),
        ("good.md", b"good", FILE),
    ]);
    let seen = unpack(Format::TarGz, &gz(&tar(&of_tar)), &[], small()).unwrap();
    assert_eq!(seen.names(), ["good.md"]);
    let more = [("link.md", "link"), ("hard.md", "link"), ("pipe.md", "regular"), ("large.md", "is more than")];
    for (name, reason) in hostile.into_iter().chain(more) {
        assert!(seen.reason(name).contains(reason), "{name}: {}", seen.reason(name));
    }

    let names: Vec<(&str, &[u8])> = hostile.iter().map(|(name, _)| (*name, &b"x"[..])).collect();
    let mut bytes = zip(&names);
    // The writer tidies names; put a hostile one in by hand, of the same length.
    bytes = replace(&bytes, b"up.md", b"../.x");
    let seen = unpack(Format::Zip, &bytes, &[], small()).unwrap();
    assert!(seen.texts.iter().all(|(name, _)| !name.starts_with('/') && !name.contains("..")), "{:?}", seen.names());

    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let plain = SimpleFileOptions::default();
    writer.add_symlink("link.md", "/etc/passwd", plain).unwrap();
    writer.start_file("bomb.md", plain.compression_level(Some(9))).unwrap();
    writer.write_all(&[b'x'; 1_000_000]).unwrap();
    writer.start_file("win\\dows.md", plain).unwrap();
    writer.write_all(b"fine").unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let limits = Limits { ratio: 100, ..Limits::DEFAULT };
    let seen = unpack(Format::Zip, &bytes, &[], limits).unwrap();
    assert_eq!(seen.names(), ["win/dows.md"]);
    assert!(seen.reason("link.md").contains("link"));
    assert!(seen.reason("bomb.md").contains("100 times"), "{}", seen.reason("bomb.md"));

    // Bit 0 of the general purpose flags, in the local and the central header.
    let mut bytes = zip(&[("secret.md", b"x")]);
    let central = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[6] |= 1;
    bytes[central + 8] |= 1;
    let seen = unpack(Format::Zip, &bytes, &[], small()).unwrap();
    assert!(seen.reason("secret.md").contains("encrypted"), "{:?}", seen.skipped);
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

#[test]
fn a_damaged_archive_is_an_error_and_a_damaged_member_a_skip() {
    let text: Vec<u8> =
        (0..5_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes()).take(9_000).collect();
    let good = [("a.md", text.as_slice()), ("b.md", b"b")];
    let of_tar = [("a.md", text.as_slice(), FILE), ("b.md", b"b", FILE)];
    let (zipped, tarred) = (zip(&good), tar(&of_tar));
    let gzipped = gz(&tarred);
    let mut flipped = gzipped.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    for (format, bytes) in [
        (Format::Zip, &zipped[..zipped.len() - 30]),
        (Format::Zip, b"<html>not found</html>"),
        (Format::Zip, b""),
        (Format::Tar, &tarred[..600]),
        // In the middle of the last member.
        (Format::Tar, &tar(&of_tar[..1])[..9_000]),
        (Format::Tar, &[b'x'; 2_000]),
        (Format::TarGz, &gzipped[..gzipped.len() / 2]),
        (Format::TarGz, &gzipped[..gzipped.len() - 4]),
        (Format::TarGz, &flipped),
        (Format::TarGz, b""),
    ] {
        let message = failure(unpack(format, bytes, &[], small()));
        assert!(message.contains("/x/docs can't be unpacked: "), "{format:?} {}: {message}", bytes.len());
    }
    let mut damaged = zipped.clone();
    damaged[100] ^= 0xff;
    let seen = unpack(Format::Zip, &damaged, &[], small()).unwrap();
    assert_eq!(seen.names(), ["b.md"]);
    assert!(seen.reason("a.md").contains("damaged"), "{}", seen.reason("a.md"));
}

#[test]
fn an_archive_is_bounded_as_a_whole() {
    let many: Vec<(String, Vec<u8>)> = (0..21).map(|n| (format!("{n}.md"), b"x".to_vec())).collect();
    let heavy: Vec<(String, Vec<u8>)> = (0..4).map(|n| (format!("{n}.md"), vec![b'x'; 9_000])).collect();
    // Nobody asks for these, but a stream has to be read through.
    let waste: Vec<(String, Vec<u8>)> = (0..2).map(|n| (format!("{n}.png"), vec![b'x'; 40_000])).collect();
    for (files, formats, reason) in [
        (&many, &[Format::Zip, Format::TarGz][..], "more than 20 files"),
        (&heavy, &[Format::Zip, Format::TarGz], "documents together are more than"),
        (&waste, &[Format::TarGz], "unpacks to"),
    ] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        for format in formats {
            let bytes = match format {
                Format::Zip => zip(&files),
                _ => gz(&tar(&files.iter().map(|(name, bytes)| (*name, *bytes, FILE)).collect::<Vec<_>>())),
            };
            let message = failure(unpack(*format, &bytes, &[], small()));
            assert!(message.contains("too large") && message.contains(reason), "{format:?}: {message}");
        }
    }
    // Two megabytes are little for a file, and cut off before they fill the memory as a name.
    let name = vec![b'n'; 2 << 20];
    let bytes = tar(&[("large.png", &name, FILE), ("a.md", b"a", FILE)]);
    assert_eq!(unpack(Format::Tar, &bytes, &[], Limits::DEFAULT).unwrap().names(), ["a.md"]);
    let bytes = tar(&[("././@LongLink", &name, tar::EntryType::GNULongName), ("a.md", b"a", FILE)]);
    let message = failure(unpack(Format::Tar, &bytes, &[], Limits::DEFAULT));
    assert!(message.contains("name in it"), "{message}");
}
