//! Keyword search: a person's words as a query of the full text index, ranked by BM25.
//!
//! What is typed never becomes syntax: only letters, digits and accents are kept, each word in quotes, joined by OR.

use std::{borrow::Cow, cmp::Ordering};

use rusqlite::Connection;

use super::Fault;
use crate::domain::{ChunkId, Hit};

/// How much an occurrence in the heading path and in the text counts. Measured with heading weights of .5 to 3 on
/// SciFact (its titles as headings; nDCG@10 .686 to .693) and on questions about the Milvus manual (MRR .512 to .529,
/// best at 1): no gain beyond chance on either, so equal. Likewise for leaving out English stop words.
const HEADING_WEIGHT: f64 = 1.0;
const TEXT_WEIGHT: f64 = 1.0;

/// A question has fewer different words; what is pasted by mistake may have thousands.
const MAX_WORDS: usize = 64;

/// BM25's k1 in SQLite: no word adds more than its weight times `K1 + 1` to a score.
const K1: f64 = 1.2;

/// The least weight that SQLite gives a word, which it does when more than half of the chunks hold it.
const LEAST_IDF: f64 = 1e-6;

/// Chinese and Japanese put no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

/// A text as it is indexed: every character of a script without spaces is a word of its own.
pub fn spaced(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unspaced) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        out.push(c);
        if is_unspaced(c) {
            // Also in front, where a letter of another script may stand: "Milvus向量".
            out.insert(out.len() - c.len_utf8(), ' ');
            out.push(' ');
        }
    }
    Cow::Owned(out)
}

/// The different words of a text, lower case, in order. Splits where the index's tokenizer splits: at whatever is no
/// letter, no digit and no accent on the letter before. Of a script without spaces each two neighbours are a phrase.
fn words(text: &str) -> Vec<String> {
    let is_accent = |c: char| ('\u{300}'..='\u{36f}').contains(&c);
    let mut all: Vec<String> = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric() && !is_accent(c)) {
        let mut rest = run;
        while let Some(first) = rest.chars().next() {
            let unspaced = is_unspaced(first);
            let end = rest.find(|c| is_unspaced(c) != unspaced).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(end);
            let characters: Vec<char> = part.chars().collect();
            if unspaced && characters.len() > 1 {
                all.extend(
                    characters.windows(2).map(|pair| pair.iter().map(char::to_string).collect::<Vec<_>>().join(" ")),
                );
            } else {
                all.push(part.to_owned());
            }
            rest = behind;
        }
    }
    let mut words: Vec<String> = Vec::new();
    for word in all {
        if words.len() == MAX_WORDS {
            break;
        }
        let word = word.to_lowercase();
        if word.contains(char::is_alphanumeric) && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The `limit` best chunks for the words of `query`, best first, ties by id. In a collection of more than `few` chunks
/// a word that is in most of them adds nothing to a score, instead of next to nothing.
pub fn search(conn: &Connection, query: &str, limit: usize, few: u64) -> Result<Vec<Hit>, Fault> {
    let words = words(query);
    if words.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let chunks = conn.query_row("SELECT count(*) FROM chunks", (), |row| row.get::<_, i64>(0))?.unsigned_abs();
    let rows = if chunks > few {
        best_of_many(conn, &words, limit, chunks)?
    } else {
        keep_best(ranked(conn, &any_of(&words), 1.0)?, limit)
    };
    let mut id_of = conn.prepare_cached("SELECT id FROM chunks WHERE seq = ?")?;
    let mut hits = Vec::with_capacity(rows.len());
    for (score, seq) in rows {
        let key: i64 = id_of.query_row([seq], |row| row.get(0))?;
        let id = ChunkId::from_key(key).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, key))?;
        hits.push(Hit { id, score });
    }
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    hits.truncate(limit);
    Ok(hits)
}

/// Score and number of a row.
type Scored = (f32, i64);

/// What [`ranked`] over all words gives, by looking at the rows that hold a rare word only (after MaxScore: Turtle and
/// Flood, Query evaluation: strategies and optimizations, 1995).
///
/// Counting the rows of a word is quick, scoring them is not. So the rarest words choose the rows and all words score
/// them; when the last wanted row scores more than the frequent words could ever give together, no other row can come
/// before it. If not, that row's score says how many more words must take part in the choice, and the second round is
/// final. A word that is in more than half of the chunks adds about nothing to a score and takes part only where the
/// others do not find enough.
fn best_of_many(conn: &Connection, words: &[String], limit: usize, chunks: u64) -> Result<Vec<Scored>, Fault> {
    let mut count = conn.prepare_cached("SELECT count(*) FROM passages WHERE passages MATCH ?")?;
    let mut known: Vec<(i64, &String)> = Vec::new();
    for word in words {
        let rows = count.query_row([any_of([word])], |row| row.get(0))?;
        if rows > 0 {
            known.push((rows, word));
        }
    }
    known.sort_unstable();
    let most_a_word_adds = |rows: i64| {
        let idf = ((chunks as f64 - rows as f64 + 0.5) / (rows as f64 + 0.5)).ln().max(LEAST_IDF);
        idf * (K1 + 1.0)
    };
    let telling = known.partition_point(|(rows, _)| (*rows as f64) < chunks as f64 / 2.0);
    let (telling, _) = known.split_at(telling);
    let words_of = |known: &[(i64, &String)]| any_of(known.iter().map(|(_, word)| *word));

    let enough = (10 * limit).max(1_000) as i64;
    let mut sum = 0;
    let mut choosing = telling.iter().take_while(|(rows, _)| (sum < enough, sum += rows).0).count();
    while choosing > 0 {
        let (rare, frequent) = telling.split_at(choosing);
        let rows = if frequent.is_empty() {
            ranked(conn, &words_of(rare), 1.0)?
        } else {
            // Every word must occur twice in the query, since those that choose do: the sum is then twice the score.
            let (rare, frequent) = (words_of(rare), words_of(frequent));
            ranked(conn, &format!("({rare}) AND ({rare} OR {frequent} OR {frequent})"), 0.5)?
        };
        let best = keep_best(rows, limit);
        if best.len() < limit && frequent.is_empty() {
            break;
        }
        let last = if best.len() < limit { 0.0 } else { best.iter().map(|(score, _)| *score).fold(f32::MAX, f32::min) };
        let mut others_add = 0.0;
        let choosing_next = telling
            .iter()
            .rposition(|(rows, _)| {
                others_add += most_a_word_adds(*rows);
                others_add >= f64::from(last)
            })
            .map_or(0, |last_that_chooses| last_that_chooses + 1);
        if choosing_next <= choosing {
            return Ok(best);
        }
        choosing = choosing_next;
    }
    Ok(keep_best(ranked(conn, &any_of(words), 1.0)?, limit))
}

fn any_of<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("\"{}\"", word.as_ref())).collect();
    quoted.join(" OR ")
}

/// All rows that match, scored, in no order.
fn ranked(conn: &Connection, expression: &str, scale: f64) -> Result<Vec<Scored>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT -bm25(passages, ?1, ?2), rowid FROM passages WHERE passages MATCH ?3")?;
    let rows = statement.query_map((HEADING_WEIGHT, TEXT_WEIGHT, expression), |row| {
        Ok(((row.get::<_, f64>(0)? * scale) as f32, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The `limit` best rows and all that tie with the last of them, in no order.
fn keep_best(mut rows: Vec<Scored>, limit: usize) -> Vec<Scored> {
    if rows.len() > limit {
        let better = |a: &Scored, b: &Scored| -> Ordering { b.0.total_cmp(&a.0) };
        let (_, &mut (last, _), _) = rows.select_nth_unstable_by(limit - 1, better);
        rows.retain(|(score, _)| *score >= last);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_spaces_is_searched_by_pairs() {
        assert_eq!(words("Where's the Café? the"), ["where", "s", "the", "café"]);
        assert_eq!(words("Milvus向量数据库 2.4 库"), ["milvus", "向 量", "量 数", "数 据", "据 库", "2", "4", "库"]);
        assert_eq!(spaced("plain"), "plain");
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE VIRTUAL TABLE t USING fts5 (text, tokenize = 'porter unicode61 remove_diacritics 2')",
        )
        .unwrap();
        conn.execute("INSERT INTO t VALUES (?)", [spaced("关于Milvus向量数据库的说明。")]).unwrap();
        let found = |query: &str| {
            let sql = "SELECT count(*) FROM t WHERE t MATCH ?";
            conn.query_row(sql, [any_of(words(query))], |row| row.get::<_, i64>(0)).unwrap() == 1
        };
        assert!(found("向量") && found("数据库") && found("milvus") && found("的"));
        assert!(!found("量向") && !found("库数"), "the order counts");
    }
}
