use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that a text without line feeds takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a one-line text to at most `columns`, with `…` where something was cut. Never splits a grapheme cluster.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut out = String::new();
    let mut used = 0;
    for cluster in text.graphemes(true) {
        let columns_of_it = cluster.width();
        if used + columns_of_it > columns - 1 {
            break;
        }
        out.push_str(cluster);
        used += columns_of_it;
    }
    out.push('…');
    out
}

/// Breaks one line of text into rows of at most `columns`: byte ranges of `text`, at least one.
///
/// Breaks where Unicode's word boundaries allow, drops the spaces at a break, and splits a word only when it is wider
/// than a whole row. The first row has `first` columns, for text that continues behind other text.
pub fn wrap(text: &str, first: usize, columns: usize) -> Vec<Range<usize>> {
    let columns = columns.max(1);
    let mut rows = Vec::new();
    let mut room = first;
    // The row so far: where it starts, where its last visible word ends, and the columns used up to `at`.
    let (mut start, mut end, mut used) = (0, 0, 0);
    let mut at = 0;
    for word in text.split_word_bounds() {
        let columns_of_it = word.width();
        let blank = word.chars().all(char::is_whitespace);
        if blank {
            used += columns_of_it;
            at += word.len();
            continue;
        }
        if used + columns_of_it > room && (end > start || room < columns) {
            rows.push(start..end.max(start));
            (start, end, used) = (at, at, 0);
            room = columns;
        }
        if columns_of_it > room {
            for cluster in word.graphemes(true) {
                let columns_of_it = cluster.width();
                if used + columns_of_it > room && at > start {
                    rows.push(start..at);
                    (start, used) = (at, 0);
                    room = columns;
                }
                used += columns_of_it;
                at += cluster.len();
                end = at;
            }
        } else {
            used += columns_of_it;
            at += word.len();
            end = at;
        }
    }
    rows.push(start..end.max(start));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, first: usize, columns: usize) -> Vec<&str> {
        wrap(text, first, columns).into_iter().map(|row| &text[row]).collect()
    }

    #[test]
    fn wraps_at_words_and_splits_only_what_is_too_wide() {
        assert_eq!(rows("the quick brown fox", 10, 10), ["the quick", "brown fox"]);
        assert_eq!(rows("", 10, 10), [""]);
        assert_eq!(rows("  indented text", 12, 12), ["  indented", "text"]);
        assert_eq!(rows("supercalifragilistic word", 8, 8), ["supercal", "ifragili", "stic", "word"]);
        assert_eq!(rows("漢字漢字漢字", 5, 5), ["漢字", "漢字", "漢字"]);
        assert_eq!(rows("ab cd", 2, 10), ["ab", "cd"]);
        assert_eq!(rows("long start", 3, 20), ["", "long start"]);
        assert_eq!(rows("👩\u{200d}👩\u{200d}👧👩\u{200d}👩\u{200d}👧", 2, 2).len(), 2);
    }

    #[test]
    fn no_row_is_wider_than_asked_and_nothing_but_spaces_is_lost() {
        let text =
            "A fairly long line, with punctuation; e\u{301}accents, 漢字 and a https://example.org/very/long/path.";
        for columns in 2..40 {
            let rows = rows(text, columns, columns);
            assert!(rows.iter().all(|row| width(row) <= columns), "{columns}: {rows:?}");
            let squeeze = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(squeeze(&rows.concat()), squeeze(text));
        }
    }

    #[test]
    fn fit_marks_what_it_cut() {
        assert_eq!(fit("hello", 5), "hello");
        assert_eq!(fit("hello!", 5), "hell…");
        assert_eq!(fit("漢字漢", 4), "漢…");
        assert_eq!(fit("x", 0), "");
    }
}
