use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::error::SourceError;

/// What to do with a file, by its path below the root.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Read,
    /// No glob asks for it.
    Unasked,
    /// Its kind holds no prose.
    NoProse,
    /// An archive inside a folder or another archive.
    Archive,
    /// Holds prose, but not as text. Names the kind.
    Unread(&'static str),
}

/// Chooses files by the person's globs or, without any, by kind.
pub(super) struct Filter {
    globs: Option<GlobSet>,
}

impl Filter {
    /// `*` stays within a folder, `**` crosses them; a path is taken when any glob matches all of it.
    pub(super) fn new(globs: &[String]) -> Result<Self, SourceError> {
        if globs.is_empty() {
            return Ok(Self { globs: None });
        }
        let bad = |glob: &str, reason: String| SourceError::BadGlob { glob: glob.to_owned(), reason };
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            if glob.starts_with('/') || glob.split('/').any(|part| part == "..") {
                return Err(bad(glob, "it leads out of the source".to_owned()));
            }
            let built = GlobBuilder::new(glob).literal_separator(true).build();
            set.add(built.map_err(|error| bad(glob, error.kind().to_string()))?);
        }
        let set = set.build().map_err(|error| bad(&globs.join(" "), error.kind().to_string()))?;
        Ok(Self { globs: Some(set) })
    }

    /// Whether a file that was given by its own path or URL is taken: its kind doesn't matter.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.globs.as_ref().is_none_or(|globs| globs.is_match(name))
    }

    /// A file that was come across. What a glob asks for is read whatever its kind.
    pub(super) fn judge(&self, name: &str) -> Verdict {
        match &self.globs {
            None => kind(name),
            Some(globs) if globs.is_match(name) => Verdict::Read,
            Some(_) => Verdict::Unasked,
        }
    }
}

/// Lower-case extension of a path's last part; empty when it has none.
pub(super) fn extension(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or(String::new(), |(_, e)| e.to_ascii_lowercase())
}

/// Files of these kinds hold no prose: pictures, sound, video, fonts, programs, code and data.
#[rustfmt::skip]
const NO_PROSE: &[&str] = &[
    // pictures
    "ai", "avif", "bmp", "drawio", "eps", "gif", "heic", "ico", "jpeg", "jpg", "png", "psd", "svg", "tif", "tiff", "webp", "xcf",
    // sound and video
    "aac", "avi", "flac", "m4a", "m4v", "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "ogg", "opus", "srt", "vtt", "wav", "webm", "wma", "wmv",
    // fonts
    "eot", "otf", "ttf", "woff", "woff2",
    // programs, libraries, disk images, keys
    "a", "app", "bin", "class", "com", "crt", "dat", "deb", "dll", "dmg", "dylib", "elf", "exe", "img", "iso", "key", "ko", "lib",
    "msi", "o", "obj", "p12", "pdb", "pem", "pfx", "pkg", "pyc", "pyd", "rlib", "rpm", "so", "wasm",
    // code
    "asm", "astro", "bat", "c", "cc", "cjs", "clj", "cljs", "cmake", "cmd", "coffee", "cpp", "cs", "cxx", "d", "dart", "el", "elm",
    "erl", "ex", "exs", "f90", "fs", "go", "gradle", "groovy", "h", "hh", "hpp", "hs", "hxx", "java", "jl", "js", "jsx", "kt", "kts",
    "lisp", "lua", "m", "mjs", "ml", "mli", "mm", "mts", "nim", "nix", "pas", "php", "pl", "pm", "proto", "ps1", "psm1", "py", "pyi",
    "r", "rb", "rs", "s", "sass", "scala", "scm", "scss", "sh", "bash", "zsh", "fish", "sol", "sql", "svelte", "swift", "tcl", "tf", "ts", "cts", "tsx",
    "v", "vb", "vhd", "vim", "vue", "zig",
    // marked-up pages, styles, data and settings
    "arrow", "avro", "bak", "cfg", "conf", "css", "csv", "db", "diff", "env", "feather", "gguf", "graphql", "h5", "htm", "html", "ini",
    "ipynb", "json", "json5", "jsonc", "jsonl", "less", "lock", "map", "mdb", "mo", "ndjson", "npy", "npz", "onnx", "orc", "parquet",
    "patch", "pb", "pickle", "pkl", "plist", "po", "pot", "properties", "pt", "pth", "safetensors", "sqlite", "sqlite3", "sum", "swp",
    "tmp", "toml", "tsv", "xhtml", "xml", "xsd", "xsl", "xslt", "yaml", "yml",
];

const ARCHIVES: &[&str] = &[
    "7z", "br", "bz2", "cab", "cpio", "gz", "jar", "lz", "lz4", "lzma", "rar", "tar", "tbz2", "tgz", "txz", "war",
    "whl", "xz", "z", "zip", "zst",
];

/// What a file's name tells of it: never [`Verdict::Unasked`].
pub(super) fn kind(name: &str) -> Verdict {
    let extension = extension(name);
    match extension.as_str() {
        "pdf" => Verdict::Unread("PDF"),
        "doc" | "docx" | "docm" | "dot" | "dotx" => Verdict::Unread("Word"),
        "xls" | "xlsx" | "xlsm" | "xlsb" => Verdict::Unread("Excel"),
        "ppt" | "pptx" | "pptm" | "pps" | "ppsx" => Verdict::Unread("PowerPoint"),
        "odt" | "ods" | "odp" | "odg" => Verdict::Unread("OpenDocument"),
        "pages" | "numbers" => Verdict::Unread("iWork"),
        "epub" | "mobi" | "azw3" => Verdict::Unread("e-book"),
        "rtf" => Verdict::Unread("RTF"),
        _ if ARCHIVES.contains(&extension.as_str()) => Verdict::Archive,
        _ if NO_PROSE.contains(&extension.as_str()) => Verdict::NoProse,
        _ => Verdict::Read,
    }
}

/// Why a document of a kind that isn't read is skipped.
pub(super) fn unread(kind: &str) -> String {
    format!("{kind} files aren't read; convert it to Markdown or text first")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_extension_whatever_its_case() {
        for (name, verdict) in [
            ("README", Verdict::Read),
            ("a/b.MD", Verdict::Read),
            ("notes.text", Verdict::Read),
            ("what.everelse", Verdict::Read),
            ("v1.2/README", Verdict::Read),
            ("pic.PNG", Verdict::NoProse),
            ("Cargo.lock", Verdict::NoProse),
            ("a.d/x.tar.gz", Verdict::Archive),
            ("report.pdf", Verdict::Unread("PDF")),
            ("deck.pptx", Verdict::Unread("PowerPoint")),
        ] {
            assert_eq!(kind(name), verdict, "{name}");
        }
    }

    #[test]
    fn a_star_stays_in_its_folder_and_a_bad_glob_says_why() {
        let filter = Filter::new(&["en/faq/*.md".into(), "**/x.rs".into()]).unwrap();
        for (name, taken) in [
            ("en/faq/a.md", true),
            ("en/faq/deep/a.md", false),
            ("other/en/faq/a.md", false),
            ("en/faq/a.txt", false),
            ("x.rs", true),
            ("deep/down/x.rs", true),
        ] {
            assert_eq!(filter.judge(name) == Verdict::Read, taken, "{name}");
            assert_eq!(filter.takes(name), taken, "{name}");
        }
        for glob in ["a[", "{a,b", "/etc/*", "../*.md"] {
            let message = Filter::new(&[glob.into()]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(message.contains(&format!("{glob:?}")) && message.contains("hint"), "{glob}: {message}");
        }
    }
}
