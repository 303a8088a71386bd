//! [`Embedder`] with `fastembed` on ONNX Runtime.
//!
//! Measured fastest on CPUs: one session per core, each with one thread and one text at a time. So a text is never
//! padded, and its vector never depends on its neighbours. The first session is made when the model is loaded, the
//! others when passages come in number: a process that only asks pays for one. One more is made when a question first
//! finds all of them busy with passages: from then on no question waits for a passage, and passages are embedded at a
//! low priority. Measured on two busy cores, a search while a folder was indexed took 2.5 to 2.7 times as long as else
//! without either, 1.5 to 2.4 times with the session alone, and 1.0 to 1.2 times with both. It costs 100 MB.

use std::{
    error::Error,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastembed::{
    InitOptionsUserDefined, OutputKey, QuantizationMode, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel,
};
use ort::{LoadDynamicError, environment::Environment};
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::{EmbedError, Embedder, Role, pool::Pool};
use crate::domain::{Fingerprint, Metric, ModelFiles, Pooling, Vector};

/// From this many passages on, another session is worth the tenth of a second that it takes to make.
const MANY: usize = 5;

/// A loaded embedding model.
pub struct FastEmbedder {
    fingerprint: Fingerprint,
    /// Tokenises whole texts, where the sessions' own tokenizers cut them off.
    counter: Tokenizer,
    sessions: Arc<Sessions>,
    in_background: bool,
}

/// Its sessions, and what another one is made from.
struct Sessions {
    files: ModelFiles,
    pool: Pool<TextEmbedding>,
}

impl FastEmbedder {
    /// Loads the model with the ONNX Runtime library at `ort`. Up to `sessions` texts are embedded at once. The library
    /// is loaded once in a process: later calls use the one that is there.
    ///
    /// # Errors
    /// [`EmbedError::Load`] when the library or a model file is missing, broken or of the wrong kind.
    pub fn load(files: &ModelFiles, ort: &Path, sessions: usize) -> Result<Self, EmbedError> {
        let failed = |reason| EmbedError::Load { model: files.name.clone(), reason };
        let mut first = guarded(|| session(files, &environment(ort)?)).map_err(failed)?;

        let mut counter = first.tokenizer.clone();
        let max_tokens = counter.get_truncation().map_or(files.max_tokens, |truncation| truncation.max_length);
        counter.with_padding(None);
        counter.with_truncation(None).map_err(|e| failed(e.to_string()))?;

        let dim = match files.dim {
            Some(dim) => dim,
            None => guarded(|| run(&mut first, "x")).map_err(failed)?.len(),
        };
        let fingerprint = Fingerprint {
            model: files.name.clone(),
            sha256: files.sha256.clone(),
            dim,
            metric: Metric::Ip,
            pooling: files.pooling,
            normalised: true,
            max_tokens,
            query_prefix: files.query_prefix.clone(),
            passage_prefix: files.passage_prefix.clone(),
        };
        let sessions = Sessions { files: files.clone(), pool: Pool::new(first, sessions) };
        Ok(Self { fingerprint, counter, sessions: Arc::new(sessions), in_background: false })
    }

    /// Passages are embedded at the lowest priority: for a program that somebody works with meanwhile.
    pub fn in_background(self) -> Self {
        Self { in_background: true, ..self }
    }

    fn embed_one(&self, role: Role, text: &str) -> Result<Vector, EmbedError> {
        let prefix = match role {
            Role::Query => &self.fingerprint.query_prefix,
            Role::Passage => &self.fingerprint.passage_prefix,
        };
        let prefixed = if prefix.is_empty() { text } else { &format!("{prefix}{text}") };
        let result = self.sessions.pool.with(role, |session| guarded(|| run(session, prefixed)));
        let (model, dim) = (&self.fingerprint.model, self.fingerprint.dim);
        let reason = match result {
            Ok(vector) if vector.len() == dim => return Ok(vector),
            Ok(vector) => format!("it gave {} numbers where {dim} were expected", vector.len()),
            Err(reason) => reason,
        };
        Err(EmbedError::Run { model: model.clone(), reason })
    }

    /// Embeds what `next` points at until nothing is left or something failed.
    fn work(&self, role: Role, texts: &[&str], next: &AtomicUsize) -> Result<Vec<(usize, Vector)>, EmbedError> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(text) = texts.get(index) else { return Ok(done) };
            match self.embed_one(role, text) {
                Ok(vector) => done.push((index, vector)),
                Err(error) => {
                    next.store(texts.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    }
}

impl Sessions {
    fn make(&self) -> Result<TextEmbedding, String> {
        guarded(|| session(&self.files, &existing_environment()?))
    }

    fn note(&self, made: Result<(), String>) {
        if let Err(reason) = made {
            tracing::warn!(model = self.files.name, reason, "going on with fewer sessions");
        }
    }
}

impl Embedder for FastEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn count_tokens(&self, text: &str) -> usize {
        // A tokenizer fails only on texts that its own vocabulary has no word for; the length in words is near enough.
        self.counter.encode_fast(text, false).map_or_else(|_| text.split_whitespace().count(), |e| e.len())
    }

    fn embed(&self, role: Role, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let sessions = &self.sessions;
        let _asking = (role == Role::Query).then(|| sessions.pool.asking());
        if role == Role::Query && sessions.pool.lacks_reserve() {
            // For the questions after this one, which has its turn before a session could be made.
            let sessions = Arc::clone(sessions);
            thread::spawn(move || sessions.note(sessions.pool.reserve(|| sessions.make())));
        }
        let next = AtomicUsize::new(0);
        if texts.len() < MANY {
            return Ok(self.work(role, texts, &next)?.into_iter().map(|(_, vector)| vector).collect());
        }
        // A thread can't take its priority back, so this one does not lower its own.
        let yields = role == Role::Passage && self.in_background;
        let parts = thread::scope(|scope| {
            let helpers: Vec<_> = (usize::from(!yields)..sessions.pool.limit().min(texts.len()))
                .map(|_| {
                    scope.spawn(|| {
                        if yields {
                            lower_priority();
                        }
                        sessions.note(sessions.pool.grow(|| sessions.make()));
                        self.work(role, texts, &next)
                    })
                })
                .collect();
            let mut parts = Vec::new();
            if !yields {
                parts.push(self.work(role, texts, &next));
            }
            parts.extend(helpers.into_iter().map(|helper| {
                helper.join().unwrap_or_else(|_| {
                    let reason = "a thread broke down".to_owned();
                    Err(EmbedError::Run { model: self.fingerprint.model.clone(), reason })
                })
            }));
            parts
        });
        let mut vectors = vec![Vector::new(); texts.len()];
        for part in parts {
            for (index, vector) in part? {
                if let Some(place) = vectors.get_mut(index) {
                    *place = vector;
                }
            }
        }
        Ok(vectors)
    }

    fn make_room(&self, time: Duration) {
        self.sessions.pool.make_room_until(Instant::now() + time);
    }
}

/// Lets other threads of this machine go before the calling one, where a system can do so for a single thread.
fn lower_priority() {
    // As low as it goes. Not the class of idle threads: Linux takes a processor that runs one for a free one, sends there
    // what a key has woken, and may let the idle thread go on for some milliseconds all the same.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!(%error, "the priority stays as it is");
    }
}

/// ONNX Runtime's environment: one in a process, made with the first library that loads.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

fn environment(ort: &Path) -> Result<Environment, String> {
    let mut place = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*place {
        return Ok(environment.clone());
    }
    let builder = ort::init_from(ort).map_err(|e| {
        let cause = match &e {
            LoadDynamicError::Dlopen { error, .. } => error.source().map_or_else(String::new, |s| format!(" ({s})")),
            LoadDynamicError::MissingApi { .. }
            | LoadDynamicError::InvalidVersionString
            | LoadDynamicError::BadVersion { .. } => String::new(),
        };
        format!("ONNX Runtime: {e}{cause}; hint: correct or unset ORT_DYLIB_PATH and embed.onnxruntime")
    })?;
    let environment = builder
        .with_name("askdocs")
        .with_telemetry(false)
        // Without a logger it writes to stderr, across the screen.
        .with_logger(Arc::new(|level, _, _, place, message| tracing::debug!(?level, place, "ONNX Runtime: {message}")))
        .build()
        .map_err(|e| format!("ONNX Runtime: {e}"))?;
    *place = Some(environment.clone());
    Ok(environment)
}

fn existing_environment() -> Result<Environment, String> {
    let place = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    place.clone().ok_or_else(|| "ONNX Runtime is not loaded".to_owned())
}

/// One session: the graph from memory, its external weights mapped from the model's folder by the runtime.
fn session(files: &ModelFiles, environment: &Environment) -> Result<TextEmbedding, String> {
    let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let optional = |path: &Option<_>| path.as_deref().map_or_else(|| Ok(b"{}".to_vec()), read);
    let folder = files.graph.parent().unwrap_or(Path::new("."));
    let folder = folder.to_str().ok_or_else(|| format!("{}: the path is not UTF-8", folder.display()))?;
    let tokenizer_files = TokenizerFiles {
        tokenizer_file: read(&files.tokenizer)?,
        config_file: optional(&files.config)?,
        special_tokens_map_file: optional(&files.special_tokens_map)?,
        tokenizer_config_file: complete(&optional(&files.tokenizer_config)?, files.max_tokens)?,
    };
    let mut model = UserDefinedEmbeddingModel::new(read(&files.graph)?, tokenizer_files)
        // Dynamic quantisation looks at a whole batch; a batch of one needs no care.
        .with_quantization(QuantizationMode::None)
        .with_pooling(match files.pooling {
            Pooling::Mean => fastembed::Pooling::Mean,
            Pooling::Cls => fastembed::Pooling::Cls,
        });
    model.output_key = files.output.map(OutputKey::ByName);
    let options = InitOptionsUserDefined::new()
        .with_environment(environment.clone())
        .with_max_length(files.max_tokens)
        .with_intra_threads(1)
        .with_session_config("session.intra_op.allow_spinning", "0")
        .with_session_config("session.model_external_initializers_file_folder_path", folder);
    TextEmbedding::try_new_from_user_defined(model, options).map_err(|e| e.to_string())
}

/// A `tokenizer_config.json` with the two fields that `fastembed` insists on. The padding token's name is of no
/// consequence, since nothing is ever padded.
fn complete(tokenizer_config: &[u8], max_tokens: usize) -> Result<Vec<u8>, String> {
    let mut config: Map<String, Value> =
        serde_json::from_slice(tokenizer_config).map_err(|e| format!("tokenizer_config.json: {e}"))?;
    if !config.get("model_max_length").is_some_and(Value::is_number) {
        config.insert("model_max_length".to_owned(), json!(max_tokens));
    }
    config.insert("pad_token".to_owned(), json!("[PAD]"));
    Ok(Value::Object(config).to_string().into_bytes())
}

fn run(session: &mut TextEmbedding, text: &str) -> Result<Vector, String> {
    let vectors = session.embed([text], Some(1)).map_err(|e| e.to_string())?;
    vectors.into_iter().next().ok_or_else(|| "it gave no vector".to_owned())
}

/// The runtime's bindings panic where its library is not as they expect; a panic is an error here like any other.
fn guarded<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("ONNX Runtime broke down: {}", text.unwrap_or("no reason given")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_wrong_library_is_an_error() {
        let files = ModelFiles {
            name: "mine".to_owned(),
            graph: "model.onnx".into(),
            tokenizer: "tokenizer.json".into(),
            config: None,
            tokenizer_config: None,
            special_tokens_map: None,
            output: None,
            sha256: String::new(),
            dim: None,
            pooling: Pooling::Mean,
            max_tokens: 8,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        };
        let home = tempfile::tempdir().unwrap();
        let wrong = home.path().join("libonnxruntime.so");
        fs::write(&wrong, "not a library").unwrap();
        for library in [home.path().join("nothing.so"), wrong] {
            let Err(EmbedError::Load { model, reason }) = FastEmbedder::load(&files, &library, 1) else {
                panic!("{} was loaded", library.display());
            };
            assert_eq!(model, "mine");
            assert!(reason.contains(library.to_str().unwrap()) && reason.contains("hint: "), "{reason}");
        }
    }
}
