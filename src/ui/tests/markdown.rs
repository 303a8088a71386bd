use insta::assert_snapshot;
use proptest::prelude::*;
use ratatui::text::Line;

use crate::ui::Theme;
use crate::ui::markdown::Markdown;

fn rendered(text: &str, width: usize) -> Markdown {
    let mut markdown = Markdown::new(width, 3, Theme::default());
    markdown.update(text, true);
    markdown
}

fn plain(rows: &[Line<'_>]) -> String {
    rows.iter().map(|row| row.to_string().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

const SAMPLE: &str = "\
# A heading
Some *emphasised*, **strong** and `literal [1]` text with a citation [1] and a [link](https://example.org/x) in it.
Still the same paragraph [1][9].

1. first item that is long enough to need more than one row of text
2. second

   its second paragraph
   - nested
     ```sh
     cargo run --release -- ingest ~/documents --glob '*.md'   # a line too long for the width
     ```
3. [x] third

> quoted **text**
> - with a list

| metric | direction | meaning of the number |
|:--|:-:|--:|
| ip | larger is nearer | inner product, equal to the cosine for vectors of length one |
| l2 | smaller | distance |

***
[1]: this is no definition
<div>html & more</div>

    indented code

Setext
---
last line";

#[test]
fn every_kind_of_block() {
    assert_snapshot!("markdown_60", plain(rendered(SAMPLE, 60).rows()));
    assert_snapshot!("markdown_24", plain(rendered(SAMPLE, 24).rows()));
}

#[test]
fn unknown_citations_are_marked_and_literals_are_none() {
    let markdown = rendered("a[1][9]. `b[8]` [2, 5] [x] [](y) [0] [99999999999]\n\n    [6]\n", 80);
    let expected = "a[1][9?]. b[8] [2, 5?] [x]  (y) [0?] [99999999999]\n\n─ code\n  [6]";
    assert_eq!(plain(markdown.rows()), expected);
    assert_eq!(markdown.unknown_citations().iter().copied().collect::<Vec<_>>(), [0, 5, 9]);
}

#[test]
fn blocks_of_code_are_told_apart_and_so_are_lines_and_rows() {
    let text = "```rust,ignore\nlet one = a_long_name();\n\n```\n```\nlast()\n```\n- ```&#27;[31mpy\n  x\n  ```\n";
    let expected = "─ rust\n  let one = a_\n↪ long_name();\n\n─ code\n  last()\n\n• ─ [31mpy\n    x";
    assert_eq!(plain(rendered(text, 14).rows()), expected);
}

#[test]
fn footnotes_keep_their_lines() {
    let text = "It is so[^1], or so[^b].\n\n[^1]: The first, which\ngoes on.\n[^b]: The second.\n> quoted\n> [^3]: third\nand [^1] again\n";
    let expected = "It is so[^1], or so[^b].\n\n[^1]: The first, which goes on.\n[^b]: The second.\n\n│ quoted\n│ [^3]: third and [^1] again";
    assert_eq!(plain(rendered(text, 60).rows()), expected);
}

/// Lines that mean something to a Markdown parser, in any order.
fn texts() -> impl Strategy<Value = String> {
    let line = proptest::sample::select(vec![
        "",
        "",
        "word",
        "two words [1]",
        "[4] cited",
        "- item",
        "- ",
        "* other",
        "1. one",
        "2. two",
        "   indented",
        "    deep",
        "  - nested",
        "```",
        "```rust",
        "~~~",
        "> quote",
        ">",
        "# heading",
        "===",
        "---",
        "***",
        "| a | b |",
        "|---|---|",
        "| 漢字 | `x` |",
        "[1]: http://x",
        "[^1]: note",
        "[^1",
        "[1]",
        "[t](u)",
        "![p](q)",
        "<div>",
        "</div>",
        "<!-- c",
        "-->",
        "**bo",
        "ld** `co",
        "de`",
        "\\",
        "hard  ",
        "&#27;[2J",
        "e\u{301}👩\u{200d}👩\u{200d}👧漢字",
        "\t tab",
        "- [ ] task",
        "* * *",
        "<http://[::1]:80/>",
        "a\r",
        "averyveryverylongwordwithoutanyspaces",
        "> - in quote",
        "  lazy",
        "+",
        "2.",
        "<br>",
        "a | b",
        "--|--",
    ]);
    proptest::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_row_is_wider_than_asked(text in texts(), width in 4_usize..70) {
        for row in rendered(&text, width).rows() {
            prop_assert!(row.width() <= width, "{width}: {row:?}");
        }
    }

    /// However a text comes in, the rows are those of the text as far as it is shown, and at the end those of all of it.
    #[test]
    fn a_grown_text_equals_one_that_came_at_once(
        text in texts(), steps in proptest::collection::vec(1_usize..9, 1..20),
    ) {
        let mut growing = Markdown::new(30, 3, Theme::default());
        let mut end = 0;
        for step in steps.iter().cycle() {
            end = text.ceil_char_boundary((end + step).min(text.len()));
            growing.update(&text[..end], false);
            let whole = rendered(&text[..growing.seen()], 30);
            prop_assert_eq!(growing.rows(), whole.rows(), "{:?}", &text[..growing.seen()]);
            prop_assert_eq!(growing.unknown_citations(), whole.unknown_citations());
            if end == text.len() {
                break;
            }
        }
        growing.update(&text, true);
        let whole = rendered(&text, 30);
        prop_assert_eq!(growing.rows(), whole.rows());
    }
}
