use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{error::too_large, filter::unread};
use crate::domain::Chunker;

/// The text of a document's bytes: UTF-8, or UTF-16 when a byte order mark says so; without the mark.
///
/// # Errors
/// Why it has to be skipped.
pub(super) fn text(bytes: &[u8], limit: u64) -> Result<String, String> {
    let size = bytes.len() as u64;
    if size > limit {
        return Err(too_large(size, limit));
    }
    if let Some(reason) = signature(bytes) {
        return Err(reason);
    }
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, 3)?.to_owned(),
        _ => utf8(bytes, 0)?.to_owned(),
    };
    if text.contains('\0') {
        return Err(BINARY.to_owned());
    }
    if text.trim().is_empty() {
        return Err("empty".to_owned());
    }
    Ok(text)
}

const BINARY: &str = "binary";

/// Formats that would pass for text, or that deserve a better word than "binary".
fn signature(bytes: &[u8]) -> Option<String> {
    const SIGNATURES: &[(&[u8], &str)] = &[(b"%PDF-", "PDF"), (b"{\\rtf", "RTF")];
    const ARCHIVES: &[&[u8]] = &[b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"];
    if let Some((_, kind)) = SIGNATURES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(unread(kind));
    }
    if ARCHIVES.iter().any(|magic| bytes.starts_with(magic)) {
        return Some("binary (an archive or an office document); only .zip, .tar.gz and .tgz are unpacked, and only when given by their own path or URL".to_owned());
    }
    None
}

/// `skipped` bytes came before.
fn utf8(bytes: &[u8], skipped: usize) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        if bytes.contains(&0) {
            return BINARY.to_owned();
        }
        let at = error.valid_up_to();
        let line = 1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
        format!(
            "not UTF-8: the byte at offset {}, line {line}, begins no character; convert it to UTF-8 first",
            at + skipped
        )
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err("damaged UTF-16; convert it to UTF-8 first".to_owned()),
    }
}

/// Whether a download is HTML, by what the server says or by how it begins.
pub(super) fn is_web_page(content_type: Option<&str>, head: &[u8]) -> bool {
    let declared = content_type.is_some_and(|kind| kind == "text/html" || kind == "application/xhtml+xml");
    let start = head.trim_ascii_start();
    let begins = |with: &[u8]| start.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    declared || begins(b"<!doctype html") || begins(b"<html")
}

/// sha256 of the bytes in hexadecimal, a space, and the chunker's version.
pub(super) fn content(bytes: &[u8], chunker: &Chunker) -> String {
    let digest = Sha256::digest(bytes);
    let mut content = digest.iter().fold(String::with_capacity(80), |mut hex, byte| {
        // Writing to a String can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    content.push(' ');
    content.push_str(&chunker.version());
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_or_the_reason_for_none() {
        let utf16: Vec<u8> = "\u{feff}grüße\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16be: Vec<u8> = "\u{feff}漢🙂".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let cases: &[(&[u8], Result<&str, &str>)] = &[
            (b"# a\r\n", Ok("# a\r\n")),
            (b"\xef\xbb\xbfmark", Ok("mark")),
            (&utf16, Ok("grüße\n")),
            (&utf16be, Ok("漢🙂")),
            (&utf16[..5], Err("UTF-16")),
            (b"", Err("empty")),
            (b"\xef\xbb\xbf \n\t\n", Err("empty")),
            (b"a\0b", Err("binary")),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Err("binary")),
            (b"PK\x03\x04rest", Err("archive")),
            (b"%PDF-1.7 text", Err("PDF files aren't read")),
            (b"{\\rtf1 text}", Err("RTF files aren't read")),
            (b"one\ntwo caf\xe9\n", Err("offset 11, line 2")),
            (b"\xef\xbb\xbfcaf\xe9", Err("offset 6, line 1")),
            (&[b'x'; 101], Err("is more than")),
        ];
        for (bytes, expected) in cases {
            match (text(bytes, 100), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, *expected),
                (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{bytes:?}: {reason}"),
                (got, _) => panic!("{bytes:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn content_tells_bytes_and_chunkers_apart() {
        let split = Chunker::Split("# ".into());
        let marks = [content(b"a", &Chunker::Markdown), content(b"b", &Chunker::Markdown), content(b"a", &split)];
        assert!(marks.iter().all(|mark| mark.find(' ') == Some(64)));
        assert!(marks[0] != marks[1] && marks[0] != marks[2]);
        assert_eq!(marks[0], content(b"a", &Chunker::Markdown));
    }
}
