//! The answer where no model is configured: the passages' sentences nearest to the question, quoted to the letter.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use unicode_segmentation::UnicodeSegmentation;

use super::{RagError, project::embed};
use crate::{
    domain::{Chunk, Metric, Passage, Scores},
    embed::{Embedder, Role},
};

/// The name that stands where a model's name would.
pub const LABEL: &str = "quoted from the passages (no model configured)";

/// Most sentences that are quoted.
const MOST: usize = 4;
/// Most sentences that are compared: a bound on the time it takes.
const CANDIDATES: usize = 48;
/// Texts that are embedded between two looks whether the answer is still wanted.
const BATCH: usize = 32;
/// A sentence is quoted only when its score is at least this part of the best one's.
const NEAR: f32 = 0.75;
/// However good its place, a sentence must be at least this part as like the question as the likest one.
const LIKE: f32 = 0.4;
/// How much a sentence gains by standing in the best passage, beside a likeness of 0 to 1; others gain in proportion
/// to their passage's score.
const PASSAGE_PRIOR: f32 = 0.4;
/// How much the first sentence of a passage gains: writers answer first and explain then. The n-th gains 1/n of it.
const LEAD_PRIOR: f32 = 0.2;

/// A sentence of a passage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sentence {
    text: String,
    /// Rank of its passage.
    passage: u32,
    /// Its place in the passage, from 1.
    place: u32,
    /// The innermost heading above it: what a sentence is about is often said only there.
    heading: String,
}

impl Sentence {
    /// All that a chunk says, as if it was one.
    pub(super) fn whole(chunk: &Chunk) -> Self {
        let heading = chunk.heading.last().cloned().unwrap_or_default();
        Self { text: chunk.text.clone(), passage: 0, place: 1, heading }
    }
}

/// The answer as Markdown: quoted sentences in the order of their passages, each with its citation.
///
/// # Errors
/// When the embedding model fails.
pub async fn answer(
    embedder: Option<&Arc<dyn Embedder>>,
    passages: &[Passage],
    question: &str,
) -> Result<String, RagError> {
    if passages.is_empty() {
        return Ok("No passage of this collection matches the question.".to_owned());
    }
    let sentences: Vec<Sentence> =
        passages.iter().flat_map(|passage| sentences(&passage.chunk, passage.rank)).take(CANDIDATES).collect();
    if sentences.is_empty() {
        return Ok("The passages found hold no sentences to quote; read them beside this answer.".to_owned());
    }
    let likeness = likeness(embedder, &sentences, question).await?;
    let worth = worth(&passages.iter().map(|passage| passage.scores).collect::<Vec<_>>());
    let scores: Vec<f32> = likeness
        .iter()
        .zip(&sentences)
        .map(|(likeness, sentence)| {
            let passage = worth.get(sentence.passage as usize - 1).copied().unwrap_or(0.0);
            likeness + PASSAGE_PRIOR * passage + LEAD_PRIOR / sentence.place as f32
        })
        .collect();
    let most = |values: &[f32]| values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (best, likest) = (most(&scores), most(&likeness));
    let fits = |&i: &usize| scores[i] >= best * NEAR && likeness[i] >= likest * LIKE;
    let mut chosen: Vec<usize> = (0..sentences.len()).filter(fits).collect();
    chosen.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    chosen.truncate(MOST);
    chosen.sort_unstable();
    let quotes: Vec<String> =
        chosen.iter().map(|&i| format!("> {} [{}]", sentences[i].text, sentences[i].passage)).collect();
    Ok(quotes.join("\n\n"))
}

/// The sentence of a chunk that is likest the question: a byte range of its text. Likest is the greatest cosine of the
/// two by the model; without one, the greatest part of the question's words, the rarer ones weighing more. `None` where
/// the chunk holds no sentences, or where none has any of the words.
///
/// # Errors
/// When the embedding model fails.
pub async fn best_sentence(
    embedder: Option<&Arc<dyn Embedder>>,
    chunk: &Chunk,
    question: &str,
) -> Result<Option<Range<usize>>, RagError> {
    let mut sentences = sentences(chunk, 1);
    sentences.truncate(CANDIDATES);
    let likeness = likeness(embedder, &sentences, question).await?;
    let likest = likeness.iter().zip(&sentences).filter(|(likeness, _)| **likeness > 0.0);
    // The first of those that are alike.
    let likest = likest.reduce(|best, other| if other.0 > best.0 { other } else { best });
    Ok(likest.and_then(|(_, sentence)| find(&chunk.text, &sentence.text)))
}

/// Where a sentence stands in a text, however its words are spaced and broken into lines there.
fn find(text: &str, sentence: &str) -> Option<Range<usize>> {
    let letters = |text| str::char_indices(text).filter(|(_, c)| !c.is_whitespace());
    letters(text).find_map(|(start, _)| {
        let mut here = letters(&text[start..]);
        let mut end = start;
        for (_, wanted) in letters(sentence) {
            let (at, _) = here.next().filter(|(_, c)| *c == wanted)?;
            end = start + at + wanted.len_utf8();
        }
        Some(start..end)
    })
}

/// How like the question each sentence is.
async fn likeness(
    embedder: Option<&Arc<dyn Embedder>>,
    sentences: &[Sentence],
    question: &str,
) -> Result<Vec<f32>, RagError> {
    match embedder {
        Some(embedder) => by_meaning(embedder, sentences, question).await,
        None => Ok(by_words(sentences, question)),
    }
}

/// Each passage's score as a part of the best one's, 0 to 1, by the score that ranked them; in the order of the passages.
pub(super) fn worth(ranked: &[Scores]) -> Vec<f32> {
    // Of distances the smaller ones are better: there the rank says how good.
    let dense = |scores: &Scores| scores.dense.filter(|_| scores.metric != Metric::L2);
    let score = |scores: &Scores| scores.rerank.or(scores.fused).or(dense(scores)).or(scores.keyword);
    let best = ranked.iter().filter_map(score).fold(0.0, f32::max);
    ranked
        .iter()
        .zip(1_u16..)
        .map(|(scores, rank)| match score(scores) {
            Some(score) if best > 0.0 => (score / best).clamp(0.0, 1.0),
            _ => 1.0 / f32::from(rank),
        })
        .collect()
}

/// Cosine of each sentence with the question.
pub(super) async fn by_meaning(
    embedder: &Arc<dyn Embedder>,
    sentences: &[Sentence],
    question: &str,
) -> Result<Vec<f32>, RagError> {
    let mut texts: Vec<String> = vec![question.to_owned()];
    texts.extend(sentences.iter().map(|sentence| format!("{}\n{}", sentence.heading, sentence.text)));
    let mut vectors = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        vectors.extend(embed(embedder, Role::Query, batch.to_vec()).await?);
    }
    let Some((question, rest)) = vectors.split_first() else { return Ok(vec![0.0; sentences.len()]) };
    Ok(rest.iter().map(|vector| vector.iter().zip(question).map(|(a, b)| a * b).sum()).collect())
}

/// The part of the question's words that a sentence has, each word weighing more the fewer sentences have it; 0 to 1.
fn by_words(sentences: &[Sentence], question: &str) -> Vec<f32> {
    // "is", "to" and "do" say nothing, and a few sentences are too few to learn that from.
    let says_something = |word: &&str| word.chars().nth(2).is_some() || !word.is_ascii();
    let words = |text: &str| text.unicode_words().filter(says_something).map(str::to_lowercase).collect::<HashSet<_>>();
    let of_sentences: Vec<HashSet<String>> = sentences.iter().map(|sentence| words(&sentence.text)).collect();
    let total = sentences.len() as f32;
    let weights: HashMap<String, f32> = words(question)
        .into_iter()
        .map(|word| {
            let having = of_sentences.iter().filter(|of| of.contains(&word)).count() as f32;
            // Robertson and Sparck Jones' weight, as in BM25.
            let weight = ((total - having + 0.5) / (having + 0.5)).ln_1p();
            (word, weight)
        })
        .collect();
    let sum: f32 = weights.values().sum::<f32>().max(f32::EPSILON);
    of_sentences
        .iter()
        .map(|of| weights.iter().filter(|(word, _)| of.contains(*word)).map(|(_, weight)| weight).sum::<f32>() / sum)
        .collect()
}

/// The prose sentences of the passage of that rank: no headings, fences, tables, list marks or rules.
pub(super) fn sentences(chunk: &Chunk, passage: u32) -> Vec<Sentence> {
    let mut paragraphs: Vec<String> = vec![String::new()];
    let mut fenced = false;
    for line in chunk.text.lines() {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            fenced = !fenced;
            paragraphs.push(String::new());
            continue;
        }
        let no_prose = fenced
            || line.is_empty()
            || line.starts_with(['#', '|', '<', '='])
            || line.chars().all(|c| !c.is_alphanumeric())
            || chunk.heading.iter().any(|heading| heading == line);
        if no_prose {
            paragraphs.push(String::new());
            continue;
        }
        let bare = line.trim_start_matches(['-', '*', '+', '>']).trim_start();
        let numbered = bare.split_once(". ").filter(|(n, _)| n.len() <= 3 && n.bytes().all(|b| b.is_ascii_digit()));
        let is_item =
            bare.len() < line.len() && !line.starts_with("**") && !line.starts_with('*') || numbered.is_some();
        let text = if is_item { numbered.map_or(bare, |(_, rest)| rest) } else { line };
        if is_item {
            paragraphs.push(String::new());
        }
        if let Some(paragraph) = paragraphs.last_mut() {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(text);
        }
    }
    paragraphs
        .iter()
        .flat_map(|paragraph| split(paragraph))
        .filter(|text| text.unicode_words().count() >= 4)
        .zip(1..)
        .map(|(text, place)| Sentence {
            text,
            passage,
            place,
            heading: chunk.heading.last().cloned().unwrap_or_default(),
        })
        .collect()
}

/// Sentences by Unicode's rules, with those put together again that end within an abbreviation or a link.
fn split(paragraph: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for part in paragraph.split_sentence_bounds() {
        let continues = out.last().is_some_and(|last| {
            let open = |a, b| last.matches(a).count() > last.matches(b).count();
            let tail = last.trim_end();
            ["e.g.", "i.e.", "etc.", "vs.", "cf."].iter().any(|s| tail.ends_with(s))
                || open('(', ')')
                || open('[', ']')
                || last.matches('`').count() % 2 == 1
        });
        match out.last_mut() {
            Some(last) if continues => last.push_str(part),
            _ => out.push(part.to_owned()),
        }
    }
    out.into_iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ChunkId;

    fn passage(rank: u32, text: &str) -> Passage {
        let chunk = Chunk {
            id: ChunkId::from_key(i64::from(rank)).unwrap(),
            document: "a.md".into(),
            ordinal: rank,
            heading: vec!["Storage".into()],
            lines: (1, 1),
            bytes: 0..text.len(),
            text: text.into(),
            tokens: 1,
        };
        Passage { rank, chunk, scores: Scores::none(Metric::Ip) }
    }

    #[test]
    fn only_prose_is_quoted() {
        let text = "# Storage\n\nData is kept on disk (e.g. in logs). It survives a crash.\n\n```sh\nrm -rf this is code not prose\n```\n| a | b |\n- first item of the list\n2. second item stands alone\n";
        let found: Vec<String> = sentences(&passage(1, text).chunk, 1).into_iter().map(|s| s.text).collect();
        assert_eq!(
            found,
            [
                "Data is kept on disk (e.g. in logs).",
                "It survives a crash.",
                "first item of the list",
                "second item stands alone"
            ]
        );
    }

    #[tokio::test]
    async fn without_a_model_the_sentence_with_the_rarer_words_comes_first() {
        let passages = [
            passage(1, "The store holds the data of users. The weather is fine today."),
            passage(2, "The etcd service holds the metadata of the store. The cat sleeps all day."),
        ];
        let answer = answer(None, &passages, "where is etcd metadata?").await.unwrap();
        assert_eq!(answer, "> The etcd service holds the metadata of the store. [2]");
    }

    #[tokio::test]
    async fn the_best_sentence_is_found_where_it_stands() {
        let text = "# Storage\n\nThe weather is fine today. The *etcd*\n  service holds\tthe metadata of it.\n\n- The cat sleeps all day.\n";
        let chunk = passage(1, text).chunk;
        let best = |question| best_sentence(None, &chunk, question);
        let found = best("where is etcd metadata?").await.unwrap().unwrap();
        assert_eq!(&text[found], "The *etcd*\n  service holds\tthe metadata of it.");
        assert_eq!(&text[best("what of the cat").await.unwrap().unwrap()], "The cat sleeps all day.");
        assert_eq!(best("quite another thing").await.unwrap(), None);
        assert_eq!(
            best_sentence(None, &passage(1, "```\nno prose at all here\n```").chunk, "prose").await.unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn nothing_found_is_said() {
        assert!(answer(None, &[], "x").await.unwrap().starts_with("No passage"));
    }
}
