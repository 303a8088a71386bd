use std::cell::Cell;

use proptest::prelude::*;

use super::{
    pack::{MAX_CODE_TOKENS, MAX_TOKENS, MIN_TOKENS, measure},
    *,
};
use crate::{domain::Chunk, text::LineIndex};

/// A token is a character: short texts reach the limits, and lengths add up exactly.
fn characters(text: &str) -> usize {
    text.chars().count()
}

fn markdown(text: &str) -> Vec<Chunk> {
    chunk("a.md", text, &Chunker::Markdown, &characters)
}

/// Heading path and text of each chunk.
fn shape(chunks: &[Chunk]) -> Vec<(String, &str)> {
    chunks.iter().map(|chunk| (chunk.heading.join(" > "), chunk.text.as_str())).collect()
}

#[test]
fn sections_become_chunks_under_their_heading_path() {
    for (text, expected) in [
        ("", &[][..]),
        ("\n \n", &[]),
        ("Just words.", &[("", "Just words.")]),
        (
            "# FAQ\n\n<!-- TOC -->\n\n#### How much?\n\nNothing.\n\n#### Where?\n\nHere.\n",
            &[
                ("FAQ > How much?", "# FAQ\n\n<!-- TOC -->\n\n#### How much?\n\nNothing."),
                ("FAQ > Where?", "#### Where?\n\nHere."),
            ],
        ),
        (
            "# A\na\n## B\nb\n### C\nc\n## D\nd\n# E\ne",
            &[("A", "# A\na"), ("A > B", "## B\nb"), ("A > B > C", "### C\nc"), ("A > D", "## D\nd"), ("E", "# E\ne")],
        ),
        ("Title\n=====\n\nx\n\nSub\n---\ny", &[("Title", "Title\n=====\n\nx"), ("Title > Sub", "Sub\n---\ny")]),
        ("# A\n```sh\n# not a heading\n```\n", &[("A", "# A\n```sh\n# not a heading\n```")]),
        ("# A\n\n    # nor this\n", &[("A", "# A\n\n    # nor this")]),
        ("> # quoted\n> x\n\n- # listed", &[("", "> # quoted\n> x\n\n- # listed")]),
        (
            "# *The* `code` [link](http://x.y) ![pic](z.png) <a id=\"q\"></a>&amp; more {#anchor}\n\nx",
            &[(
                "The code link pic & more",
                "# *The* `code` [link](http://x.y) ![pic](z.png) <a id=\"q\"></a>&amp; more {#anchor}\n\nx",
            )],
        ),
        ("# Use {name} now {x}\n\ny", &[("Use {name} now {x}", "# Use {name} now {x}\n\ny")]),
        ("---\nid: a\ntitle: \"The page\"\n---\n\n## B\nb", &[("The page > B", "## B\nb")]),
        ("---\ntitle: T\n---\n# H\nh", &[("H", "# H\nh")]),
        ("+++\ntitle = 'T'\n+++\nx", &[("T", "x")]),
        ("---\r\ntitle: T\r\n---\r\nx\r\n", &[("T", "x")]),
        ("---\n\nno front matter\n\n---\n\nx", &[("", "---\n\nno front matter\n\n---\n\nx")]),
        ("---\nid: only\n---\n", &[]),
        ("![badge](a.svg)\n\nv1\n\n# A\na", &[("A", "![badge](a.svg)\n\nv1\n\n# A\na")]),
        ("# A\na\n## See also\n", &[("A", "# A\na"), ("A > See also", "## See also")]),
        (
            "[a]: http://x.y\n\n# A\na [a]\n\n[b]: z.md 'Zed'\n",
            &[("A", "[a]: http://x.y\n\n# A\na [a]\n\n[b]: z.md 'Zed'")],
        ),
        ("# A\na\n## B\n## C\n", &[("A", "# A\na"), ("A", "## B\n## C")]),
        ("\n    code\n", &[("", "    code")]),
        ("[a]: http://x.y", &[("", "[a]: http://x.y")]),
        ("# A\na\n#\n\nx", &[("A", "# A\na"), ("", "#\n\nx")]),
    ] {
        let chunks = markdown(text);
        let shape = shape(&chunks);
        let shape: Vec<(&str, &str)> = shape.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        assert_eq!(shape, expected, "{text:?}");
    }
}

#[test]
fn other_text_has_paragraphs_and_no_headings() {
    let text = format!("# no heading here\nsecond line\n\n{}\n\nlast", "word ".repeat(76));
    let chunks = chunk("a.txt", &text, &Chunker::Markdown, &characters);
    assert_eq!(chunks.len(), 2);
    assert!(chunks.iter().all(|chunk| chunk.heading.is_empty()));
    assert_eq!((chunks[0].lines, chunks[1].lines), ((1, 2), (4, 6)));
    assert_eq!(chunk("README", "# H\nx", &Chunker::Markdown, &characters)[0].heading, ["H"]);
}

#[test]
fn long_sections_are_filled_evenly_and_cut_where_the_text_allows() {
    let sentence = "This sentence is exactly fifty characters long ok. ";
    // Nine paragraphs of about 50 in one section: two equal chunks, not a full one and a crumb.
    let text = format!("# Long\n\n{}", format!("{sentence}\n\n").repeat(9));
    let chunks = markdown(&text);
    let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.tokens as usize).collect();
    assert!(lengths.len() == 2 && lengths.iter().all(|n| (MIN_TOKENS..=MAX_TOKENS).contains(n)), "{lengths:?}");
    assert!(chunks.iter().all(|chunk| chunk.heading == ["Long"] && chunk.text.ends_with("ok.")));

    // One paragraph, beyond the limit: cut behind sentences, its lines' ends notwithstanding.
    let paragraph = sentence.repeat(20).replace(" exactly", "\nexactly");
    for chunk in markdown(&paragraph) {
        assert!(chunk.text.starts_with("This sentence") && chunk.text.ends_with("ok."), "{:?}", chunk.text);
    }
    // Lists between items, with the bullet; tables between rows; code between lines, but only beyond its own limit.
    for text in [
        format!("- {sentence}\n\n").repeat(21),
        format!("1. x\n   - {sentence}\n").repeat(21),
        format!("| a | b |\n|---|---|\n{}", format!("| {sentence} | x |\n").repeat(20)),
    ] {
        let chunks = markdown(&text);
        assert!(chunks.len() >= 3, "{chunks:?}");
        for chunk in chunks {
            let whole = |line: &str| text.lines().any(|own| own.trim_end() == line.trim_end());
            assert!(chunk.text.lines().all(whole), "{:?}", chunk.text);
        }
    }
    let fence = |lines| format!("# A\n\nRun this:\n\n```sh\n{}```\n", "make all the things now\n".repeat(lines));
    assert_eq!(markdown(&fence(22)).len(), 1, "whole, with what leads in to it");
    let cut = markdown(&fence(40));
    assert!(cut.len() == 2 && cut[0].text.starts_with("# A") && cut[1].text.starts_with("make all"), "{cut:?}");
    let endless = markdown(&format!("# {}\n\nx", "word ".repeat(1_000)));
    assert!(endless.len() > 10 && endless.iter().all(|chunk| chunk.heading[0].len() < 210));
    // No place to cut at all.
    assert!(markdown(&"漢".repeat(3_000)).len() >= 7);
}

#[test]
fn urls_are_not_counted() {
    for (text, counted) in [
        ("see https://example.org/a/b?c=d, ok", "see  ok"),
        ("see [the docs](../a/b_(c).md) now", "see [the docs]() now"),
        ("![p](data:image/png;base64,AAAA) x", "![p]() x"),
        ("<img src=\"data:image/png;base64,AAAA\">", "<img src=\"\">"),
        ("[t](u \"title\") <http://x.y> (ftp://z)", "[t]( \"title\") <> ()"),
        ("a data: point, b ](", "a data: point, b ]("),
        ("nothing here", "nothing here"),
    ] {
        assert_eq!(
            measure(text, &|text| {
                assert_eq!(text, counted);
                7
            }),
            7
        );
    }
    let blob = format!("![p](data:image/png;base64,{}) and words", "QUJD".repeat(5_000));
    let chunks = markdown(&blob);
    assert_eq!((chunks.len(), chunks[0].tokens), (1, 16));
}

#[test]
fn no_text_makes_an_endless_chunk() {
    // A tokenizer that calls whatever it does not know one token, and a picture inside a link.
    let one_token = |text: &str| text.split_whitespace().count();
    let word = "a".repeat(200_000);
    let picture = format!("![](data:image/png;base64,{})", "A".repeat(200_000));
    for text in [word, picture] {
        let chunks = chunk("a.md", &text, &Chunker::Markdown, &one_token);
        assert!(chunks.iter().all(|chunk| chunk.text.len() <= 32 << 10), "{}", chunks.len());
        assert_eq!(chunks.iter().map(|chunk| chunk.text.len()).sum::<usize>(), text.len());
    }
}

#[test]
fn split_is_pythons_split() {
    let split = |text: &str, separator: &str| {
        let chunks = chunk("a.md", text, &Chunker::Split(separator.to_owned()), &characters);
        assert!(chunks.iter().all(|chunk| chunk.heading.is_empty() && text[chunk.bytes.clone()] == chunk.text));
        chunks.into_iter().map(|chunk| chunk.text).collect::<Vec<_>>()
    };
    assert_eq!(
        split("---\nid: a\n---\n\n# A\n\na\n\n## B\nb\n", "# "),
        ["---\nid: a\n---\n\n", "A\n\na\n\n#", "B\nb\n"]
    );
    assert_eq!(split("aaa", "aa"), ["a"]);
    assert_eq!(split("# # \n# x", "# "), ["x"]);
    assert_eq!(split("", "# "), [] as [&str; 0]);
}

#[test]
fn ids_depend_on_name_place_heading_and_text_alone() {
    let id = |name: &str, text: &str| chunk(name, text, &Chunker::Markdown, &characters).last().unwrap().id;
    let base = id("a.md", "# H\nx");
    assert_eq!(base, id("a.md", "# H\nx"));
    let others = [id("b.md", "# H\nx"), id("a.md", "\n# H\nx"), id("a.md", "# H\ny"), id("a.txt", "# H\nx")];
    assert!(others.iter().all(|other| *other != base), "{others:?}");
    // Known for good: a change here is a new chunker version.
    assert_eq!(base.to_string(), "265c119dba105e43");
}

#[test]
fn counting_is_linear() {
    let sentence = "Some words that make a sentence of common length. ";
    let blocks = format!("{}\n\n", sentence.repeat(4)).repeat(1_000);
    for (text, times) in [(blocks, 1.0), (sentence.repeat(8_000), 6.0), ("x".repeat(400_000), 6.0)] {
        let (counted, longest) = (Cell::new(0), Cell::new(0));
        let count = |part: &str| {
            counted.set(counted.get() + part.len());
            longest.set(longest.get().max(part.len()));
            part.len().div_ceil(4)
        };
        let chunks = chunk("a.md", &text, &Chunker::Markdown, &count);
        assert!(chunks.len() >= text.len() / 4 / MAX_TOKENS);
        assert!(counted.get() as f64 <= text.len() as f64 * times, "{} of {}", counted.get(), text.len());
        assert!(longest.get() < 30_000, "a whole document is never counted at once");
    }
}

/// Whatever the document: chunks are its own text, in order, apart, and leave nothing out.
fn check_chunks(name: &str, text: &str) -> Result<(), TestCaseError> {
    let chunks = chunk(name, text, &Chunker::Markdown, &characters);
    let lines = LineIndex::new(text);
    let mut behind = 0;
    for (ordinal, chunk) in chunks.iter().enumerate() {
        prop_assert_eq!(chunk.ordinal as usize, ordinal);
        prop_assert_eq!(&text[chunk.bytes.clone()], &chunk.text);
        prop_assert_eq!(lines.lines(&chunk.bytes), chunk.lines);
        prop_assert!(!chunk.text.trim().is_empty());
        let left_out = &text[behind..chunk.bytes.start];
        let front_matter = ordinal == 0 && (left_out.starts_with("---") || left_out.starts_with("+++"));
        prop_assert!(front_matter || left_out.trim().is_empty(), "left out: {:?}", left_out);
        prop_assert!(chunk.tokens as usize <= MAX_CODE_TOKENS, "{} tokens: {:?}", chunk.tokens, chunk.text);
        behind = chunk.bytes.end;
    }
    prop_assert!(chunks.is_empty() || text[behind..].trim().is_empty(), "left out: {:?}", &text[behind..]);
    let mut ids: Vec<_> = chunks.iter().map(|chunk| chunk.id).collect();
    ids.sort();
    ids.dedup();
    prop_assert_eq!(ids.len(), chunks.len());
    Ok(())
}

/// A document of likely and unlikely pieces, joined in any order.
fn documents() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "# One\n",
        "## Two {#two}\n",
        "#### Four\n\n",
        "Set\n===\n",
        "Sub\n---\n",
        "---\n",
        "+++\n",
        "title: x\n",
        "\n",
        "\n\n",
        "\r\n",
        "```sh\n",
        "```\n",
        "~~~~\n",
        "    code\n",
        "- item\n",
        "  - nested\n",
        "1. one\n",
        "> quote\n",
        "| a | b |\n",
        "|---|---|\n",
        "<div>\n",
        "</div>\n",
        "<!-- c\n",
        "-->\n",
        "[x]: http://y.z\n",
        "![](a.png)\n",
        "[l](b.md)",
        "Lead in:\n\n",
        "\t",
        " ",
        "\u{3000}",
    ]);
    let long = ("[ -~äé漢🙂\n]{0,30}", 1..40_usize).prop_map(|(text, times)| text.repeat(times));
    prop::collection::vec(prop_oneof![3 => fixed.prop_map(str::to_owned), 2 => long, 1 => any::<String>()], 0..30)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled(text in documents()) {
        check_chunks("a.md", &text)?;
        check_chunks("a.txt", &text)?;
    }

    #[test]
    fn bytes_give_text_or_a_reason(bytes in any::<Vec<u8>>()) {
        if let Ok(text) = extract::text(&bytes, 1_000) {
            check_chunks("a.md", &text)?;
        }
    }
}
