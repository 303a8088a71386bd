use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text without line feeds takes on a terminal.
pub fn width(text: &str) -> usize {
    // Most text is plain, and then a byte is a column.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) { text.len() } else { text.width() }
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
/// Breaks at white space, which is dropped there, and between ideographs; a word is split only when it is wider than a
/// whole row. Punctuation stays with the word it touches. The first row has `first` columns, for text that continues
/// behind other text.
pub fn wrap(text: &str, first: usize, columns: usize) -> Vec<Range<usize>> {
    let columns = columns.max(1);
    let mut rows = Vec::new();
    let mut room = first;
    // The row so far: where it starts, where its last visible word ends, and the columns used up to the next word.
    let (mut start, mut end, mut used) = (0, 0, 0);
    for word in words(text) {
        let blank = width(&text[end..word.start]);
        let columns_of_it = width(&text[word.clone()]);
        used += blank;
        if used + columns_of_it > room && (word.start > start || room < columns) {
            // Indentation that leaves no room for its word is dropped too.
            if end > start || room < columns {
                rows.push(start..end.max(start));
            }
            (start, used) = (word.start, 0);
            room = columns;
        }
        end = word.end;
        if columns_of_it <= room {
            used += columns_of_it;
            continue;
        }
        for (at, cluster) in text[word.clone()].grapheme_indices(true) {
            let at = word.start + at;
            let columns_of_it = cluster.width();
            if used + columns_of_it > room && at > start {
                rows.push(start..at);
                (start, used) = (at, 0);
                room = columns;
            }
            used += columns_of_it;
        }
    }
    rows.push(start..end.max(start));
    rows
}

/// The pieces that are not broken: what stands between white space, cut before and behind ideographs and the like.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = 0;
    let between_blanks = std::iter::from_fn(move || {
        let start = rest + text[rest..].find(|c: char| !c.is_whitespace())?;
        let end = text[start..].find(char::is_whitespace).map_or(text.len(), |at| start + at);
        rest = end;
        Some(start..end)
    });
    between_blanks.flat_map(|word| {
        // Only between wide letters may a word break, and looking for these takes long.
        let plain = text[word.clone()].is_ascii().then(|| word.clone());
        let others = plain.is_none().then(|| parts(&text[word.clone()]));
        let shifted = move |part: Range<usize>| part.start + word.start..part.end + word.start;
        plain.into_iter().chain(others.into_iter().flatten().map(shifted))
    })
}

/// The pieces of a text without white space.
fn parts(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut pieces = text.split_word_bound_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = pieces.next()?;
        let (mut end, mut last) = (start + first.len(), first);
        while let Some((at, next)) =
            pieces.next_if(|(_, next)| !(starts_word(next) && (is_wide(next) || is_wide(last))))
        {
            end = at + next.len();
            last = next;
        }
        Some(start..end)
    })
}

fn is_wide(piece: &str) -> bool {
    piece.chars().next_back().is_some_and(|c| c.width() == Some(2))
}

/// False for punctuation, which must not begin a row.
fn starts_word(piece: &str) -> bool {
    piece
        .starts_with(|c: char| c.is_alphanumeric() || (c.width() == Some(2) && !('\u{3000}'..='\u{303f}').contains(&c)))
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
        assert_eq!(rows("    indented", 9, 9), ["indented"]);
        assert_eq!(rows("supercalifragilistic word", 8, 8), ["supercal", "ifragili", "stic", "word"]);
        assert_eq!(rows("漢字漢字漢字", 5, 5), ["漢字", "漢字", "漢字"]);
        assert_eq!(rows("ab cd", 2, 10), ["ab", "cd"]);
        assert_eq!(rows("is told (here) [1], and", 9, 9), ["is told", "(here)", "[1], and"]);
        assert_eq!(rows("漢字、漢字abc", 5, 5), ["漢", "字、", "漢字", "abc"]);
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
