//! Which embedding models there are, by what names, and how their texts want to be prefixed.

use std::path::PathBuf;

use fastembed::{EmbeddingModel, ModelInfo, TextEmbedding};

use super::ArtifactError;
use crate::domain::Pooling;

/// The model that is used when none is named.
pub const DEFAULT_MODEL: &str = "all-minilm-l6-v2";

/// A choice of embedding model.
#[derive(Clone, Debug)]
pub enum ModelSpec {
    /// all-MiniLM-L6-v2, every byte of it pinned.
    Default,
    /// A model of fastembed's catalogue, from the hub.
    Catalogue(Box<ModelInfo<EmbeddingModel>>),
    /// A folder with `model.onnx` and `tokenizer.json`. It is the person's own and taken as it is.
    Folder { path: PathBuf, pooling: Pooling, max_tokens: usize },
}

impl ModelSpec {
    /// Finds what a person means by `name`: a folder that exists, or a model of the catalogue by its short name
    /// (`bge-base-en-v1.5`) or its repository, in any case. `pooling` and `max_tokens` are for a folder; a model of the
    /// catalogue knows its own.
    ///
    /// # Errors
    /// [`ArtifactError::UnknownModel`] with the nearest names.
    pub fn find(name: &str, pooling: Pooling, max_tokens: usize) -> Result<Self, ArtifactError> {
        let wanted = squeeze(name);
        let defaults = [DEFAULT_MODEL, "sentence-transformers/all-MiniLM-L6-v2"];
        if defaults.iter().any(|name| squeeze(name) == wanted) {
            return Ok(Self::Default);
        }
        let mut models = TextEmbedding::list_supported_models();
        // Of two models of one repository the one with full precision has the repository's name.
        models.sort_by_key(|info| info.model.to_string());
        let answers_to = |info: &ModelInfo<EmbeddingModel>| {
            let repository = info.model_code.rsplit('/').next().unwrap_or_default();
            [&info.model.to_string(), &short_name(info), &info.model_code, repository].map(squeeze)
        };
        if let Some(info) = models.iter().find(|info| answers_to(info).contains(&wanted)) {
            return Ok(Self::Catalogue(Box::new(info.clone())));
        }
        let path = PathBuf::from(name);
        if path.is_dir() {
            return Ok(Self::Folder { path, pooling, max_tokens });
        }
        let mut names: Vec<_> = models.iter().map(short_name).chain([DEFAULT_MODEL.to_owned()]).collect();
        let distance = |candidate: &str| strsim::damerau_levenshtein(&squeeze(candidate), &wanted);
        names.sort_by_key(|candidate| (distance(candidate), candidate.clone()));
        names.truncate(3);
        Err(ArtifactError::UnknownModel { name: name.to_owned(), nearest: names.join(", ") })
    }

    /// The model's name, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Default => DEFAULT_MODEL.to_owned(),
            Self::Catalogue(info) => short_name(info),
            Self::Folder { path, .. } => path.display().to_string(),
        }
    }
}

/// A name without what people spell differently.
fn squeeze(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// `bge-base-en-v1.5`, with `-q` (or `-q4`) behind it for a quantised one.
pub fn short_name(info: &ModelInfo<EmbeddingModel>) -> String {
    let repository = info.model_code.rsplit('/').next().unwrap_or_default().to_lowercase();
    let plain = repository.trim_end_matches("-q").trim_end_matches("-onnx").to_owned();
    let variant = info.model.to_string();
    match variant.trim_end_matches('4').strip_suffix('Q') {
        Some(_) if variant.ends_with('4') => plain + "-q4",
        Some(_) => plain + "-q",
        None => plain,
    }
}

/// How the texts of a family of models want to be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    pub query_prefix: &'static str,
    pub passage_prefix: &'static str,
    /// The length the model was made for, in tokens; longer texts are cut off there.
    pub max_tokens: usize,
}

/// What goes in front of texts, from the usage section of each family's model card on the hub (where several wordings
/// are given: the one for retrieval), by the start of the short name; and the length in tokens from
/// `sentence_bert_config.json`, at most the 512 that `fastembed` uses: passages are shorter.
const FAMILIES: &[(&str, Family)] = &[
    ("all-minilm-l12", Family::plain(128)),
    ("all-minilm-l6", Family::plain(256)),
    ("all-mpnet-base", Family::plain(384)),
    ("bge-m3", Family::plain(512)),
    ("bge-small-zh", Family::query("为这个句子生成表示以用于检索相关文章：")),
    ("bge-large-zh", Family::query("为这个句子生成表示以用于检索相关文章：")),
    ("bge-", Family::query("Represent this sentence for searching relevant passages: ")),
    ("clip-", Family::plain(77)),
    ("embeddinggemma", Family::both("task: search result | query: ", "title: none | text: ")),
    ("modernbert-embed", Family::both("search_query: ", "search_document: ")),
    ("multilingual-e5", Family::both("query: ", "passage: ")),
    ("mxbai-embed", Family::query("Represent this sentence for searching relevant passages: ")),
    ("nomic-embed", Family::both("search_query: ", "search_document: ")),
    ("paraphrase-multilingual", Family::plain(128)),
    ("snowflake-arctic-embed", Family::query("Represent this sentence for searching relevant passages: ")),
    // GTE and Jina v2: none.
    ("", Family::plain(512)),
];

impl Family {
    const fn plain(max_tokens: usize) -> Self {
        Self { query_prefix: "", passage_prefix: "", max_tokens }
    }

    const fn query(query_prefix: &'static str) -> Self {
        Self { query_prefix, passage_prefix: "", max_tokens: 512 }
    }

    const fn both(query_prefix: &'static str, passage_prefix: &'static str) -> Self {
        Self { query_prefix, passage_prefix, max_tokens: 512 }
    }

    /// The family of a model by its short name.
    pub fn of(name: &str) -> Self {
        FAMILIES.iter().find(|(start, _)| name.starts_with(start)).map_or(Self::plain(512), |(_, family)| *family)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found(name: &str) -> String {
        ModelSpec::find(name, Pooling::Mean, 512).map_or_else(|e| e.to_string(), |spec| spec.name())
    }

    #[test]
    fn every_model_of_the_catalogue_has_a_name_of_its_own_that_finds_it() {
        let models = TextEmbedding::list_supported_models();
        let mut names = BTreeSet::new();
        for info in &models {
            // The default model takes the place of the catalogue's variant of it.
            if info.model == EmbeddingModel::AllMiniLML6V2 {
                continue;
            }
            let Ok(ModelSpec::Catalogue(by_name)) = ModelSpec::find(&short_name(info), Pooling::Mean, 512) else {
                panic!("{} is not found", short_name(info));
            };
            assert_eq!(by_name.model, info.model, "{}", short_name(info));
            names.insert(short_name(info));
        }
        assert_eq!(names.len(), models.len() - 1);
    }

    #[test]
    fn names_are_found_however_they_are_written_and_the_nearest_are_suggested() {
        assert_eq!(found("all-MiniLM-L6-v2"), "all-minilm-l6-v2");
        assert_eq!(found("Xenova/BGE-base-en-v1.5"), "bge-base-en-v1.5");
        assert_eq!(found("BGEBaseENV15Q"), "bge-base-en-v1.5-q");
        assert_eq!(found("nomic-ai/nomic-embed-text-v1.5"), "nomic-embed-text-v1.5");
        assert!(found("bge-bas-en-v1.5").contains("bge-base-en-v1.5"), "{}", found("bge-bas-en-v1.5"));
    }

    #[test]
    fn questions_and_passages_get_their_familys_prefixes() {
        let prefixes = |name| (Family::of(name).query_prefix, Family::of(name).passage_prefix);
        assert_eq!(prefixes("multilingual-e5-small"), ("query: ", "passage: "));
        assert_eq!(prefixes("bge-base-en-v1.5"), ("Represent this sentence for searching relevant passages: ", ""));
        assert_eq!(prefixes("bge-m3"), ("", ""));
        assert_eq!(prefixes("gte-base-en-v1.5"), ("", ""));
    }
}
